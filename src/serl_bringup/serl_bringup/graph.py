# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The node list: which nodes make which graph. `./serl` and the launch files both read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph.

    Attributes:
        name: Name in the graph, and key of its parameters.
        package, executable: What to start; the executable is also the module package.executable.
    """

    name: str
    package: str
    executable: str


ENV = NodeSpec("env", "serl_env_node", "env_node")
ACTOR = NodeSpec("actor", "serl_actor", "actor_node")
OPERATOR = NodeSpec("operator", "serl_actor", "operator_node")
LEARNER = NodeSpec("learner", "serl_learner", "learner_node")
RECORDER = NodeSpec("recorder", "serl_learner", "recorder_node")

# In start order; taken down in reverse. Whoever writes to disk comes first and goes last.
DEMONSTRATE = (RECORDER, OPERATOR, ENV)
TRAIN = (LEARNER, ACTOR, ENV)
EVALUATE = (RECORDER, ACTOR, ENV)
