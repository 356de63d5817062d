# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The recorder on the wire: one bag, however often its recorder is started."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from test_bag_samples import STATE, transitions

from serl_core import codec, contract
from serl_core.specs import EnvSpec
from serl_core.types import TransitionAck
from serl_learner.bag.reader import read_transitions
from serl_learner.recorder_node import RecorderNode

PATIENCE = 20.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""


class Rig:
    """A recorder with an environment that it hears."""

    def __init__(self, bag: Path) -> None:
        self.node = RecorderNode()
        self.node.declare_parameter("bag", str(bag))
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
def rigs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Rig]]:
    with socket.socket() as free:  # a domain that no other run on this machine is in
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + free.getsockname()[1] % 100))
    rclpy.init()
    made: list[Rig] = []

    def make(bag: Path) -> Rig:
        made.append(Rig(bag))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
    rclpy.shutdown()


def test_a_recorder_that_is_started_again_goes_on_where_its_bag_ends(
    rigs: Callable[[Path], Rig], tmp_path: Path
) -> None:
    row = list(islice(transitions(STATE), 9))
    for known in (0, 4):
        rig = rigs(tmp_path / "bag")
        rig.describe()
        rig.until(lambda rig=rig: bool(rig.acks))
        assert {ack.sequence for ack in rig.acks} == {known}, "it must say what it has, before anything comes"
        for each in row[known : known + 4]:
            rig.transition.publish(codec.to_transition(STATE, each))
        rig.until(lambda rig=rig, known=known: rig.acks[-1].sequence == known + 4)
        assert rig.node.diagnostics() == {"written": 4, "duplicates": 0, "gaps": 0}
        rig.node.release()
    assert [t.sequence for t in read_transitions(tmp_path / "bag")] == list(range(1, 9))
