# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Rewards made of rewards: what they ask of their parts, and how a task's parameters make them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serl_core.errors import ConfigError
from serl_core.parameters import from_mapping
from serl_core.types import RewardSignal
from serl_reward.assembly import config_classes, make_reward
from serl_reward.combination import AllOf, AllOfConfig, Stages, StagesConfig
from serl_reward.height import HeightReward, HeightRewardConfig
from serl_reward.hysteresis import Hysteresis
from serl_reward.pose import PoseReward

NAN = float("nan")
ALL_OF = "serl_reward.combination:AllOf"
STAGES = "serl_reward.combination:Stages"
POSE = "serl_reward.pose:PoseReward"
HEIGHT = "serl_reward.height:HeightReward"
AWAITED = "serl_reward.awaited:AwaitedReward"


class Scripted:
    """A part that says what `state` says under its name: a verdict, or a probability of success."""

    def __init__(self, name: str, *cameras: str) -> None:
        self.name = name
        self.cameras = cameras
        self.calls = 0
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def __call__(self, state: dict[str, Any], images: dict[str, np.ndarray] | None = None) -> RewardSignal:
        self.calls += 1
        said = state[self.name]
        if isinstance(said, bool):
            return RewardSignal(float(said), said, self.name)
        return RewardSignal(float(said >= 0.5), said >= 0.5, self.name, said)


@pytest.mark.parametrize(("a", "b"), [(False, False), (True, False), (False, True), (True, True)])
def test_all_parts_must_agree(a: bool, b: bool) -> None:
    reward = AllOf([Scripted("a"), Scripted("b")], AllOfConfig())
    verdict = reward({"a": a, "b": b})
    assert (verdict.value, verdict.success, verdict.source) == (float(a and b), a and b, "a+b")
    assert math.isnan(verdict.probability)


@pytest.mark.parametrize(
    ("a", "b", "probability"),
    [(0.9, True, 0.9), (0.9, False, 0.0), (0.9, 0.7, 0.7), (0.2, 0.7, 0.2), (NAN, 0.7, 0.0)],
)
def test_the_least_probable_part_gives_the_probability(a: Any, b: Any, probability: float) -> None:
    verdict = AllOf([Scripted("a"), Scripted("b")], AllOfConfig())({"a": a, "b": b})
    assert verdict.probability == probability
    assert verdict.success == (probability >= 0.5)


def test_every_part_sees_every_step_and_every_reset() -> None:
    parts = [Scripted("a"), Scripted("b")]
    reward = AllOf(parts, AllOfConfig())
    reward({"a": False, "b": True})
    reward.reset()
    assert [(part.calls, part.resets) for part in parts] == [(1, 1), (1, 1)]


def test_agreement_must_last() -> None:
    reward = AllOf([Scripted("a"), Scripted("b")], AllOfConfig(success_steps=3))
    verdicts = [reward({"a": a, "b": True}).success for a in (True, True, False, True, True, True)]
    assert verdicts == [False, False, False, False, False, True]
    reward.reset()
    assert not reward({"a": True, "b": True}).success


def test_cameras_are_those_of_all_parts_once_each() -> None:
    parts = [Scripted("a", "left", "right"), Scripted("b"), Scripted("c", "right", "side")]
    for reward in (AllOf(parts, AllOfConfig()), Stages(parts, StagesConfig())):
        assert reward.cameras == ("left", "right", "side")


def test_stages_are_reached_in_order_only() -> None:
    reward = Stages([Scripted("a"), Scripted("b")], StagesConfig())
    assert not reward({"a": False, "b": True}).success
    first = reward({"a": True, "b": True})
    assert (first.value, first.success, first.source) == (0.0, False, "a (stage 1 of 2)")
    second = reward({"a": False, "b": True})
    assert (second.value, second.success, second.source) == (1.0, True, "b (stage 2 of 2)")


def test_a_stage_must_last_and_is_paid_once() -> None:
    parts = [Scripted("a"), Scripted("b")]
    reward = Stages(parts, StagesConfig(success_steps=2, stage_reward=0.25))
    steps = [
        (True, False),
        (False, False),
        (True, False),
        (True, False),
        (True, False),
        (True, True),
        (True, True),
    ]
    verdicts = [reward({"a": a, "b": b}) for a, b in steps]
    assert [v.value for v in verdicts] == [0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 1.0]
    assert [v.success for v in verdicts] == [False] * 6 + [True]
    assert parts[1].resets == 1, "a part starts fresh when its stage begins"


def test_a_new_episode_begins_with_the_first_stage() -> None:
    reward = Stages([Scripted("a"), Scripted("b")], StagesConfig())
    reward({"a": True, "b": False})
    assert reward.stage == 1
    reward.reset()
    assert reward.stage == 0
    assert not reward({"a": False, "b": True}).success


@pytest.mark.parametrize(("kind", "config"), [(AllOf, AllOfConfig()), (Stages, StagesConfig())])
def test_nothing_to_combine_is_refused(kind: Callable, config: Any) -> None:
    with pytest.raises(ConfigError, match="reward_parts is empty"):
        kind([], config)


def test_hysteresis_asks_for_a_row_in_both_directions() -> None:
    verdict = Hysteresis(on=0.8, off=0.3, steps=2)
    values = [0.8, 0.7, 0.8, 0.9, 0.5, 0.1, 0.3, 0.29, 0.0, 0.9]
    assert [verdict.update(v) for v in values] == [
        False, False, False, True, True, True, True, True, False, False,
    ]  # fmt: skip


