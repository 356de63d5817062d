# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from setuptools import find_packages, setup

shared = [
    (f"share/serl_bringup/{folder}", sorted(str(path) for path in folder.iterdir() if path.is_file()))
    for top in ("tasks", "observations", "templates", "launch", "config", "rviz", "page")
    for folder in (Path(top), *(path for path in Path(top).rglob("*") if path.is_dir()))
]

setup(
    name="serl_bringup",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_bringup"]),
        ("share/serl_bringup", ["package.xml"]),
        *sorted((folder, files) for folder, files in shared if files),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="Task folders, the graph of nodes, launch files, and the serl command line.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "serl = serl_bringup.cli:main",
            "lifecycle_manager = serl_bringup.lifecycle_manager_node:main",
            "markers_node = serl_bringup.markers_node:main",
            "outlast = serl_bringup.outlast:main",
        ]
    },
)
