# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Cloning from a bag: the clone acts as it was shown, failures are not cloned, and a bag without any is refused.

An update whose gradient is not finite is skipped, and too many in a row end the training.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from learner_cases import SPEC as POINT
from learner_cases import random_batches
from rclpy.serialization import serialize_message

from serl_core import codec
from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.specs import env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Source, Transition
from serl_learner import weights
from serl_learner.agents import bc, diffusion
from serl_learner.agents.config import BCConfig, DiffusionConfig
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import load_policy
from serl_learner.offline import train_offline
from serl_learner.replay.ring_buffer import RingBuffer

SPEC = fake_spec()
FAST = BCConfig(updates=600, batch_size=64, hidden_sizes=(32, 32), learning_rate=3e-3)
SHOWN = np.linspace(-0.5, 0.5, SPEC.action_size).astype(np.float32)


def demonstration(number: int, success: bool, action: np.ndarray) -> list[Transition]:
    episode = random_episode(
        SPEC, np.random.default_rng(number), 12, f"env{number}", 1, success=success, source=Source.HUMAN
    )
    return [dataclasses.replace(transition, action=action) for transition in episode]


def record(path: Path, episodes: list[list[Transition]], flush_every: int = 1) -> Path:
    topics = {"/transition": ("serl_msgs/msg/Transition", False)}
    with BagWriter(path, topics, {"env_spec": env_spec_to_json(SPEC)}) as bag:
        for stamp, transition in enumerate(t for episode in episodes for t in episode):
            bag.write("/transition", stamp, serialize_message(codec.to_transition(SPEC, transition)))
            if (stamp + 1) % flush_every == 0:
                bag.flush()
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
    assert result.losses[-1] < 0.1 * result.losses[0] and result.skipped == 0
    assert notes and "4 demonstrations" in notes[0] and not any("skipped" in note for note in notes)
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


# Gradients that are not finite.

TINY = {
    bc: BCConfig(hidden_sizes=(8,)),
    diffusion: DiffusionConfig(
        action_prediction=2, diffusion_steps=5, inference_steps=2, hidden_sizes=(8,), warmup_updates=0,
        average_decay=0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("agent", TINY, ids=["bc", "diffusion"])
def test_a_gradient_that_is_not_finite_skips_its_update(agent) -> None:
    config = TINY[agent]
    sound = random_batches(1, 8)
    if agent is diffusion:
        sound["action"] = np.repeat(sound["action"][..., None, :], 2, -2)
    poisoned = {**sound, "state": sound["state"].copy()}
    poisoned["state"][0, 3, 1] = np.nan

    def figures(state) -> list[np.ndarray]:
        return [
            np.array(leaf) for leaf in jax.tree.leaves((state.actor, state.opt, agent.actor_leaves(state)))
        ]

    state, metrics = agent.update(config, agent.init(config, POINT, 0), sound)
    assert metrics["skipped"] == 0 and np.isfinite(metrics["loss"])
    before = figures(state)
    for count in (1, 2):
        state, metrics = agent.update(config, state, poisoned)
        assert metrics["skipped"] == metrics["skipped_in_row"] == count and state.updates == 1 + count
        assert all(np.array_equal(a, b) for a, b in zip(before, figures(state), strict=True))
    state, metrics = agent.update(config, state, sound)
    assert metrics["skipped"] == 2 and metrics["skipped_in_row"] == 0
    after = figures(state)
    assert all(np.isfinite(leaf).all() for leaf in after)
    assert not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.fixture
def poison(monkeypatch):
    """Give a function that makes states of sampled batches NaN: of which update calls, and which updates in them."""

    def begin(calls: set[int], updates: slice = slice(None)) -> None:
        sample, drawn = RingBuffer.sample, iter(range(1000))

        def poisoned(*given):
            batch = sample(*given)
            if next(drawn) in calls:
                batch["state"][updates] = np.nan
            return batch

        monkeypatch.setattr(RingBuffer, "sample", poisoned)

    return begin


def clone(folder: Path, note=print):
    bag = record(folder / "bag", [demonstration(0, True, SHOWN)])
    config = BCConfig(updates=400, batch_size=8, hidden_sizes=(8,))
    return train_offline(bag, SPEC.task, config, folder / "run", 0, note)


def test_skipped_updates_are_counted_and_told(tmp_path: Path, poison) -> None:
    poison({1, 2}, slice(40, 43))
    notes: list[str] = []
    result = clone(tmp_path, notes.append)
    assert result.skipped == 6 and len(result.losses) == 4 and np.isfinite(result.losses).all()
    assert [note for note in notes if "skipped" in note] == [
        "6 of 400 updates were skipped: their gradient was not finite"
    ]
    assert all(
        np.isfinite(leaf).all()
        for leaf in weights.decode(load_policy(tmp_path / "run").weights, SPEC).leaves.values()
    )


def test_too_many_in_a_row_end_the_training_and_what_was_learned_stays(tmp_path: Path, poison) -> None:
    poison({1, 2, 3})
    with pytest.raises(
        SerlError, match="training ended: 100 updates in a row .* smaller learning_rate"
    ) as error:
        clone(tmp_path)
    assert "\n" not in str(error.value)
    policy = load_policy(tmp_path / "run").weights
    assert policy.version == 200
    assert all(np.isfinite(leaf).all() for leaf in weights.decode(policy, SPEC).leaves.values())


def test_where_nothing_was_learned_no_policy_is_left(tmp_path: Path) -> None:
    """Numbers that a bag may hold, and that no network can bear."""
    episode = demonstration(0, True, SHOWN)
    for t in episode:
        for observation in filter(None, (t.first_observation, t.next_observation)):
            observation.state["position"][:] = 3e38
    config = BCConfig(updates=30, batch_size=8, hidden_sizes=(8,))
    with pytest.raises(SerlError, match="30 updates in a row"):
        train_offline(record(tmp_path / "bag", [episode]), SPEC.task, config, tmp_path / "run", 0, print)
    with pytest.raises(SchemaError, match="holds no checkpoint"):
        load_policy(tmp_path / "run")