def test_the_unknown_never_makes_nor_ends_a_success() -> None:
    verdict = Hysteresis(on=0.5, off=0.5, steps=2)
    assert [verdict.update(v) for v in (1.0, NAN, 1.0, NAN)] == [False] * 4
    assert [verdict.update(v) for v in (1.0, 1.0, 0.0, NAN, 0.0)] == [False, True, True, True, True]
    assert not verdict.update(0.0)


def test_hysteresis_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ConfigError, match="must not lie above"):
        Hysteresis(on=0.5, off=0.6)


def seen_from_above(height: float, turned: bool = False) -> dict[str, np.ndarray]:
    """A tcp straight above the goal, its z down as a gripper's is, or level with the base's axes."""
    rotation = [1.0, 0.0, 0.0, 0.0] if turned else [0.0, 0.0, 0.0, 1.0]
    below = height if turned else -height
    return {
        "tcp_pose": np.array([0.5, 0.0, 0.3, *rotation], np.float32),
        "goal_pose": np.array([0.03, -0.02, below, 0.0, 0.0, 0.0], np.float32),
    }


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("height", "success"), [(-0.0101, False), (-0.0099, True), (0.0019, True), (0.0021, False)]
)
def test_height_is_measured_along_the_bases_z_whatever_the_tool_does(
    height: float, success: bool, turned: bool
) -> None:
    reward = HeightReward(HeightRewardConfig((-0.01, 0.002)))
    verdict = reward(seen_from_above(height, turned))
    assert (verdict.value, verdict.success) == (float(success), success)


def test_a_height_that_is_not_known_is_no_success() -> None:
    reward = HeightReward(HeightRewardConfig())
    state = seen_from_above(0.0)
    state["goal_pose"][2] = np.nan
    assert not reward(state).success


def test_heights_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ConfigError, match="lowest 0.1 exceeds highest 0"):
        HeightRewardConfig((0.1, 0.0))


def reader(**values: Any) -> Callable[[type], Any]:
    """Read config classes from values as a node does from its parameters."""

    def read(config: type) -> Any:
        names = {f for f in config.__dataclass_fields__ if f in values}
        return from_mapping(config, {name: values[name] for name in names}, "env.yaml")

    return read


def test_one_reward_is_made_of_its_own_parameters() -> None:
    reward = make_reward(POSE, reader(goal_tolerance_m=[1.0, 1.0, 1.0], goal_tolerance_rad=[1.0, 1.0, 1.0]))
    assert isinstance(reward, PoseReward)
    assert reward({"goal_pose": np.full(6, 0.5)}).success


def test_parts_of_one_class_have_parameters_of_their_own() -> None:
    values = {
        "reward_parts": [f"near={HEIGHT}", f"seated={HEIGHT}"],
        "near_success_height": [0.0, 0.1],
        "seated_success_height": [0.0, 0.01],
    }
    reward = make_reward(STAGES, reader(**values))
    assert not reward(seen_from_above(0.2)).success
    assert not reward(seen_from_above(0.05)).success
    assert not reward(seen_from_above(0.05)).success
    assert reward(seen_from_above(0.005)).success
    assert [f for cls in config_classes(STAGES, values) for f in cls.__dataclass_fields__] == [
        "reward_parts", "success_steps", "stage_reward", "near_success_height", "seated_success_height",
    ]  # fmt: skip


def test_combinations_nest() -> None:
    values = {
        "reward_parts": [f"path={STAGES}", POSE],
        "path_reward_parts": [f"near={HEIGHT}", HEIGHT],
        "path_near_success_height": [0.0, 0.1],
        "path_success_height": [0.0, 0.01],
        "goal_tolerance_m": [1.0, 1.0, 1.0],
    }
    reward = make_reward(ALL_OF, reader(**values))
    assert [reward(seen_from_above(h)).success for h in (0.005, 0.005, 0.05)] == [False, True, False]
    names = [f for cls in config_classes(ALL_OF, values) for f in cls.__dataclass_fields__]
    assert set(values) <= set(names)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        (ALL_OF, {"reward_parts": [ALL_OF]}, "among its own reward_parts"),
        (ALL_OF, {"reward_parts": [STAGES]}, "among its own reward_parts"),
        (ALL_OF, {}, "reward_parts is empty"),
        (f"1st={POSE}", {}, "must be a plain name"),
        (f"={POSE}", {}, "must be a plain name"),
        ("serl_reward.pose:PoseRewrad", {}, "did you mean PoseReward"),
        ("serl_reward.pose:np", {}, "is no reward"),
        (f"near={HEIGHT}", {"near_success_height": [0.2, 0.1]}, "lowest 0.2 exceeds highest 0.1"),
        (f"near={HEIGHT}", {"near_success_height": [0.2]}, "near_success_height must have 2 elements"),
    ],
)
def test_a_reward_that_cannot_be_made(name: str, values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        make_reward(name, reader(**values))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (ALL_OF, {"reward_parts": [POSE, AWAITED]}),
        (f"whole={STAGES}", {"whole_reward_parts": [f"learned={AWAITED}", POSE]}),
        (ALL_OF, {"reward_parts": [f"path={STAGES}", POSE], "path_reward_parts": [AWAITED]}),
    ],
)
def test_a_verdict_of_another_process_is_no_part(name: str, values: dict[str, Any]) -> None:
    """Nobody would ask for it: the part would say unknown for ever."""
    for refuse in (lambda: make_reward(name, reader(**values)), lambda: config_classes(name, values)):
        with pytest.raises(ConfigError, match=r"AwaitedReward' cannot be among its reward_parts") as raised:
            refuse()
        assert "\n" not in str(raised.value)


def test_parts_that_are_no_list_are_refused() -> None:
    with pytest.raises(ConfigError, match="reward_parts must be a list of str"):
        config_classes(ALL_OF, {"reward_parts": POSE})
