# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

setup(
    name="serl_learner",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_learner"]),
        ("share/serl_learner", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="Agents, replay, checkpoints and the training loop of serl.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "learner_node = serl_learner.learner_node:main",
            "recorder_node = serl_learner.recorder_node:main",
        ]
    },
)
