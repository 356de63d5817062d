# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The node list: which nodes make which graph. `./serl` and the launch files both read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from serl_core.plugins import load
from serl_reward.awaited import AwaitedReward


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph: a lifecycle node that publishes its diagnostics once a second.

    Attributes:
        name: Name in the graph, and key of its parameters.
        package, executable: What to start; the executable is also the module package.executable.
        robot_side: It runs beside the robot when learner and robot are two machines.
        robot: Namespace of its robot where there are several, else empty.
    """

    name: str
    package: str
    executable: str
    robot_side: bool = True
    robot: str = ""

    @property
    def path(self) -> str:
        """Name in the graph below its robot's namespace, if any."""
        return f"{self.robot}/{self.name}" if self.robot else self.name


ENV = NodeSpec("env", "serl_env_node", "env_node")
ACTOR = NodeSpec("actor", "serl_actor", "actor_node")
OPERATOR = NodeSpec("operator", "serl_actor", "operator_node")
INTERVENTION = NodeSpec("intervention", "serl_actor", "intervention_node")
"""The devices of a person; on hardware they take the scripted operator's place."""
REWARD = NodeSpec("reward", "serl_reward", "reward_node")
"""Judges for an environment that awaits its verdicts; beside the robot, since every step waits for one."""
LEARNER = NodeSpec("learner", "serl_learner", "learner_node", robot_side=False)
RECORDER = NodeSpec("recorder", "serl_learner", "recorder_node")
CAMERAS = NodeSpec("cameras", "serl_sim", "camera_node")
"""Renders a simulation's wrist cameras; on hardware their drivers take its place, which are not lifecycle nodes."""

# In start order; taken down in reverse. Whoever writes to disk comes first and goes last.
DEMONSTRATE = (RECORDER, OPERATOR, ENV)
TRAIN = (LEARNER, ACTOR, ENV)
EVALUATE = (RECORDER, ACTOR, ENV)


def with_operator(nodes: Sequence[NodeSpec], operator: NodeSpec) -> tuple[NodeSpec, ...]:
    """Return a graph with somebody who may take over; the environment, which heeds them, stays last."""
    return (*(node for node in nodes[:-1] if node != OPERATOR), operator, nodes[-1])


def with_reward(nodes: Sequence[NodeSpec], env: Mapping[str, Any]) -> tuple[NodeSpec, ...]:
    """Return a graph with the reward node if the environment awaits its verdicts.

    Args:
        nodes: In start order; the environment, which asks for verdicts from its first step on, is last.
        env: The environment's parameters.
    """
    if env["env_id"] or not env["reward"]:  # a Gymnasium environment judges itself
        return tuple(nodes)
    kind = load(env["reward"].rpartition("=")[2], "reward")
    awaited = isinstance(kind, type) and issubclass(kind, AwaitedReward)
    return (*nodes[:-1], REWARD, nodes[-1]) if awaited else tuple(nodes)


def of_robots(nodes: Sequence[NodeSpec], robots: Sequence[str]) -> tuple[NodeSpec, ...]:
    """Return a graph with the robot's side once for each robot, in its namespace; as it is where none is named."""
    shared = tuple(node for node in nodes if not node.robot_side)
    own = [node for node in nodes if node.robot_side]
    return (*shared, *(replace(node, robot=robot) for robot in robots or ("",) for node in own))


def on_this_machine(nodes: Sequence[NodeSpec], learner: bool, robot: bool) -> tuple[NodeSpec, ...]:
    """Return the nodes that run here when the learner's side, the robot's, or both do."""
    return tuple(node for node in nodes if (robot if node.robot_side else learner))
