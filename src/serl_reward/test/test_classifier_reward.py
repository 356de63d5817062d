# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The reward by classifier: threshold, hysteresis, and what it asks of the environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reward_cases import labelled_bag

from serl_core.errors import ConfigError, SchemaError
from serl_core.parameters import from_mapping
from serl_reward.assembly import make_reward
from serl_reward.classifier import command
from serl_reward.classifier.config import ClassifierRewardConfig
from serl_reward.classifier.reward import ClassifierReward

NAME = "serl_reward.classifier.reward:ClassifierReward"


class Told:
    """A classifier that says what the picture's only pixel does, in percent."""

    cameras = ("wrist",)
    threshold = 0.8

    def probability(self, images: dict[str, np.ndarray]) -> float:
        return float(images["wrist"][0, 0, 0]) / 100.0


def judged(config: ClassifierRewardConfig, *percents: int) -> list[bool]:
    reward = ClassifierReward(Told(), config)
    return [reward({}, {"wrist": np.full((1, 1, 3), p, np.uint8)}).success for p in percents]


def test_the_verdict_carries_the_probability() -> None:
    verdict = ClassifierReward(Told(), ClassifierRewardConfig())(
        {}, {"wrist": np.full((1, 1, 3), 85, np.uint8)}
    )
    assert (verdict.value, verdict.success, verdict.source, verdict.probability) == (
        1.0,
        True,
        "classifier",
        0.85,
    )


def test_the_threshold_is_that_of_the_training_unless_another_is_asked_for() -> None:
    assert judged(ClassifierRewardConfig(), 79) == [False]
    assert judged(ClassifierRewardConfig(), 80) == [True]
    assert judged(ClassifierRewardConfig(classifier_threshold=0.5), 50) == [True]


def test_a_success_is_taken_back_only_well_below_the_threshold() -> None:
    assert judged(ClassifierRewardConfig(classifier_margin=0.2), 80, 70, 61, 59, 70) == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert judged(ClassifierRewardConfig(classifier_margin=1.0), 80, 0) == [True, True]


def test_a_success_must_last() -> None:
    config = ClassifierRewardConfig(classifier_steps=2, classifier_margin=0.0)
    assert judged(config, 90, 10, 90, 90, 10, 90, 10, 10) == [
        False, False, False, True, True, True, True, False,
    ]  # fmt: skip


def test_an_episode_begins_without_success() -> None:
    reward = ClassifierReward(Told(), ClassifierRewardConfig())
    assert reward({}, {"wrist": np.full((1, 1, 3), 90, np.uint8)}).success
    reward.reset()
    assert not reward({}, {"wrist": np.full((1, 1, 3), 70, np.uint8)}).success


def test_an_environment_without_images_is_told() -> None:
    with pytest.raises(SchemaError, match="needs images"):
        ClassifierReward(Told(), ClassifierRewardConfig())({})


def test_no_classifier_no_reward(tmp_path: Path) -> None:
    def read(config: type) -> object:
        return from_mapping(config, values, "env.yaml")

    values: dict[str, object] = {}
    with pytest.raises(ConfigError, match="needs parameter classifier"):
        make_reward(NAME, read)
    values["classifier"] = str(tmp_path)
    with pytest.raises(ConfigError, match="holds no classifier"):
        make_reward(NAME, read)


def test_a_trained_classifier_rewards_what_it_was_trained_on(tmp_path: Path) -> None:
    from reward_cases import observation, spec

    settings = {"filters": [8, 16], "hidden_size": 16, "updates": 60, "batch_size": 16, "shift_pixels": 1,
                "positives": 0, "negatives": 0}  # fmt: skip
    command.train(
        [labelled_bag(tmp_path / "bag", episodes=8)], tmp_path / "toy", settings, note=lambda _: None
    )
    values = {"reward_parts": [NAME, "serl_reward.pose:PoseReward"], "classifier": str(tmp_path / "toy")}
    reward = make_reward(
        "serl_reward.combination:AllOf",
        lambda config: from_mapping(
            config, {k: v for k, v in values.items() if k in config.__dataclass_fields__}, "x"
        ),
    )
    assert (reward.name, reward.cameras) == ("classifier+pose", ("wrist_1", "wrist_2"))
    right = 0
    for success in (True, False):
        for step in range(10):
            seen = observation(spec(), 99, step, success)
            right += reward(seen.state, seen.images).success == success
    assert right >= 18
