# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Options of the papers: each does what it says and nothing else."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from learner_cases import SMALL, SPEC, random_batches, recording

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.types import Source
from serl_learner import weights
from serl_learner.agents import rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.replay.joiner import Joiner
from serl_learner.replay.ring_buffer import RingBuffer
from serl_learner.training_loop import LoopConfig, TrainingLoop

LOOP = LoopConfig(min_online=10, replay_capacity=1000, demo_capacity=1000)
AGENT = RLPDConfig(hidden_sizes=(16,), ensemble_size=2, batch_size=8, utd_ratio=2)


def one(batches):
    return {name: array[0] for name, array in batches.items()}


# Reward bias.


def test_a_bias_is_added_to_every_reward_and_to_the_return_shown():
    biased = dataclasses.replace(SMALL, reward_bias=-1.0)
    state, batch = rlpd.init(SMALL, SPEC, 0), one(random_batches(1, 8))
    key = jax.random.key(0)
    plain, lower = (jax.jit(partial(rlpd.critic_target, c))(state, batch, key) for c in (SMALL, biased))
    np.testing.assert_allclose(plain - 1.0, lower, rtol=1e-5, atol=1e-6)

    loop = TrainingLoop(SPEC, LOOP, dataclasses.replace(AGENT, reward_bias=-1.0), None, 0)
    for transition in recording(1, 3):
        loop.ingest(transition)
    g = AGENT.discount
    assert loop.status("waiting", 0.0).return_mean == pytest.approx(((-1 - g) + (-1.0) + 0.0) / 3)


# Asymmetric critic.

ASYMMETRIC = dataclasses.replace(AGENT, privileged_keys=("ignored",))


def privileged_batches(updates, batch, seed=0):
    rng = np.random.default_rng(seed + 100)
    extra = {
        n: rng.standard_normal((updates, batch, 2)).astype(np.float32)
        for n in ("privileged", "next_privileged")
    }
    return {**random_batches(updates, batch, seed), **extra}


def test_critics_read_privileged_state_and_the_actor_does_not():
    state, batch = rlpd.init(ASYMMETRIC, SPEC, 0), one(privileged_batches(1, 8))
    critic_step = jax.jit(partial(rlpd.critic_update, ASYMMETRIC))
    target = jax.jit(partial(rlpd.critic_target, ASYMMETRIC))
    other = {**batch, "privileged": -batch["privileged"]}
    later = {**batch, "next_privileged": -batch["next_privileged"]}
    assert critic_step(state, batch)[1]["q_mean"] != critic_step(state, other)[1]["q_mean"]
    key = jax.random.key(0)
    assert np.array_equal(target(state, batch, key), target(state, other, key))
    assert not np.allclose(target(state, batch, key), target(state, later, key))
    actor_step = jax.jit(partial(rlpd.actor_update, ASYMMETRIC))
    a, b = (actor_step(state, each)[1] for each in (batch, other))
    assert a["entropy"] == b["entropy"] and a["actor_loss"] != b["actor_loss"]
    assert state.critic["hidden_0/kernel"].shape[1] == 3 + 2 + 2

    symmetric = rlpd.init(AGENT, SPEC, 0)
    shapes = [{n: leaf.shape for n, leaf in rlpd.actor_leaves(s).items()} for s in (state, symmetric)]
    assert shapes[0] == shapes[1], "what is sent to actors tells of privileged state"


def test_privileged_state_comes_through_replay_scaled_and_in_its_place():
    spec = dataclasses.replace(
        SPEC,
        state=(SPEC.state[0], dataclasses.replace(SPEC.state[1], scale=(1.0, 4.0))),
        policy_keys=("position",),
    )
    privileged = ASYMMETRIC.privileged_spec(spec)
    joiner, buffer = Joiner(spec, privileged=privileged), RingBuffer(spec, 50, privileged_size=2)
    for t in recording(3, 6):
        seen = {"ignored": np.array([t.episode_id, 4.0 * (t.step + 1)], np.float32)}
        after = dataclasses.replace(t.next_observation, state={**t.next_observation.state, **seen})
        first = t.first_observation
        if first is not None:
            start = {"ignored": np.array([t.episode_id, 0.0], np.float32)}
            first = dataclasses.replace(first, state={**first.state, **start})
        for row in joiner.add(dataclasses.replace(t, next_observation=after, first_observation=first)):
            buffer.insert(row)
    batch = buffer.sample(300, np.random.default_rng(0))
    np.testing.assert_array_equal(batch["privileged"], batch["state"][:, :2])
    np.testing.assert_array_equal(batch["next_privileged"], batch["next_state"][:, :2])


