# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

setup(
    name="serl_env_node",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_env_node"]),
        ("share/serl_env_node", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="The environment of the serl loop: frames, action scaling, safety box, episodes, arbitration.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["env_node = serl_env_node.env_node:main"]},
)
