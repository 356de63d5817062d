# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

setup(
    name="serl_reward",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_reward"]),
        ("share/serl_reward", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="Reward functions of the serl loop: pose, height, image classifier, VICE, a person's word.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["reward_node = serl_reward.reward_node:main"]},
)
