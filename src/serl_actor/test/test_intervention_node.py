# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The node of a person's devices on the wire: a word on each observation, none of them old."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy

from serl_actor.intervention_node import InterventionNode
from serl_core import codec, contract
from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Intervention, Observation

PATIENCE = 20.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""

SPEC = EnvSpec(
    task="reach",
    state=(ArraySpec("tcp_pose", (7,)),),
    images=(),
    action_size=6,
    action_unit="twist in tcp frame",
    policy_keys=("tcp_pose",),
    step_seconds=0.1,
    max_steps=100,
)
TOOL_DOWN = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0], np.float32)


class Rig:
    """The node, with a device on a topic and an environment that hears it."""

    def __init__(self, **settings: object) -> None:
        settings = {
            "devices": ["spacenav"],
            "stream_timeout_s": 5.0,
            "retry_s": 0.05,
            "rate_hz": 100.0,
            **settings,
        }
        self.node = InterventionNode()
        for name, value in settings.items():
            self.node.declare_parameter(name, Parameter(name, value=value).value)
        self.other = rclpy.create_node("env")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.other):
            self.executor.add_node(node)
        self.words: list[Intervention] = []
        self.stamps: list[float] = []
        contract.subscription(self.other, contract.INTERVENTION, self.hear)
        self._observations = contract.publisher(self.other, contract.OBSERVATION)
        self._description = contract.publisher(self.other, contract.ENV_DESCRIPTION)
        self._joy = self.other.create_publisher(Joy, "spacenav/joy", 1)
        assert self.node.trigger_configure() == rclpy.lifecycle.TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == rclpy.lifecycle.TransitionCallbackReturn.SUCCESS
        self.until(
            lambda: bool(self._observations.get_subscription_count() and self._joy.get_subscription_count())
        )

    def hear(self, message: object) -> None:
        self.words.append(codec.from_intervention(message))
        self.stamps.append(codec.from_time(message.header.stamp))

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, "it did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def describe(self, spec: EnvSpec) -> None:
        self._description.publish(codec.to_description(spec, "reach-1"))

    def push(self, *axes: float) -> None:
        self._joy.publish(Joy(axes=[*axes, *[0.0] * (6 - len(axes))]))

    def answer(self, step: int) -> Intervention:
        """Ask for a word on a step as the environment does, again and again."""

        def answered() -> bool:
            self._observations.publish(
                codec.to_observation(
                    SPEC, Observation(4, step, 0.1 * step, {"tcp_pose": TOOL_DOWN}), request=True
                )
            )
            return any(word.step == step for word in self.words)

        self.until(answered)
        return next(word for word in self.words if word.step == step)

    def told(self) -> dict[str, object]:
        return self.node.diagnostics()

    def close(self) -> None:
        self.node.stop()
        self.node.release()
        self.executor.shutdown()
        self.node.destroy_node()
        self.other.destroy_node()


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    rclpy.init()
    made: list[Rig] = []

    def make(**settings: object) -> Rig:
        made.append(Rig(**settings))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
    rclpy.shutdown()


def test_each_observation_is_answered_and_a_push_is_heard_at_once(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.describe(SPEC)
    assert not rig.answer(1).active
    rig.push(0.0, 1.0)
    rig.until(lambda: rig.words[-1].active)  # unasked: in real time nobody waits for it
    word = rig.answer(2)
    assert (word.device, word.episode_id, word.active) == ("spacenav", 4, True)
    stamps = [stamp for said, stamp in zip(rig.words, rig.stamps, strict=True) if said.step == 2]
    assert stamps == pytest.approx([0.2] * len(stamps)), "of the observation that they are words on"
    np.testing.assert_allclose(word.data, [0.0, -1.0, 0.0, 0.0, 0.0, 0.0], atol=1e-6)
    assert rig.told()["in_control"] and rig.told()["takeovers"] == 1
    rig.push(0.0, 0.0)
    rig.until(lambda: not rig.words[-1].active)  # said, so that the last active word does not go on counting
    assert not rig.answer(3).active and not rig.told()["in_control"]


def test_a_device_lost_in_an_intervention_holds_and_goes_on(rigs: Callable[..., Rig]) -> None:
    rig = rigs(stream_timeout_s=0.3)
    rig.answer(1)
    rig.push(1.0)
    rig.until(lambda: rig.words[-1].active and rig.words[-1].data.size == 6)
    rig.until(lambda: rig.words[-1].active and rig.words[-1].data.size == 0)
    assert rig.answer(2).active and rig.told()["holding"] and "silent" in rig.told()["device_0"]
    assert rig.told()["losses"] == 1

    def back() -> bool:
        rig.push(-1.0)
        return rig.words[-1].data.size == 6

    rig.until(back)
    assert rig.words[-1].data[0] == pytest.approx(-1.0) and not rig.told()["holding"]
    assert rig.told()["takeovers"] == 1, "still the same intervention"


def test_told_to_stop_it_says_hands_off(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.answer(1)
    rig.push(1.0)
    rig.until(lambda: rig.words[-1].active)
    rig.node.stop()
    rig.until(lambda: not rig.words[-1].active)
    count = len(rig.words)
    rig.push(1.0)
    for _ in range(10):
        rig.executor.spin_once(timeout_sec=0.05)
    assert len(rig.words) == count, "and then nothing more"


def test_an_environment_of_another_action_is_refused_in_one_line(rigs: Callable[..., Rig]) -> None:
    rig = rigs(gripper="right-left")
    rig.describe(SPEC)
    rig.until(lambda: bool(rig.node.failure))
    assert "7 numbers, actions of reach have 6" in rig.node.failure and "\n" not in rig.node.failure
