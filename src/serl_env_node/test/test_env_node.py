# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The environment's node on the wire: it ends in one line where it cannot go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from serl_core import codec, contract
from serl_core.types import TransitionAck
from serl_env_node.env_node import EnvNode

PATIENCE = 60.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""


@pytest.fixture
def node() -> Iterator[EnvNode]:
    rclpy.init()
    made = EnvNode()
    for name, value in {"env_id": "Pendulum-v1", "task": "pendulum"}.items():
        made.declare_parameter(name, value)
    assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert made.trigger_activate() == TransitionCallbackReturn.SUCCESS
    yield made
    made.stop()
    made.release()
    made.destroy_node()
    rclpy.shutdown()


def test_it_does_not_claim_to_work_once_it_was_stopped(node: EnvNode) -> None:
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
    assert node.failure.startswith("env cannot be activated again") and node.ended.is_set()


def test_it_ends_where_a_new_receiver_lacks_what_another_acknowledged(node: EnvNode) -> None:
    other = rclpy.create_node("receiver")
    executor = SingleThreadedExecutor()
    for each in (node, other):
        executor.add_node(each)
    acks = contract.publisher(other, contract.TRANSITION_ACK)
    env_ids: list[str] = []
    contract.subscription(other, contract.ENV_DESCRIPTION, lambda m: env_ids.append(m.env_id))
    end = time.monotonic() + PATIENCE

    while not node.failure:
        assert time.monotonic() < end, "it did not end"
        executor.spin_once(timeout_sec=0.05)
        if env_ids and acks.get_subscription_count():
            for sequence, epoch in ((7, 1), (3, 2)):
                acks.publish(codec.to_ack(TransitionAck(env_ids[0], sequence, epoch, False, 0)))
    assert (
        "lacks transitions 4 to 7 of pendulum-" in node.failure and "restart the robot side" in node.failure
    )
    executor.shutdown()
    other.destroy_node()
