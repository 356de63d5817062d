# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The classifier learns what its cameras show, comes back from disk as it was, and refuses other cameras."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reward_cases import CAMERAS, SIZE, picture, toy_frames

from serl_core.errors import ConfigError, SchemaError
from serl_learner.vision.backbone_file import backbone_bytes, leaf_shapes, make_backbone
from serl_reward.classifier import image_classifier
from serl_reward.classifier.calibration import Calibration
from serl_reward.classifier.classifier_training import augmented, balanced_rows, train
from serl_reward.classifier.config import TrainingConfig
from serl_reward.classifier.image_classifier import ImageClassifier, NetworkConfig, load_classifier

QUICK = TrainingConfig(filters=(8, 16, 16), hidden_size=32, updates=120, batch_size=32, shift_pixels=1)


def quiet(line: str) -> None:
    assert "\n" not in line


@pytest.fixture(scope="module")
def trained() -> object:
    frames = toy_frames(np.random.default_rng(0), episodes=12, per_episode=20, successes=6)
    held_out = np.repeat(np.arange(12) % 3 == 0, 20)
    return train(frames, held_out, QUICK, quiet)


@pytest.fixture(scope="module")
def classifier(trained: object) -> ImageClassifier:
    return trained.classifier


def untrained(size: int = SIZE, cameras: tuple[str, ...] = CAMERAS, **options: object) -> ImageClassifier:
    network = NetworkConfig.of(dict.fromkeys(cameras, (size, size, 3)), (4, 4), 8)
    params = image_classifier.init(jax.random.key(0), network)
    leaves = {name: np.asarray(leaf) for name, leaf in params.items()}
    return ImageClassifier(network, leaves, Calibration(2.0, -0.5), 0.75, **options)


def frame(rng: np.random.Generator, success: bool, size: int = SIZE) -> dict[str, np.ndarray]:
    return {camera: picture(rng, success, size) for camera in CAMERAS}


def test_it_learns_what_success_looks_like(trained: object) -> None:
    assert trained.scores.accuracy > 0.95
    assert trained.cross_fitted
    assert np.mean(trained.losses[-10:]) < 0.5 * np.mean(trained.losses[:10])
    rng = np.random.default_rng(99)
    for success in (True, False):
        verdicts = [trained.classifier.probability(frame(rng, success)) >= trained.classifier.threshold
                    for _ in range(20)]  # fmt: skip
        assert np.mean(np.array(verdicts) == success) > 0.9


def test_training_is_repeatable() -> None:
    frames = toy_frames(np.random.default_rng(0), episodes=4, per_episode=6, successes=2, size=16)
    short = TrainingConfig(filters=(4,), hidden_size=8, updates=3, batch_size=4)
    first, second = (train(frames, np.repeat([True, False], 12), short, quiet).classifier for _ in range(2))
    for name, leaf in first.leaves.items():
        assert np.array_equal(leaf, second.leaves[name]), name


def test_one_frame_and_many_give_the_same(classifier: ImageClassifier) -> None:
    rng = np.random.default_rng(1)
    frames = [frame(rng, bool(i % 2)) for i in range(image_classifier.BATCH + 3)]
    together = classifier.probabilities({c: np.stack([f[c] for f in frames]) for c in CAMERAS})
    assert together.shape == (len(frames),)
    apart = [classifier.probability(f) for f in frames]
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-6)


def test_it_comes_back_from_disk_as_it_was(classifier: ImageClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "toy", "<p>fine</p>")
    again = load_classifier(tmp_path / "toy")
    seen = frame(np.random.default_rng(2), True)
    assert again.probability(seen) == classifier.probability(seen)
    assert (again.threshold, again.calibration, again.facts) == (
        classifier.threshold, classifier.calibration, classifier.facts,
    )  # fmt: skip
    assert again.network == classifier.network
    assert sorted(p.name for p in (tmp_path / "toy").iterdir()) == [
        "classifier.json", "classifier.safetensors", "report.html",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_saving_replaces_a_classifier_and_nothing_else(tmp_path: Path) -> None:
    untrained().save(tmp_path / "toy", "old")
    untrained(cameras=("side",)).save(tmp_path / "toy")
    assert load_classifier(tmp_path / "toy").cameras == ("side",)
    assert not (tmp_path / "toy" / "report.html").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("work of years")
    with pytest.raises(ConfigError, match="is no classifier; choose another folder"):
        untrained().save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter").exists()


def test_what_lies_beside_a_classifier_is_not_thrown_away_with_it(tmp_path: Path) -> None:
    folder = untrained().save(tmp_path / "toy", "old")
    (folder / "demos").mkdir()
    with pytest.raises(ConfigError, match="holds demos beside the classifier"):
        untrained().save(folder)
    assert (folder / "demos").is_dir() and load_classifier(folder).cameras == CAMERAS


def test_the_working_directory_is_a_folder_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path / "toy")
    assert untrained().save(".") == tmp_path / "toy"
    assert load_classifier(tmp_path / "toy").cameras == CAMERAS


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ({"wrist_1": (24, 24, 3)}, "judges by camera 'wrist_2', there is wrist_1"),
        ({}, "judges by camera 'wrist_1', there is none"),
        (
            {"wrist_1": (24, 24, 3), "wrist_2": (32, 24, 3)},
            "trained on wrist_2 of 24x24x3, here it is 32x24x3",
        ),
        ({"wrist_1": (24, 24), "wrist_2": (24, 24, 3)}, "trained on wrist_1 of 24x24x3, here it is 24x24"),
    ],
)
def test_other_cameras_are_refused_in_one_line(images: dict[str, tuple[int, ...]], told: str) -> None:
    with pytest.raises(SchemaError, match=told) as raised:
        untrained().probability({name: np.zeros(shape, np.uint8) for name, shape in images.items()})
    assert "\n" not in str(raised.value)


