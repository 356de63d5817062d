# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Labels lie beside a bag, name observations, and are refused when they are something else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reward_cases import episode, record, spec

from serl_core.errors import BagError
from serl_learner.bag.labels import (
    FrameKey,
    LabelFile,
    Labels,
    edit_labels,
    label_by_reward,
    labels_path,
    observations,
    read_labels,
    write_labels,
)
from serl_reward.pose import PoseReward, PoseRewardConfig

LABELS = Labels(
    {FrameKey("b", 2, 10): True, FrameKey("a", 0, 9): False, FrameKey("a", 0, 10): True},
    {("a", 0): True, ("b", 2): False},
)


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = write_labels(tmp_path, LABELS)
    assert read_labels(tmp_path) == LABELS
    assert path == tmp_path / "labels.json"
    assert [file.name for file in tmp_path.iterdir()] == ["labels.json"], "no half-written file is left"


def test_equal_labels_are_equal_files() -> None:
    shuffled = Labels(dict(reversed(LABELS.frames.items())), dict(reversed(LABELS.episodes.items())))
    assert shuffled.to_json() == LABELS.to_json()


def test_a_bag_without_labels_has_none(tmp_path: Path) -> None:
    assert read_labels(tmp_path) == Labels()


def test_a_single_file_of_a_bag_has_its_labels_beside_it() -> None:
    assert labels_path("x/run_0.mcap") == Path("x/run_0.labels.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"serl_labels": 2}',
        '{"serl_labels": 1, "frames": []}',
        '{"serl_labels": 1, "frames": {"a": {"0": {"3": "success"}}}}',
        '{"serl_labels": 1, "frames": {"a": {"0": {"3": 1}}}}',
        '{"serl_labels": 1, "frames": {"a": {"first": {"3": true}}}}',
        '{"serl_labels": 1, "episodes": {"a": {"0": {"3": true}}}}',
        '{"serl_labels": 1, "episodes": {"a": true}}',
    ],
)
def test_something_else_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(BagError, match=r"labels.json is no file of labels") as raised:
        read_labels(tmp_path)
    assert "\n" not in str(raised.value)


def test_labels_that_go_on_changing_are_read_anew_and_damage_is_told_once(tmp_path: Path) -> None:
    file = LabelFile(tmp_path)
    assert file.read() == Labels()
    write_labels(tmp_path, LABELS)
    assert file.read() == LABELS and file.read() is file.read()
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(BagError, match="no file of labels"):
        file.read()
    assert file.read() == LABELS, "what was said before still stands"
    write_labels(tmp_path, Labels())
    assert file.read() == Labels()


def test_labels_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="cannot write"):
        write_labels(tmp_path / "missing", LABELS)

    with pytest.raises(BagError, match="cannot write"), edit_labels(tmp_path / "missing"):
        pass


def test_an_edit_starts_from_what_is_there_and_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    write_labels(tmp_path, LABELS)
    with edit_labels(tmp_path) as labels:
        assert labels == LABELS
        labels.episodes[("a", 1)] = True
        del labels.frames[FrameKey("b", 2, 10)]
    with pytest.raises(KeyError), edit_labels(tmp_path) as labels:
        labels.frames.clear()
        raise KeyError
    after = read_labels(tmp_path)
    assert after.episodes == {**LABELS.episodes, ("a", 1): True}
    assert after.frames == {key: value for key, value in LABELS.frames.items() if key.env_id == "a"}


def test_damaged_labels_are_not_overwritten(tmp_path: Path) -> None:
    labels_path(tmp_path).write_text("{")
    with pytest.raises(BagError, match="no file of labels"), edit_labels(tmp_path):
        pass
    assert labels_path(tmp_path).read_text() == "{"


def test_processes_that_label_at_once_lose_nothing(tmp_path: Path) -> None:
    writer = """
import sys
from serl_learner.bag.labels import FrameKey, edit_labels
print("ready", flush=True)
sys.stdin.readline()
for step in range(30):
    with edit_labels(sys.argv[1]) as labels:
        labels.frames[FrameKey(sys.argv[2], 0, step)] = True
"""
    names = ["a", "b"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", writer, str(tmp_path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    for each in writers:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in writers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in writers:
        each.communicate(timeout=60)
        assert each.returncode == 0
    assert read_labels(tmp_path).frames == {
        FrameKey(name, 0, step): True for name in names for step in range(30)
    }
    assert {file.name for file in tmp_path.iterdir()} == {"labels.json", "labels.json.lock"}


def test_every_observation_of_a_bag_comes_once(tmp_path: Path) -> None:
    of = spec()
    first = episode(of, 0, [False] * 4)
    second = episode(of, 1, [False] * 3, first_sequence=4)
    bag = record(tmp_path / "bag", [*first, first[1], *second], of)
    keys = [key for key, _ in observations(bag)]
    assert keys == [FrameKey("toy-1", 0, s) for s in range(4)] + [FrameKey("toy-1", 1, s) for s in range(3)]


def test_a_reward_labels_what_it_sees(tmp_path: Path) -> None:
    of = spec()
    verdicts = [False, False, True, False, True]
    bag = record(tmp_path / "bag", episode(of, 3, verdicts), of)
    labels = label_by_reward(bag, PoseReward(PoseRewardConfig()))
    assert labels.frames == {FrameKey("toy-1", 3, step): verdict for step, verdict in enumerate(verdicts)}


def test_a_reward_that_remembers_starts_each_episode_anew(tmp_path: Path) -> None:
    class Counting:
        name, cameras, count = "counting", (), 0

        def reset(self) -> None:
            self.count = 0

        def __call__(self, state: object, images: dict[str, np.ndarray]) -> object:
            assert set(images) == {"wrist_1", "wrist_2"}
            self.count += 1
            return PoseReward(PoseRewardConfig())({"goal_pose": np.full(6, 0.0 if self.count == 2 else 1.0)})

    of = spec()
    transitions = [*episode(of, 0, [False] * 3), *episode(of, 1, [False] * 4, first_sequence=3)]
    labels = label_by_reward(record(tmp_path / "bag", transitions, of), Counting())
    assert [key[1:] for key, success in labels.frames.items() if success] == [(0, 1), (1, 1)]


def test_the_file_can_be_read_by_eye() -> None:
    assert json.loads(LABELS.to_json())["frames"]["a"] == {"0": {"9": False, "10": True}}
