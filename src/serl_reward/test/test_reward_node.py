# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The reward node on the wire: a verdict on each observation, and a plain word where it cannot judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from reward_cases import observation, spec

from serl_core import codec, contract
from serl_reward.pose import PoseRewardConfig
from serl_reward.reward_node import RewardNode

PATIENCE = 20.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""

SPEC = spec()


class Seeing:
    """A reward by pose that claims to need cameras."""

    Config = PoseRewardConfig
    cameras = ("wrist_1", "side")
    name = "seeing"

    @classmethod
    def from_parameters(cls, config: Any) -> Seeing:
        return cls()

    def reset(self) -> None:
        """Nothing to forget."""


class Rig:
    """The node with an environment that it judges."""

    def __init__(self, reward: str) -> None:
        self.node = RewardNode()
        self.node.declare_parameter("reward", reward)
        self.env = rclpy.create_node("env")
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.env):
            self.executor.add_node(node)
        self.verdicts: list[Any] = []
        contract.subscription(self.env, contract.REWARD, self.verdicts.append)
        self._observations = contract.publisher(self.env, contract.OBSERVATION)
        self._description = contract.publisher(self.env, contract.ENV_DESCRIPTION)
        self.configured = self.node.trigger_configure()

    def activate(self) -> None:
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        self.until(lambda: bool(self._observations.get_subscription_count()))

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, "it did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def describe(self, of: Any = SPEC) -> None:
        self._description.publish(codec.to_description(of, "toy-1"))

    def show(self, step: int, success: bool) -> Any:
        """Send an observation, again and again as the environment does, until it is judged."""
        message = codec.to_observation(SPEC, observation(SPEC, 4, step, success), request=True)

        def judged() -> bool:
            self._observations.publish(message)
            return any(verdict.step == step for verdict in self.verdicts)

        self.until(judged)
        return next(verdict for verdict in self.verdicts if verdict.step == step)

    def close(self) -> None:
        self.node.stop()
        self.node.release()
        self.executor.shutdown()
        self.node.destroy_node()
        self.env.destroy_node()


@pytest.fixture
def rigs() -> Iterator[Callable[[str], Rig]]:
    rclpy.init()
    made: list[Rig] = []

    def make(reward: str = "serl_reward.pose:PoseReward") -> Rig:
        made.append(Rig(reward))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
    rclpy.shutdown()


def test_every_observation_gets_its_verdict(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.activate()
    rig.describe()
    for step, success in enumerate((False, True, False)):
        verdict = rig.show(step, success)
        assert (verdict.episode_id, verdict.step, verdict.source) == (4, step, "pose")
        assert (verdict.value, verdict.success) == (float(success), success)
        assert codec.from_time(verdict.header.stamp) == pytest.approx(0.1 * step)
    figures = rig.node.diagnostics()
    assert (figures["judged"], figures["missed"]) == (3, 0)
    assert figures["p99_ms"] >= figures["p50_ms"] > 0.0


def test_it_judges_only_while_active(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.activate()
    rig.describe()
    rig.show(0, False)
    rig.node.trigger_deactivate()
    message = codec.to_observation(SPEC, observation(SPEC, 4, 1, True))
    for _ in range(10):
        rig._observations.publish(message)
        rig.executor.spin_once(timeout_sec=0.02)
    assert not any(verdict.step == 1 for verdict in rig.verdicts)
    assert rig.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert rig.show(2, True).success


def test_an_environment_without_its_cameras_is_told_and_ends_it(rigs: Callable[..., Rig]) -> None:
    rig = rigs("test_reward_node:Seeing")
    rig.activate()
    rig.describe()
    rig.until(lambda: bool(rig.node.failure))
    assert "judges by camera 'side'; the environment of toy sends wrist_1, wrist_2" in rig.node.failure


def test_an_environment_of_other_observations_ends_it(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.activate()
    rig.describe(replace(SPEC, max_steps=7))
    message = codec.to_observation(SPEC, observation(SPEC, 0, 0, False))

    def failed() -> bool:
        rig._observations.publish(message)
        return bool(rig.node.failure)

    rig.until(failed)
    assert "observation schema is" in rig.node.failure


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        ("serl_reward.pose:PoseRewrad", "did you mean PoseReward"),
        ("serl_reward.classifier.reward:ClassifierReward", "needs parameter classifier"),
    ],
)
def test_a_reward_that_cannot_be_made_fails_the_configuration(
    rigs: Callable[..., Rig], reward: str, told: str
) -> None:
    rig = rigs(reward)
    assert rig.configured == TransitionCallbackReturn.FAILURE
    assert told in rig.node.failure
    assert "\n" not in rig.node.failure
