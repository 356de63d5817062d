# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

setup(
    name="serl_actor",
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/serl_actor"]),
        ("share/serl_actor", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The serl authors",
    maintainer_email="serl@example.org",
    description="The acting side of the serl loop: policy runner, weight slot, operators.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "actor_node = serl_actor.actor_node:main",
            "intervention_node = serl_actor.intervention_node:main",
            "intervention_self_test = serl_actor.intervention.self_test:main",
            "operator_node = serl_actor.operator_node:main",
        ]
    },
)
