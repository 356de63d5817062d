# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Cloning from a bag: the clone acts as it was shown, failures are not cloned, and a bag without any is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from serl_core import codec
from serl_core.errors import ConfigError
from serl_core.specs import env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Source, Transition
from serl_learner import weights
from serl_learner.agents.config import BCConfig
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import load_policy
from serl_learner.offline import train_offline

SPEC = fake_spec()
FAST = BCConfig(updates=600, batch_size=64, hidden_sizes=(32, 32), learning_rate=3e-3)
SHOWN = np.linspace(-0.5, 0.5, SPEC.action_size).astype(np.float32)


def demonstration(number: int, success: bool, action: np.ndarray) -> list[Transition]:
    episode = random_episode(
        SPEC, np.random.default_rng(number), 12, f"env{number}", 1, success=success, source=Source.HUMAN
    )
    return [dataclasses.replace(transition, action=action) for transition in episode]


def record(path: Path, episodes: list[list[Transition]]) -> Path:
    topics = {"/transition": ("serl_msgs/msg/Transition", False)}
    with BagWriter(path, topics, {"env_spec": env_spec_to_json(SPEC)}) as bag:
        for stamp, transition in enumerate(t for episode in episodes for t in episode):
            bag.write("/transition", stamp, serialize_message(codec.to_transition(SPEC, transition)))
    return path


def test_the_clone_acts_as_shown_and_ignores_failures(tmp_path: Path) -> None:
    good = [demonstration(number, True, SHOWN) for number in range(4)]
    bad = [demonstration(number, False, -SHOWN) for number in range(4, 8)]
    notes: list[str] = []
    result = train_offline(
        record(tmp_path / "bag", good + bad), SPEC.task, FAST, tmp_path / "run", 0, notes.append
    )
    assert result.demos == 4
    assert result.demo_cycle_time_s == pytest.approx(12 * SPEC.step_seconds)
    assert result.losses[-1] < 0.1 * result.losses[0]
    assert notes and "4 demonstrations" in notes[0]
    policy = load_policy(tmp_path / "run")
    network = weights.decode(policy.weights, SPEC)
    # The last observation of an episode is shown no action.
    seen = [t.next_observation.state for episode in good for t in episode[:-1]]
    acted = np.array([network.mean(SPEC.policy_vector(state)) for state in seen])
    assert np.abs(acted - SHOWN).mean() < 0.05, "not what the successes showed"


def test_a_bag_of_failures_is_refused_in_one_line(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", [demonstration(0, False, SHOWN)])
    with pytest.raises(ConfigError, match="holds no successful demonstration") as error:
        train_offline(bag, SPEC.task, FAST, tmp_path / "run", 0, print)
    assert "\n" not in str(error.value)


def test_demonstrations_of_another_task_are_refused(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", [demonstration(0, True, SHOWN)])
    with pytest.raises(ConfigError, match="not of 'socket'"):
        train_offline(bag, "socket", FAST, tmp_path / "run", 0, print)
