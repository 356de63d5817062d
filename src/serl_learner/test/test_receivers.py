# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Learner and recorder on the wire: one bag, however often they are started, and of one kind of environment."""

from __future__ import annotations

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


SMALL = {"hidden_sizes": [16], "ensemble_size": 2, "batch_size": 8, "utd_ratio": 2}


class Rig:
    """A receiver of transitions, with an environment that it hears."""

    def __init__(self, node: type[ShellNode], **parameters: Any) -> None:
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

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.node.stop()
        self.node.release()
        self.executor.shutdown()
        self.node.destroy_node()
        self.env.destroy_node()


@pytest.fixture(autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


def test_a_recorder_that_is_started_again_goes_on_where_its_bag_ends(tmp_path: Path) -> None:
    row = list(islice(transitions(STATE), 9))
    for known in (0, 4):
        with Rig(RecorderNode, bag=str(tmp_path / "bag")) as rig:
            rig.describe()
            rig.until(lambda rig=rig: bool(rig.acks))
            assert {ack.sequence for ack in rig.acks} == {known}, "it must say so before anything comes"
            for each in row[known : known + 4]:
                rig.transition.publish(codec.to_transition(STATE, each))
            rig.until(lambda rig=rig, known=known: rig.acks[-1].sequence == known + 4)
            assert rig.node.diagnostics()["written"] == 4
    assert [t.sequence for t in read_transitions(tmp_path / "bag")] == list(range(1, 9))


@pytest.mark.parametrize(
    ("node", "folder", "settings"), [(RecorderNode, "bag", {}), (LearnerNode, "out", SMALL)]
)
def test_an_environment_that_is_another_ends_it_in_one_line(
    node: type[ShellNode], folder: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    with Rig(node, **{folder: str(tmp_path / folder)}, **settings) as rig:
        rig.describe()
        rig.until(lambda: bool(rig.acks))
        other = codec.to_transition(IMAGES, next(transitions(IMAGES, "env-b")))
        rig.transition.publish(other)  # it may come before its description
        rig.transition.publish(codec.to_transition(STATE, next(transitions(STATE))))
        rig.until(lambda: rig.acks[-1].sequence == 1)
        assert not rig.node.failure
        rig.describe(IMAGES, "env-b")
        rig.until(lambda: bool(rig.node.failure))
        assert "env-b is another" in rig.node.failure and "\n" not in rig.node.failure
        assert "images is ('wrist',), not ()" in rig.node.failure
        assert "restart the robot side" in rig.node.failure


def test_a_learner_that_was_stopped_does_not_claim_to_work(tmp_path: Path) -> None:
    with Rig(LearnerNode, out=str(tmp_path), **SMALL) as rig:
        assert rig.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert rig.node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert rig.node.failure.startswith("learner cannot be activated again") and rig.node.ended.is_set()
