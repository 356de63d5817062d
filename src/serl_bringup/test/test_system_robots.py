# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Several robots that train one policy, each with an environment and an actor of its own."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import numpy as np
from system_cases import FAKE_TASK, error_line, options, serl, unbroken

from serl_learner.bag.reader import read_transitions

STEPS, MIN_ONLINE, LEAD = 240, 60, 20


def test_two_robots_feed_one_learner_and_act_by_its_policy(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = serl(
        "run", "pendulum", "--seed", "3", "--out", folder,
        *options(*FAKE_TASK, "run.robots=2", "run.demos=0", "run.train_minutes=3", f"run.max_env_steps={STEPS}",
                 "run.stop_after_successes=0", "run.eval_episodes=2", f"learner.min_online={MIN_ONLINE}",
                 f"learner.lead_steps={LEAD}"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    transitions = list(read_transitions(folder / "bag"))
    by_robot = {
        env_id: list(own)
        for env_id, own in groupby(sorted(transitions, key=lambda t: t.env_id), key=lambda t: t.env_id)
    }
    assert unbroken(transitions) == {env_id: len(own) for env_id, own in by_robot.items()}
    assert len(by_robot) == 2
    for own in by_robot.values():
        # Neither outruns the other: all that they are ahead of the learner they share.
        assert abs(len(own) - len(transitions) / 2) <= MIN_ONLINE + LEAD
        assert max(t.policy_version for t in own) > min(t.policy_version for t in own), (
            "never got new weights"
        )
    first = [own[0].first_observation.state for own in by_robot.values()]
    assert any(not np.array_equal(first[0][name], first[1][name]) for name in first[0]), "they start alike"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["env_steps"] == len(transitions) >= STEPS
    assert sorted(path.name for path in (folder / "logs/train").iterdir()) == [
        "learner.log",
        "robot_1",
        "robot_2",
    ]


def test_a_person_minds_one_robot(tmp_path: Path) -> None:
    done = serl("run", "pendulum", "--device", "keyboard", *options(*FAKE_TASK, "run.robots=2"), cwd=tmp_path)
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())
    assert "a person with a keyboard minds one robot" in error_line(done.stderr)
