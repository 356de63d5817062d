# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""VICE separates goals from what the policy visits, takes back what is exploited, and pays within bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reward_cases import CAMERAS, SIZE, labelled_bag, picture, spec

from serl_core.errors import ConfigError, SchemaError
from serl_core.parameters import from_mapping
from serl_reward.assembly import make_reward
from serl_reward.vice import ViceConfig, ViceReward
from serl_reward.vice_classifier import ViceClassifier

QUICK = ViceConfig(vice_filters=(8, 16), vice_hidden_size=16, vice_batch_size=32, vice_capacity=100,
                   vice_learning_rate=2e-3, vice_shift_pixels=1, vice_learns=True)  # fmt: skip
OPTIONS = {
    "plain": {"vice_mixup": 0.0, "vice_label_smoothing": 0.0},
    "mixup": {"vice_mixup": 1.0, "vice_label_smoothing": 0.0},
    "smoothing": {"vice_mixup": 0.0, "vice_label_smoothing": 0.2},
    "penalty": {"vice_mixup": 0.0, "vice_label_smoothing": 0.0, "vice_gradient_penalty": 10.0},
    "all": {"vice_mixup": 1.0, "vice_label_smoothing": 0.1, "vice_gradient_penalty": 1.0},
}


def frame(rng: np.random.Generator, success: bool) -> dict[str, np.ndarray]:
    return {camera: picture(rng, success) for camera in CAMERAS}


def goals(rng: np.random.Generator, count: int = 40) -> dict[str, np.ndarray]:
    frames = [frame(rng, True) for _ in range(count)]
    return {camera: np.stack([f[camera] for f in frames]) for camera in CAMERAS}


def made(**options: object) -> ViceClassifier:
    """A classifier with goals and 60 visited failures, untrained."""
    rng = np.random.default_rng(0)
    classifier = ViceClassifier(goals(rng), replace(QUICK, **options))
    for _ in range(60):
        classifier.visit(frame(rng, False))
    return classifier


def means(classifier: ViceClassifier) -> tuple[float, float]:
    """Mean probability of fresh goals and of fresh failures."""
    rng = np.random.default_rng(9)
    return tuple(np.mean([classifier.probability(frame(rng, s)) for _ in range(15)]) for s in (True, False))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_separates_goals_from_visited_states(options: dict[str, object]) -> None:
    classifier = made(**options)
    metrics = classifier.update(120)
    goal, failure = means(classifier)
    assert goal - failure > 0.4
    assert metrics["goal"] > metrics["visited"]
    assert np.isfinite(list(metrics.values())).all()


def test_a_policy_that_lives_at_the_goal_gets_one_half_not_one() -> None:
    classifier = made(vice_mixup=0.0, vice_label_smoothing=0.0)
    classifier.update(100)
    before, _ = means(classifier)
    rng = np.random.default_rng(5)
    for _ in range(100):
        classifier.visit(frame(rng, True))
    classifier.update(150)
    after, _ = means(classifier)
    assert before > 0.8
    assert 0.25 < after < 0.75


def test_what_is_exploited_stops_paying() -> None:
    """A picture that fools the classifier becomes a negative as soon as the policy goes there."""
    classifier = made(vice_mixup=0.0)
    classifier.update(60)
    rng = np.random.default_rng(2)
    cheat = frame(rng, True)
    for pixels in cheat.values():
        pixels[:4] = 255  # a goal with something in view that no goal shows
    before = classifier.probability(cheat)
    for _ in range(100):
        classifier.visit(cheat)
    classifier.update(120)
    assert classifier.probability(cheat) < min(0.3, before)
    assert means(classifier)[0] > 0.5, "the goals themselves still pay"


def test_smoothing_and_penalty_keep_it_from_certainty() -> None:
    extremes = {}
    for name in ("plain", "smoothing", "penalty"):
        classifier = made(vice_dropout=0.0, vice_shift_pixels=0, vice_brightness=0.0, **OPTIONS[name])
        classifier.update(250)
        extremes[name] = means(classifier)[0]
    assert extremes["smoothing"] < extremes["plain"]
    assert extremes["penalty"] < extremes["plain"]


def test_the_oldest_visited_state_gives_way() -> None:
    classifier = made()
    assert classifier.visited == 60
    rng = np.random.default_rng(1)
    for _ in range(80):
        classifier.visit(frame(rng, False))
    assert classifier.visited == QUICK.vice_capacity


def test_nothing_is_learned_before_anything_is_visited() -> None:
    classifier = ViceClassifier(goals(np.random.default_rng(0), 3), QUICK)
    before = classifier.digest()
    assert classifier.update(5) == {}
    assert classifier.digest() == before


def test_it_is_repeatable_and_goes_on_where_it_was(tmp_path: Path) -> None:
    first, second = made(), made()
    first.update(4)
    second.update(4)
    assert first.digest() == second.digest()
    first.save(tmp_path / "vice.safetensors")
    third = made()
    third.restore(tmp_path / "vice.safetensors")
    assert third.digest() == first.digest()
    assert third.update(1)["loss"] > 0.0
    assert third.digest() != first.digest()
    assert [p.name for p in tmp_path.iterdir()] == ["vice.safetensors"]