def test_more_cameras_than_needed_are_none_of_its_business() -> None:
    seen = {**frame(np.random.default_rng(0), True), "side": np.zeros((480, 640, 3), np.uint8)}
    assert 0.0 < untrained().probability(seen) < 1.0


def test_the_fingerprint_tells_cameras_sizes_and_network_apart() -> None:
    prints = [
        untrained(16),
        untrained(24),
        untrained(cameras=("side",)),
        untrained(cameras=("wrist_2", "wrist_1")),
    ]
    assert len({c.network.fingerprint for c in prints}) == 3, "the order of cameras does not matter"


@pytest.mark.parametrize("damage", ["weights", "json", "format", "network", "missing", "threshold"])
def test_damage_is_told_in_one_line(damage: str, tmp_path: Path) -> None:
    folder = untrained().save(tmp_path / "toy")
    path = folder / "classifier.json"
    description = json.loads(path.read_text())
    if damage == "weights":
        (folder / "classifier.safetensors").write_bytes((folder / "classifier.safetensors").read_bytes()[:-1])
    elif damage == "json":
        path.write_text("{")
    elif damage == "missing":
        (folder / "classifier.safetensors").unlink()
    else:
        if damage == "format":
            description["serl_classifier"] = 2
        elif damage == "network":
            description["network"]["hidden_size"] = 9
        else:
            del description["threshold"]
        path.write_text(json.dumps(description))
    with pytest.raises((SchemaError, ConfigError)) as raised:
        load_classifier(folder)
    assert "\n" not in str(raised.value)
    assert "toy" in str(raised.value)


def test_weights_that_are_not_finite_are_refused() -> None:
    good = untrained()
    leaves = good.leaves
    leaves["verdict/bias"] = np.array([np.nan], np.float32)
    with pytest.raises(SchemaError, match="verdict/bias contains NaN"):
        ImageClassifier(good.network, leaves, Calibration(), 0.5)


def test_a_folder_without_a_classifier(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no classifier: make one with"):
        load_classifier(tmp_path)


def test_batches_are_balanced_whatever_the_data() -> None:
    success = np.arange(100) < 3
    rows = balanced_rows(success, (50, 9), np.random.default_rng(0))
    assert rows.shape == (50, 9)
    assert (success[rows].sum(1) == 4).all()
    assert set(rows[success[rows]]) == {0, 1, 2}


def test_augmentation_shifts_and_changes_brightness_within_bounds() -> None:
    images = np.zeros((64, 12, 12, 3), np.uint8)
    images[:, 6, 6] = 100
    seen = np.asarray(augmented(jax.random.key(0), jnp.asarray(images), 2, 0.2))
    assert seen.dtype == np.uint8
    brightness, places = seen.reshape(64, -1).max(1), [tuple(np.argwhere(s[..., 0])[0]) for s in seen]
    assert 80 <= brightness.min() < 90 < 110 < brightness.max() <= 120
    assert {p[0] for p in places} == {p[1] for p in places} == {4, 5, 6, 7, 8}
    assert np.array_equal(augmented(jax.random.key(0), jnp.asarray(images), 0, 0.0), images)
    white = np.full((8, 4, 4, 3), 255, np.uint8)
    assert np.asarray(augmented(jax.random.key(1), jnp.asarray(white), 0, 0.5)).max() == 255, (
        "no overflow to dark"
    )


def test_a_frozen_resnet_is_trained_on_and_saved_with_the_classifier(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    leaves = {name: 0.1 * rng.standard_normal(shape).astype(np.float32)
              for name, shape in leaf_shapes((4, 4, 8, 8)).items()}  # fmt: skip
    (tmp_path / "tiny.safetensors").write_bytes(backbone_bytes(make_backbone(leaves, "tiny")))
    config = TrainingConfig(encoder="resnet10", resnet10_weights=str(tmp_path / "tiny.safetensors"), hidden_size=8,
                            updates=4, batch_size=4)  # fmt: skip
    frames = toy_frames(rng, episodes=4, per_episode=6, successes=2, size=32)
    made = train(frames, np.repeat([True, False], 12), config, quiet).classifier
    made.save(tmp_path / "toy")
    (tmp_path / "tiny.safetensors").unlink()
    again = load_classifier(tmp_path / "toy")
    seen = frame(rng, True, 32)
    assert again.probability(seen) == made.probability(seen)
    with pytest.raises(SchemaError, match="trained with another ResNet-10"):
        ImageClassifier(made.network, made.leaves, Calibration(), 0.5)


def test_a_resnet_needs_its_weights() -> None:
    frames = toy_frames(np.random.default_rng(0), episodes=2, per_episode=4, successes=2)
    with pytest.raises(ConfigError, match="needs its weights: fetch"):
        train(frames, np.arange(8) < 4, TrainingConfig(encoder="resnet10"), quiet)
