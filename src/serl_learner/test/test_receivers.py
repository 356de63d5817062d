# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Learner and recorder on the wire: one bag, however often they are started, and of one kind of environment."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from test_bag_samples import IMAGES, STATE, transitions

from serl_core import codec, contract
from serl_core.shell_node import ShellNode
from serl_core.specs import EnvSpec
from serl_core.types import TransitionAck
from serl_learner.bag.reader import read_transitions
from serl_learner.learner_node import LearnerNode
from serl_learner.recorder_node import RecorderNode

PATIENCE = 120.0
"""Longest that a test waits for something that must happen [s]; a loaded machine compiles slowly."""


class Rig:
    """A receiver of transitions, with an environment that it hears."""

    def __init__(self, node: type[ShellNode], parameters: dict[str, Any]) -> None:
        self.node = node()
        for name, value in parameters.items():
            self.node.declare_parameter(name, value)
        self.env = rclpy.create_node("env")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.env):
            self.executor.add_node(node)
        self.acks: list[TransitionAck] = []
        contract.subscription(
            self.env, contract.TRANSITION_ACK, lambda m: self.acks.append(codec.from_ack(m))
        )
        self._description = contract.publisher(self.env, contract.ENV_DESCRIPTION)
        self.transition = contract.publisher(self.env, contract.TRANSITION)
        assert self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        self.until(lambda: bool(self.transition.get_subscription_count()))

    def describe(self, spec: EnvSpec = STATE, env_id: str = "env-a") -> None:
        self._description.publish(codec.to_description(spec, env_id))

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, "it did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.node.stop()
        self.node.release()
        self.executor.shutdown()
        self.node.destroy_node()
        self.env.destroy_node()


@pytest.fixture
def rigs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Rig]]:
    with socket.socket() as free:  # a domain that no other run on this machine is in
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + free.getsockname()[1] % 100))
    rclpy.init()
    made: list[Rig] = []

    def make(node: type[ShellNode] = RecorderNode, **parameters: Any) -> Rig:
        made.append(Rig(node, parameters))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
    rclpy.shutdown()


def test_a_recorder_that_is_started_again_goes_on_where_its_bag_ends(
    rigs: Callable[..., Rig], tmp_path: Path
) -> None:
    row = list(islice(transitions(STATE), 9))
    for known in (0, 4):
        rig = rigs(bag=str(tmp_path / "bag"))
        rig.describe()
        rig.until(lambda rig=rig: bool(rig.acks))
        assert {ack.sequence for ack in rig.acks} == {known}, "it must say what it has, before anything comes"
        for each in row[known : known + 4]:
            rig.transition.publish(codec.to_transition(STATE, each))
        rig.until(lambda rig=rig, known=known: rig.acks[-1].sequence == known + 4)
        assert rig.node.diagnostics() == {"written": 4, "duplicates": 0, "gaps": 0}
        rig.node.release()
    assert [t.sequence for t in read_transitions(tmp_path / "bag")] == list(range(1, 9))


def test_an_environment_that_is_another_ends_either_in_one_line(
    rigs: Callable[..., Rig], tmp_path: Path
) -> None:
    small = {"hidden_sizes": [16], "ensemble_size": 2, "batch_size": 8, "utd_ratio": 2}
    for node, parameters in (
        (RecorderNode, {"bag": str(tmp_path / "bag")}),
        (LearnerNode, {"out": str(tmp_path / "run"), **small}),
    ):
        rig = rigs(node, **parameters)
        rig.describe()
        rig.until(lambda rig=rig: bool(rig.acks))
        shape = codec.to_transition(IMAGES, next(transitions(IMAGES, "env-b")))
        rig.transition.publish(shape)  # it may come before its description
        rig.transition.publish(codec.to_transition(STATE, next(transitions(STATE))))
        rig.until(lambda rig=rig: rig.acks[-1].sequence == 1)
        assert not rig.node.failure
        rig.describe(IMAGES, "env-b")
        rig.until(lambda rig=rig: bool(rig.node.failure))
        assert "env-b is another" in rig.node.failure and "\n" not in rig.node.failure
        assert "images is ('wrist',), not ()" in rig.node.failure
        assert "restart the robot side" in rig.node.failure
