# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The report of a bag says what is in it, the same on every replay."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
from test_bag_samples import IMAGES, STATE, record, take

from serl_core.types import Transition
from serl_learner.bag import content_hash, render, replay


def test_a_whole_bag(tmp_path: Path) -> None:
    record(tmp_path / "bag", take(20, IMAGES), IMAGES)
    report = replay(tmp_path / "bag", IMAGES)
    assert (report.task, report.fingerprint, report.env_ids) == ("reach", IMAGES.fingerprint, ["env-a"])
    assert (report.episodes, report.finished_episodes, report.successes, report.transitions) == (4, 4, 2, 20)
    assert report.sources == {"policy": 6, "human": 7, "hold": 7}
    assert report.reward_sum == pytest.approx(4 * 1.0 - 16 * 0.5)
    assert report.rewards == {"pose": {"count": 20, "sum": pytest.approx(-4.0)}}
    assert (report.missing_sequences, report.missing_steps, report.dropped) == (0, 0, 0)
    assert (report.duplicates, report.conflicts, report.truncated, report.skipped) == (0, 0, False, {})
    assert report.image_sizes == {"wrist": "16x16x3"} and report.state_sizes == {"force": 3, "tcp_pose": 7}
    assert report.policy_versions == [3, 18]
    assert report.duration_s == pytest.approx(1.9)
    assert report.files == ["bag_0.mcap"]
    assert report.size_bytes == (tmp_path / "bag/bag_0.mcap").stat().st_size


def test_gaps_are_counted(tmp_path: Path) -> None:
    written = [t for t in take(20) if t.sequence not in (3, 6, 20)]
    report = replay(record(tmp_path / "bag", written))
    assert report.transitions == 17 and report.episodes == 4 and report.finished_episodes == 3
    assert report.missing_sequences == 2  # 3 and 6; that a 20 existed nobody can know
    assert report.missing_steps == 2
    assert report.dropped == 2  # 4 follows the lost 3; 7 the lost 6, which had the first observation


def test_order_and_repetition_do_not_matter(tmp_path: Path) -> None:
    written = [*take(10), *take(10, env_id="env-b")]
    shuffled = [*written, *written[3:9]]
    random.Random(2).shuffle(shuffled)
    one, two = replay(record(tmp_path / "one", written)), replay(record(tmp_path / "two", shuffled))
    assert one.content_hash == two.content_hash == content_hash(written)
    assert replay(tmp_path / "one") == one
    assert (one.duplicates, two.duplicates, two.conflicts) == (0, 6, 0)
    ignored = {"path", "files", "size_bytes", "duplicates", "duration_s"}
    same = [field.name for field in dataclasses.fields(one) if field.name not in ignored]
    assert {name: getattr(one, name) for name in same} == {name: getattr(two, name) for name in same}


def test_two_contents_under_one_number_are_a_conflict(tmp_path: Path) -> None:
    written = take(5)
    changed = dataclasses.replace(written[2], reward=9.0)
    one = replay(record(tmp_path / "one", [*written, changed]))
    two = replay(record(tmp_path / "two", [changed, *written]))
    assert one.conflicts == two.conflicts == 1 and one.transitions == 5
    assert one.content_hash == two.content_hash and one.reward_sum == two.reward_sum


def _changed(transition: Transition) -> list[Transition]:
    """Return copies that differ in one thing each."""
    after = transition.next_observation
    pose = after.state["tcp_pose"].copy()
    pose[0] = np.nextafter(pose[0], np.float32(9))
    pixels = after.images["wrist"].copy()
    pixels[0, 0, 0] ^= 1
    swapped = {"tcp_pose": after.state["tcp_pose"], "force": after.state["force"] * 2}
    observations = [
        dataclasses.replace(after, state={**after.state, "tcp_pose": pose}),
        dataclasses.replace(after, images={"wrist": pixels}),
        dataclasses.replace(after, images={"side": after.images["wrist"]}),
        dataclasses.replace(after, images={}),
        dataclasses.replace(after, state=swapped),
        dataclasses.replace(after, step=after.step + 1),
        dataclasses.replace(after, stamp=after.stamp + 1e-6),
    ]
    return [
        *(dataclasses.replace(transition, next_observation=observation) for observation in observations),
        dataclasses.replace(transition, action=transition.action * np.float32(0.5)),
        dataclasses.replace(transition, reward=transition.reward + 1e-3),
        dataclasses.replace(transition, discount=0.5),
        dataclasses.replace(transition, last=not transition.last),
        dataclasses.replace(transition, success=not transition.success),
        dataclasses.replace(transition, sequence=77),
        dataclasses.replace(transition, env_id="env-c"),
        dataclasses.replace(transition, step=transition.step + 1),
        dataclasses.replace(transition, policy_version=99),
        dataclasses.replace(transition, source_detail="x"),
        dataclasses.replace(transition, first_observation=None),
    ]


def test_the_hash_depends_on_every_field_and_on_nothing_else() -> None:
    transition = take(1, IMAGES)[0]
    variants = [transition, *_changed(transition)]
    assert len({content_hash([variant]) for variant in variants}) == len(variants)
    reordered = dict(reversed(list(transition.next_observation.state.items())))
    same = dataclasses.replace(
        transition, next_observation=dataclasses.replace(transition.next_observation, state=reordered)
    )
    assert content_hash([same]) == content_hash([transition])


def test_the_hash_stays_what_it_was() -> None:
    """Bags outlive releases: a hash printed once must be found again."""
    assert content_hash([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    flat = [
        dataclasses.replace(
            t,
            first_observation=None,
            next_observation=dataclasses.replace(
                t.next_observation, state={"x": np.arange(t.sequence, dtype=np.float32)}
            ),
        )
        for t in take(3)
    ]
    assert content_hash(flat) == "5033ca6737442c4423a8859110912f7a5ba65307b385e3ea8d59d88326f8bea2"


def test_json_and_text(tmp_path: Path) -> None:
    report = replay(record(tmp_path / "bag", take(7), STATE))
    data = json.loads(report.to_json())
    assert (data["episodes"], data["transitions"], data["content_hash"]) == (2, 7, report.content_hash)
    text = render(report)
    assert report.content_hash in text and "2 (1 finished, 1 successful)" in text and "7 (2 policy" in text
    assert all(len(line.splitlines()) == 1 for line in text.split("\n"))


def test_a_bag_without_a_transition_is_empty_not_wrong(tmp_path: Path) -> None:
    report = replay(record(tmp_path / "bag", []))
    assert report.transitions == 0 and report.episodes == 0 and report.policy_versions is None
    assert "none" in render(report)
