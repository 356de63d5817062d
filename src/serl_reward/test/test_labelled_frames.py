# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Which frames a classifier gets to see, and what cannot be learned from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from reward_cases import CAMERAS, SIZE, labelled_bag, observation, spec

from serl_core.errors import BagError, ConfigError, SchemaError
from serl_learner.bag.labels import FrameKey, Labels, read_labels, write_labels
from serl_reward.classifier.frames import check_classes, joined, read_labelled, split_by_episode


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_bag(tmp_path_factory.mktemp("bags") / "bag", episodes=4, failures=5, successes=3)


def test_every_labelled_frame_comes_with_its_own_pictures(bag: Path) -> None:
    frames = read_labelled([bag])
    assert frames.shapes == dict.fromkeys(CAMERAS, (SIZE, SIZE, 3))
    assert len(frames) == 4 * 8
    labels = read_labels(bag).frames
    for i, key in enumerate(frames.keys):
        assert frames.success[i] == labels[key]
        seen = observation(spec(), key.episode_id, key.step, labels[key])
        for camera in CAMERAS:
            assert np.array_equal(frames.images[camera][i], seen.images[camera])


def test_frames_without_a_label_are_left_out(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=2, failures=3, successes=2)
    labels = Labels({FrameKey("toy-1", 0, 4): True, FrameKey("toy-1", 1, 0): False})
    write_labels(bag, labels)
    assert dict(zip((f := read_labelled([bag])).keys, f.success, strict=True)) == labels.frames


def test_a_draw_takes_evenly_from_all_episodes_and_is_repeatable(bag: Path) -> None:
    frames = read_labelled([bag], positives=6, negatives=8, seed=3)
    assert (np.count_nonzero(frames.success), np.count_nonzero(~frames.success)) == (6, 8)
    for label, each in ((True, {1, 2}), (False, {2})):
        counts = Counter(e for e, s in zip(frames.episodes, frames.success, strict=True) if s == label)
        assert len(counts) == 4
        assert set(counts.values()) == each
    assert read_labelled([bag], positives=6, negatives=8, seed=3).keys == frames.keys
    assert read_labelled([bag], positives=6, negatives=8, seed=4).keys != frames.keys


def test_cameras_can_be_chosen(bag: Path) -> None:
    assert list(read_labelled([bag], ("wrist_2",)).images) == ["wrist_2"]
    with pytest.raises(ConfigError, match=r"no camera 'wrist_3' \(did you mean .*it has wrist_1, wrist_2"):
        read_labelled([bag], ("wrist_3",))


def test_a_bag_without_labels_is_refused(bag: Path, tmp_path: Path) -> None:
    other = labelled_bag(tmp_path / "other", episodes=1)
    (other / "labels.json").unlink()
    with pytest.raises(ConfigError, match=r"other has no labels: mark its frames with ./serl label"):
        read_labelled([bag, other])


def test_labels_of_another_recording_are_refused(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=1, failures=2, successes=1)
    write_labels(bag, Labels({FrameKey("another", 0, 0): True}))
    with pytest.raises(ConfigError, match="none of its 1 labels names a frame of it"):
        read_labelled([bag])


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path, Labels({FrameKey("a", 0, 0): True}))
    with pytest.raises(BagError, match="is not a bag"):
        read_labelled([tmp_path])
    with pytest.raises(ConfigError, match="no bag"):
        read_labelled([])


def test_a_bag_without_images_is_refused(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=1, of=spec(cameras=()))
    with pytest.raises(ConfigError, match="no images; record with cameras"):
        read_labelled([bag])


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    bags = [
        labelled_bag(tmp_path / f"bag{size}", episodes=1, env_id=f"toy-{size}", of=spec(size=size))
        for size in (16, 24)
    ]
    with pytest.raises(SchemaError, match="wrist_1 is 24x24x3, elsewhere 16x16x3"):
        read_labelled(bags)
    with pytest.raises(SchemaError, match="wrist_1 is 24x24x3, elsewhere 16x16x3"):
        joined([read_labelled([bag]) for bag in bags])


def test_a_frame_in_two_bags_counts_once(bag: Path, tmp_path: Path) -> None:
    copy = labelled_bag(tmp_path / "copy", episodes=4, failures=5, successes=3)
    assert len(read_labelled([bag, copy])) == 32
    both = joined([read_labelled([bag], positives=1, negatives=1), read_labelled([copy])])
    assert len(both) == len(set(both.keys)) == 32


@pytest.mark.parametrize(("labels", "told"), [([True] * 3, "all 3 labels are successes; label failures"),
                                              ([False] * 2, "all 2 labels are failures; label successes"),
                                              ([], "all 0 labels are failures")])  # fmt: skip
def test_labels_all_of_one_class_are_refused(labels: list[bool], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_classes(np.array(labels, bool), "bag")


def split(verdicts: dict[int, list[bool]], **options: object) -> tuple[set[int], set[int]]:
    """Split episodes by number; return those trained on and those held out, and check that none is on both sides."""
    episodes = [("env", number) for number, row in verdicts.items() for _ in row]
    success = np.array([v for row in verdicts.values() for v in row])
    mask = split_by_episode(episodes, success, **{"fraction": 0.25, "seed": 0, **options})
    held_out = {e[1] for e, m in zip(episodes, mask, strict=True) if m}
    trained_on = {e[1] for e, m in zip(episodes, mask, strict=True) if not m}
    assert not held_out & trained_on
    return trained_on, held_out


MIXED = [False, False, True]


def test_an_episode_is_never_on_both_sides() -> None:
    verdicts = {n: MIXED if n % 2 else [False] * 4 for n in range(20)}
    for seed in range(5):
        _, held_out = split(verdicts, seed=seed)
        assert sum(n % 2 for n in held_out) == 3
        assert sum(n % 2 == 0 for n in held_out) == 3
    assert split(verdicts, seed=1)[1] != split(verdicts, seed=2)[1]


def test_another_round_leaves_episodes_on_their_side() -> None:
    before = dict.fromkeys(range(8), MIXED)
    trained_on, held_out = split(before)
    earlier, out = {("env", n) for n in range(8)}, {("env", n) for n in held_out}
    now, out_now = split(dict.fromkeys(range(16), MIXED), earlier=earlier, earlier_held_out=out)
    assert trained_on <= now
    assert held_out < out_now
    assert len(out_now) == 4


def test_one_more_episode_is_for_training() -> None:
    now, _ = split(
        dict.fromkeys(range(5), MIXED), earlier={("env", n) for n in range(4)}, earlier_held_out={("env", 0)}
    )
    assert 4 in now


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({0: MIXED, 1: [False] * 3, 2: [False] * 3}, "label successes in at least two episodes"),
        ({0: [True] * 2, 1: [True] * 3, 2: [False]}, "label failures in at least two episodes"),
    ],
)
def test_a_class_in_one_episode_cannot_be_held_out(verdicts: dict[int, list[bool]], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        split(verdicts)
