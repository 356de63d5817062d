# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

tasks = [
    (f"share/serl_bringup/{folder}", glob(f"{folder}/*.yaml")) for folder in map(str, Path("tasks").iterdir())
]

setup(
    name="serl_bringup",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_bringup"]),
        ("share/serl_bringup", ["package.xml"]),
        *sorted(tasks),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="Task folders, the graph of nodes, and the serl command line.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["serl = serl_bringup.cli:main"]},
)