def test_an_asymmetric_loop_trains_and_its_policy_needs_the_usual_state(tmp_path):
    agent = dataclasses.replace(AGENT, privileged_keys=("ignored",))
    loop = TrainingLoop(SPEC, LOOP, agent, tmp_path, 0)
    for transition in recording(3, 10):
        loop.ingest(transition)
    loop.warm_up()
    loop.step(0.0)
    loop.save(0.0)
    loop.close()
    policy = weights.decode(loop.policy_weights(0.0), SPEC)
    assert policy.mean(np.zeros(3, np.float32)).shape == (2,)
    with pytest.raises(SchemaError, match=r"privileged_keys was \('ignored',\), now \(\)"):
        TrainingLoop(SPEC, LOOP, AGENT, None, 0).restore(tmp_path)
    TrainingLoop(SPEC, LOOP, agent, None, 0).restore(tmp_path)


@pytest.mark.parametrize("keys", [("nothing",), ("position",), ("ignored", "goal")])
def test_privileged_keys_must_be_state_beside_the_policys(keys):
    with pytest.raises(ConfigError, match=f"'{keys[-1]}'.*there are \\['ignored'\\]"):
        TrainingLoop(SPEC, LOOP, dataclasses.replace(AGENT, privileged_keys=keys), None, 0)


def test_a_batch_without_its_privileged_state_is_refused():
    for config, batches in ((ASYMMETRIC, random_batches(3, 8)), (SMALL, privileged_batches(3, 8))):
        with pytest.raises(SchemaError, match="privileged"):
            rlpd.update(config, rlpd.init(config, SPEC, 0), batches)


# Falling step sizes.

DECAYING = dataclasses.replace(AGENT, decay_success_rate=0.7, decay_episodes=4, decay_factor=0.1)


def episodes(outcomes: str, steps: int = 3):
    """One episode per letter: s success, f failure, h success with a person's help."""
    plain = recording(len(outcomes), steps)
    for t in plain:
        outcome = outcomes[t.episode_id]
        source = Source.HUMAN if outcome == "h" and t.step == 1 else Source.POLICY
        yield dataclasses.replace(t, success=t.last and outcome in "sh", source=source)


@pytest.mark.parametrize(
    ("outcomes", "falls"),
    [("sss", False), ("ssss", True), ("fsss", True), ("ffss", False), ("ffssss", True), ("hhss", False)],
)
def test_step_sizes_fall_at_a_success_rate(outcomes, falls):
    loop = TrainingLoop(SPEC, dataclasses.replace(LOOP, min_online=1), DECAYING, None, 0)
    for transition in episodes(outcomes):
        loop.ingest(transition)
    loop.step(0.0)
    assert float(loop._state.step_scale) == pytest.approx(0.1 if falls else 1.0)


def test_they_stay_small_when_success_becomes_rare_and_after_a_restart(tmp_path):
    loop = TrainingLoop(SPEC, dataclasses.replace(LOOP, min_online=1), DECAYING, tmp_path, 0)
    for i, transition in enumerate(episodes("ssssffff")):
        loop.ingest(transition)
        if i % 3 == 2:
            loop.step(0.0)
    loop.save(0.0)
    loop.close()
    assert float(loop._state.step_scale) == pytest.approx(0.1)
    again = TrainingLoop(SPEC, LOOP, DECAYING, None, 0)
    again.restore(tmp_path)
    assert float(again._state.step_scale) == pytest.approx(0.1)


def test_the_factor_scales_every_step():
    config = dataclasses.replace(AGENT, decay_success_rate=0.7)
    start = rlpd.init(config, SPEC, 0)
    moved = {}
    for scale in (1.0, 0.1):
        state = start._replace(step_scale=jax.numpy.float32(scale))
        new, _ = jax.jit(partial(rlpd.critic_update, config))(state, one(random_batches(1, 8)))
        new, _ = jax.jit(partial(rlpd.actor_update, config))(new, one(random_batches(1, 8)))
        moved[scale] = [
            np.abs(new.critic["hidden_0/kernel"] - start.critic["hidden_0/kernel"]).max(),
            np.abs(new.actor["hidden_0/kernel"] - start.actor["hidden_0/kernel"]).max(),
            abs(float(new.log_temperature - start.log_temperature)),
        ]
    np.testing.assert_allclose(np.array(moved[0.1]), 0.1 * np.array(moved[1.0]), rtol=0.02)


