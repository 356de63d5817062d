# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The main job, as short as it gets, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
from rosbags.rosbag2 import Reader
from system_cases import SMALL, options, quick_run, serl

from serl_learner.checkpoint import load_policy

SUMMARY_KEYS = {
    "success_rate", "success_ci95", "episodes", "cycle_time_s", "train_seconds", "env_steps", "critic_updates",
    "demos", "seed", "versions", "human_share", "human_share_last", "interventions", "interventions_per_episode",
    "intervention_mean_s",
}  # fmt: skip


def strict(text: str) -> dict:
    """Read JSON; NaN is not JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_summary_is_complete_and_printed() -> None:
    folder, done = quick_run()
    summary = strict((folder / "summary.json").read_text())
    assert summary.keys() >= SUMMARY_KEYS
    assert strict(done.stdout) == summary
    assert summary["episodes"] == 3 and summary["demos"] == 2 and summary["seed"] == 7
    low, high = summary["success_ci95"]
    assert 0.0 <= low <= summary["success_rate"] <= high <= 1.0
    assert summary["train_end"] == "step limit" and 0.0 < summary["train_seconds"] < 4 * 60
    assert summary["env_steps"] >= 150 and summary["critic_updates"] >= 4 * (summary["env_steps"] - 60 - 22)
    assert {"git", "jax", "mujoco", "python", "ros"} <= summary["versions"].keys()


def test_quick_says_that_it_is_a_taste() -> None:
    folder, done = quick_run()
    assert "a taste" in done.stderr
    assert strict((folder / "summary.json").read_text())["quick"] is True


def test_artefacts_are_there_and_readable() -> None:
    folder, _ = quick_run()
    for name in ("bag", "demos", "eval"):
        with Reader(folder / name) as reader:
            counted = sum(1 for _ in reader.messages())
            assert counted == reader.message_count > 0
            assert "/transition" in reader.topics
    plots = {path.name: matplotlib.image.imread(path) for path in (folder / "plots").glob("*.png")}
    assert plots.keys() == {"learning_curve.png", "cycle_time.png", "reference_limiting.png"}
    assert all(image.std() > 0.0 for image in plots.values()), "a plot is blank"
    assert any((folder / "tensorboard").glob("events.out.tfevents.*"))
    policy = load_policy(folder)
    assert policy.spec.task == "pcb_insertion"
    assert (
        policy.metadata["critic_updates"] == strict((folder / "summary.json").read_text())["critic_updates"]
    )


def test_replay_gives_the_same_content_twice_and_every_step() -> None:
    folder, _ = quick_run()
    reports = []
    for _ in range(2):
        done = serl("replay", folder / "bag", "--json")
        assert done.returncode == 0, done.stderr
        reports.append(strict(done.stdout))
    assert reports[0]["content_hash"] == reports[1]["content_hash"]
    assert reports[0]["transitions"] == strict((folder / "summary.json").read_text())["env_steps"]
    assert reports[0]["missing_sequences"] == reports[0]["missing_steps"] == reports[0]["duplicates"] == 0
    assert not reports[0]["truncated"] and reports[0]["episodes"] > 0


def test_demonstrations_are_the_operators() -> None:
    folder, _ = quick_run()
    done = serl("replay", folder / "demos", "--json")
    report = strict(done.stdout)
    assert report["successes"] == 2
    assert report["sources"]["human"] == report["transitions"] - report["sources"]["hold"] > 0


def test_eval_of_the_checkpoint(tmp_path: Path) -> None:
    folder, _ = quick_run()
    out = tmp_path / "with a space"
    done = serl(
        "eval", "pcb_insertion", "--checkpoint", folder, "--episodes", "2", "--out", out, *options(*SMALL)
    )
    assert done.returncode == 0, done.stderr
    summary = strict(done.stdout)
    assert summary["episodes"] == 2
    assert summary["policy_version"] == load_policy(folder).weights.version
    assert strict((out / "summary.json").read_text()) == summary
