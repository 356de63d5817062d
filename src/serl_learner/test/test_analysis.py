# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures 6 and 7 of HIL-SERL from a bag and a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learner_cases import SMALL
from rclpy.serialization import serialize_message

from serl_core import codec
from serl_core.errors import ConfigError, SchemaError
from serl_core.specs import env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Transition
from serl_learner import networks, weights
from serl_learner.agents import rlpd
from serl_learner.analysis import NOISE, Critic, policy_distribution, read_visits
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import save_policy
from serl_learner.learner_checkpoint import LearnerCheckpoints

SPEC = fake_spec()


def record(path: Path, transitions: list[Transition], facts: dict[str, str] | None = None) -> Path:
    facts = {"env_spec": env_spec_to_json(SPEC)} if facts is None else facts
    with BagWriter(path, {"/transition": ("serl_msgs/msg/Transition", False)}, facts) as bag:
        for stamp, transition in enumerate(transitions):
            bag.write("/transition", stamp, serialize_message(codec.to_transition(SPEC, transition)))
    return path


def episode(number: int, length: int = 5, success: bool = True) -> list[Transition]:
    return random_episode(SPEC, np.random.default_rng(number), length, f"env{number}", success=success)


def save(run: Path, state: rlpd.TrainState, version: int = 7) -> Path:
    actor_config = SMALL.actor_config(SPEC.policy_state_size, SPEC.action_size)
    policy = weights.encode(rlpd.actor_leaves(state), SPEC, actor_config, version)
    checkpoints = LearnerCheckpoints(run, keep=3)
    checkpoints.save(version, state, SMALL, policy, SPEC, {})
    checkpoints.close()
    return run


def test_every_action_belongs_to_the_observation_before_it(tmp_path: Path) -> None:
    first, second = episode(0), episode(1, success=False)
    mixed = [t for pair in zip(first, second, strict=True) for t in pair]

    visits = read_visits(record(tmp_path / "bag", [*mixed, first[2]]))  # one came twice

    assert len(visits) == 10
    for number, of_episode in enumerate((first, second)):
        mine = visits.rows(visits.episode == number)
        assert mine.step.tolist() == [0, 1, 2, 3, 4]
        before = [of_episode[0].first_observation, *(t.next_observation for t in of_episode[:-1])]
        for row, (observation, transition) in enumerate(zip(before, of_episode, strict=True)):
            np.testing.assert_array_equal(mine.state["elapsed"][row], observation.state["elapsed"])
            np.testing.assert_array_equal(mine.vector[row], SPEC.policy_vector(observation.state))
            np.testing.assert_array_equal(mine.action[row], transition.action)
    assert visits.success.tolist() == [True, False]


def test_a_step_whose_observation_is_missing_is_left_out(tmp_path: Path) -> None:
    whole = episode(0)

    visits = read_visits(record(tmp_path / "bag", [whole[0], *whole[2:]]))

    assert visits.step.tolist() == [0, 3, 4]  # 2 acted on what the lost transition 1 carried


def test_a_foreign_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say which environment"):
        read_visits(record(tmp_path / "bag", episode(0), facts={}))


def test_q_is_the_mean_of_the_critics_and_its_variance_that_under_action_noise(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=3)
    rng = np.random.default_rng(0)
    vector = rng.standard_normal((130, SPEC.policy_state_size)).astype(np.float32)  # more than one call takes
    action = rng.uniform(-0.7, 0.7, (130, SPEC.action_size)).astype(np.float32)
    ensemble = jax.tree.map(jnp.array, state.critic)

    found = Critic(save(tmp_path, state)).values(vector, action)

    expected = networks.critics(ensemble, vector, action, SMALL.activation).mean(0)
    np.testing.assert_allclose(found.q, expected, rtol=1e-5, atol=1e-6)
    noise = rng.uniform(-NOISE, NOISE, (1000, *action.shape)).astype(np.float32)
    around = [networks.critics(ensemble, vector, action + n, SMALL.activation).mean(0) for n in noise]
    ratio = found.variance / np.var(np.stack(around), axis=0)
    assert 0.9 < ratio.mean() < 1.1, "the Monte Carlo estimate of 100 samples, over 130 states"
    assert ratio.min() > 0.4 and ratio.max() < 2.0


def test_a_critic_that_does_not_look_at_the_action_finds_no_state_critical(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=3)
    kernel = state.critic["hidden_0/kernel"].at[:, SPEC.policy_state_size :, :].set(0.0)
    state = state._replace(critic={**state.critic, "hidden_0/kernel": kernel})

    found = Critic(save(tmp_path, state)).values(np.ones((3, SPEC.policy_state_size)), np.zeros((3, 2)))

    assert np.all(found.variance < 1e-12)


def test_a_clone_has_no_critics(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=0)
    policy = weights.encode(
        rlpd.actor_leaves(state), SPEC, SMALL.actor_config(SPEC.policy_state_size, SPEC.action_size), 1
    )
    save_policy(tmp_path, 1, policy, SPEC, {"method": "bc"})
    with pytest.raises(SchemaError, match="without critics"):
        Critic(tmp_path)


def test_the_policy_s_deviation_is_that_of_the_network(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, std_min=0.3, std_max=0.3)
    state = rlpd.init(config, SPEC, seed=0)
    policy = weights.encode(
        rlpd.actor_leaves(state), SPEC, config.actor_config(SPEC.policy_state_size, SPEC.action_size), 1
    )
    save_policy(tmp_path, 1, policy, SPEC, {})
    vector = np.random.default_rng(0).standard_normal((6, SPEC.policy_state_size)).astype(np.float32)

    mean, deviation = policy_distribution(tmp_path, vector)

    np.testing.assert_allclose(deviation, 0.3, rtol=1e-5)
    np.testing.assert_allclose(mean, rlpd.mean_actions(config, state.actor, vector), atol=1e-5)