# Cloning before reinforcement.


def shown(action, count: int = 6):
    for t in recording(count, 10, env_id="recorded", source=Source.HUMAN):
        yield dataclasses.replace(t, action=np.asarray(action, np.float32))


def test_the_actor_is_cloned_before_anything_else():
    agent = dataclasses.replace(AGENT, bc_updates=600, batch_size=32)
    loop = TrainingLoop(SPEC, LOOP, agent, None, 0)
    for transition in shown([0.5, -0.3]):
        loop.ingest(transition, demo=True)
    before = jax.tree.map(np.array, loop._state)
    loss = loop.pretrain()
    assert np.isfinite(loss)
    policy = weights.decode(loop.policy_weights(0.0), SPEC)
    states = np.array([[e, s, 0.5] for e in range(6) for s in range(10)], np.float32)
    assert np.abs(policy.mean(states) - [0.5, -0.3]).mean() < 0.1
    draws = np.array([policy.sample(states[:1], np.random.default_rng(i))[0] for i in range(200)])
    assert draws.std(0).min() > 0.02 and draws.std(0).max() < 0.3, "a clone explores near what was shown"
    for part in ("critic", "target_critic", "log_temperature", "key", "critic_updates", "actor_opt"):
        for a, b in zip(
            jax.tree.leaves(getattr(before, part)), jax.tree.leaves(getattr(loop._state, part)), strict=True
        ):
            assert np.array_equal(a, b), part
    for transition in recording(2, 10):
        loop.ingest(transition)
    loop.step(0.0)
    assert loop.metrics["skipped"] == 0


def test_a_run_interrupted_between_cloning_and_its_first_update_is_not_cloned_again(tmp_path):
    agent = dataclasses.replace(AGENT, bc_updates=40)
    loops = [TrainingLoop(SPEC, LOOP, agent, run, 0) for run in (tmp_path, None)]
    for loop in loops:
        for transition in shown([0.5, -0.3]):
            loop.ingest(transition, demo=True)
    first, resumed = loops
    assert np.isfinite(first.pretrain())
    first.save(0.0)
    first.close()
    resumed.restore(tmp_path)
    assert resumed.critic_updates == 0 and np.isnan(resumed.pretrain())
    assert resumed.policy_weights(0.0) == first.policy_weights(0.0)


def test_cloning_nothing_is_refused_and_not_cloning_changes_nothing():
    with pytest.raises(ConfigError, match="needs demonstrations"):
        TrainingLoop(SPEC, LOOP, dataclasses.replace(AGENT, bc_updates=5), None, 0).pretrain()
    loop = TrainingLoop(SPEC, LOOP, AGENT, None, 0)
    version = loop.policy_weights(0.0).checksum
    assert np.isnan(loop.pretrain()) and loop.policy_weights(0.0).checksum == version


@pytest.mark.parametrize("bad", [1, 20])
def test_cloning_skips_gradients_that_are_not_finite_and_ends_after_too_many(bad, monkeypatch):
    agent = dataclasses.replace(AGENT, bc_updates=40)
    loop = TrainingLoop(SPEC, dataclasses.replace(LOOP, max_skipped_in_row=3), agent, None, 0)
    for transition in shown([0.5, -0.3]):
        loop.ingest(transition, demo=True)
    sample = loop._demo.sample

    def poisoned(*given):
        batches = sample(*given)
        batches["state"][:bad] = np.nan
        return batches

    monkeypatch.setattr(loop._demo, "sample", poisoned)
    if bad == 20:
        before = jax.tree.map(np.array, loop._state.actor)
        with pytest.raises(SerlError, match="training ended: 20 updates in a row") as error:
            loop.pretrain()
        assert "\n" not in str(error.value)
        assert all(np.array_equal(leaf, before[name]) for name, leaf in loop._state.actor.items())
        assert loop.status("waiting", 0.0).skipped_updates == 20
        return
    assert np.isfinite(loop.pretrain())
    assert loop.status("waiting", 0.0).skipped_updates == 2  # one in each of two calls
    monkeypatch.undo()
    for transition in recording(2, 10):
        loop.ingest(transition)
    loop.step(0.0)
    assert loop.metrics["skipped"] == 2 and loop._skipped_in_row == 0, "what cloning skipped counts twice"
