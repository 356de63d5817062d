# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The wire contract: every topic's name, type and quality of service, written once.

Names are relative, so that a namespace makes two robots; a learner of several listens and speaks in each of their
namespaces (`of_each`). Publishers and subscribers both take them from here:
`publisher(node, contract.OBSERVATION)`, `subscription(node, contract.OBSERVATION, callback)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geometry_msgs.msg import PoseStamped
from rosgraph_msgs.msg import Clock
from serl_msgs.msg import (
    Action,
    ControllerState,
    EnvDescription,
    EpisodeSummary,
    Intervention,
    LearnerStatus,
    Observation,
    PolicyWeights,
    Reward,
    Transition,
    TransitionAck,
)


@dataclass(frozen=True)
class Topic:
    """One arrow of the loop."""

    name: str
    type: Any
    reliable: bool
    depth: int
    latched: bool = False


ENV_DESCRIPTION = Topic("env_description", EnvDescription, reliable=True, depth=1, latched=True)
OBSERVATION = Topic("observation", Observation, reliable=True, depth=2)
ACTION = Topic("action", Action, reliable=True, depth=1)
REWARD = Topic("reward", Reward, reliable=True, depth=2)
INTERVENTION = Topic("intervention", Intervention, reliable=False, depth=4)
TRANSITION = Topic("transition", Transition, reliable=True, depth=100)
TRANSITION_ACK = Topic("transition_ack", TransitionAck, reliable=True, depth=10)
POLICY = Topic("policy", PolicyWeights, reliable=True, depth=1, latched=True)
EPISODE = Topic("episode", EpisodeSummary, reliable=True, depth=20)
CONTROLLER_STATE = Topic("controller_state", ControllerState, reliable=False, depth=10)
LEARNER_STATUS = Topic("learner_status", LearnerStatus, reliable=True, depth=5)
CLOCK = Topic("/clock", Clock, reliable=False, depth=1)

# Of a controller: below its name, see `under`.
TARGET_POSE = Topic("target_pose", PoseStamped, reliable=True, depth=1)
STATE = Topic("state", ControllerState, reliable=False, depth=100)

TOPICS = (
    ENV_DESCRIPTION, OBSERVATION, ACTION, REWARD, INTERVENTION, TRANSITION, TRANSITION_ACK, POLICY, EPISODE,
    CONTROLLER_STATE, LEARNER_STATUS, CLOCK, TARGET_POSE, STATE,
)  # fmt: skip


def under(name: str, topic: Topic) -> Topic:
    """Return a topic below a name: a controller's own, or that of a robot in its namespace."""
    return replace(topic, name=f"{name}/{topic.name}")


def of_each(robots: Sequence[str], topic: Topic) -> list[Topic]:
    """Return a topic of several robots, each in its namespace; of the only one, in no other, where none is named."""
    return [under(robot, topic) for robot in robots] or [topic]


def qos(topic: Topic) -> Any:
    """Return the rclpy QoSProfile of a topic."""
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=topic.depth,
        reliability=ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE,
    )


def publisher(node: Any, topic: Topic) -> Any:
    """Create a publisher of `topic` on a node."""
    return node.create_publisher(topic.type, topic.name, qos(topic))


def subscription(node: Any, topic: Topic, callback: Callable[..., None], **options: Any) -> Any:
    """Create a subscription to `topic` on a node; `raw=True` delivers CDR bytes.

    A callback of two arguments is given rclpy's message info too, see `age`.
    """
    return node.create_subscription(topic.type, topic.name, callback, qos(topic), **options)


def age(info: dict[str, int]) -> float:
    """Return how long ago the middleware of this process received a message, by its rclpy message info [s]."""
    return max(0.0, 1e-9 * (time.time_ns() - info["received_timestamp"]))