def test_the_state_of_another_classifier_is_refused(tmp_path: Path) -> None:
    made().save(tmp_path / "vice.safetensors")
    with pytest.raises(SchemaError, match="is of another VICE classifier"):
        made(vice_hidden_size=17).restore(tmp_path / "vice.safetensors")
    (tmp_path / "vice.safetensors").write_bytes(b"no")
    with pytest.raises(SchemaError, match="cannot be read"):
        made().restore(tmp_path / "vice.safetensors")


def test_pictures_of_other_cameras_are_refused() -> None:
    classifier = made()
    for images, told in (
        ({"wrist_1": np.zeros((SIZE, SIZE, 3), np.uint8)}, "wrist_2 of 24x24x3, here it is missing"),
        ({c: np.zeros((32, 32, 3), np.uint8) for c in CAMERAS}, "wrist_1 of 24x24x3, here it is 32x32x3"),
    ):
        with pytest.raises(SchemaError, match=told):
            classifier.probability(images)
        with pytest.raises(SchemaError, match=told):
            classifier.visit(images)


@pytest.mark.parametrize("pictures", [{}, {"wrist_1": np.zeros((0, 8, 8, 3), np.uint8)}])
def test_no_goals_no_vice(pictures: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match="needs pictures of the goal"):
        ViceClassifier(pictures, QUICK)


class Told:
    """A discriminator that says what the picture's only pixel does, in percent, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def probability(self, images: dict[str, np.ndarray]) -> float:
        self.asked.append("probability")
        return float(images["wrist"][0, 0, 0]) / 100.0

    def visit(self, images: dict[str, np.ndarray]) -> None:
        self.asked.append("visit")

    def update(self, updates: int) -> dict[str, float]:
        self.asked.append(f"update {updates}")
        return {"loss": 0.5}

    def save(self, path: Path) -> None:
        self.asked.append(f"save {path.name}")


def told(percent: int, **options: object) -> tuple[float, bool]:
    reward = ViceReward(Told(), ("wrist",), ViceConfig(**options))
    verdict = reward({}, {"wrist": np.full((1, 1, 3), percent, np.uint8)})
    assert verdict.probability == percent / 100
    return verdict.value, verdict.success


def test_what_is_paid_is_bounded_and_what_ends_an_episode_is_asked_for() -> None:
    assert told(0) == (0.0, False)
    assert told(100) == (1.0, False)
    assert told(60, vice_reward="binary") == (1.0, False)
    assert told(40, vice_reward="binary") == (0.0, False)
    assert told(95, vice_success=0.9) == (0.95, True)
    assert told(0, vice_success=0.0) == (0.0, False)


def test_every_state_is_judged_before_it_counts_as_visited_and_learned_from_between_episodes() -> None:
    classifier = Told()
    config = ViceConfig(vice_learns=True, vice_updates=7, vice_state="vice.safetensors")
    reward = ViceReward(classifier, ("wrist",), config)
    for _ in range(2):
        reward.reset()
        reward({}, {"wrist": np.zeros((1, 1, 3), np.uint8)})
    assert classifier.asked == ["update 7", "save vice.safetensors", "probability", "visit"] * 2
    assert reward.metrics == {"loss": 0.5}


def test_outside_training_it_judges_and_neither_learns_nor_overwrites_what_was_learned() -> None:
    classifier = Told()
    reward = ViceReward(classifier, ("wrist",), ViceConfig(vice_updates=7, vice_state="vice.safetensors"))
    for _ in range(2):
        reward.reset()
        reward({}, {"wrist": np.zeros((1, 1, 3), np.uint8)})
    assert classifier.asked == ["probability"] * 2


def test_the_reward_is_made_from_a_labelled_bag_and_goes_on_from_its_file(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=3)
    quick = {k: v for k, v in vars(QUICK).items() if v != getattr(ViceConfig(), k)}
    values = {
        **quick,
        "vice_goals": [str(bag)],
        "vice_state": str(tmp_path / "state"),
        "vice_first_updates": 60,
    }

    def build() -> ViceReward:
        return make_reward(
            "serl_reward.vice:ViceReward", lambda config: from_mapping(config, values, "env.yaml")
        )

    reward = build()
    assert reward.cameras == CAMERAS
    assert reward.metrics["goal"] > reward.metrics["visited"]
    rng = np.random.default_rng(3)
    reward.reset()
    verdicts = [reward({}, frame(rng, success)).value for success in (True, False) for _ in range(8)]
    assert all(0.0 <= value <= 1.0 for value in verdicts)
    assert np.mean(verdicts[:8]) > np.mean(verdicts[8:])
    reward.reset()
    seen = frame(rng, True)
    assert build()({}, seen).value == reward({}, seen).value


@pytest.mark.parametrize(
    ("goals", "told"), [([], "needs parameter vice_goals"), (["missing"], "missing has no labels")]
)
def test_no_goals_no_reward(
    goals: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=told):
        make_reward(
            "serl_reward.vice:ViceReward",
            lambda config: from_mapping(config, {"vice_goals": goals}, "env.yaml"),
        )


def test_labels_that_are_all_failures_are_no_goals(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=2, successes=0, of=spec())
    with pytest.raises(ConfigError, match="needs pictures of the goal"):
        ViceReward.from_parameters(ViceConfig(vice_goals=(str(bag),)))
