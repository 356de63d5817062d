# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Diffusion policies: the schedule's identities, NumPy against JAX, chunks, and two ways whose mean fails."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from learner_cases import SPEC, recording

from serl_core.errors import ConfigError, SchemaError
from serl_learner import weights
from serl_learner.actor_network import ActorConfig, ActorNetwork, ChunkShape
from serl_learner.agents import bc, diffusion
from serl_learner.agents.config import BCConfig, DiffusionConfig
from serl_learner.diffusion_network import (
    DiffusionNetwork,
    denoisings,
    inference_steps,
    signal_shares,
    step_embedding,
)
from serl_learner.replay.chunks import ChunkBuffer
from serl_learner.replay.joiner import Joiner

TINY = DiffusionConfig(
    observation_chunk=2, action_prediction=3, action_chunk=2, diffusion_steps=20, inference_steps=5,
    hidden_sizes=(16,), step_embedding_size=4, batch_size=8,
)  # fmt: skip


# The schedule.


def test_the_chunk_fades_from_whole_to_nothing():
    shares = signal_shares(100)
    assert np.all(np.diff(shares) < 0) and shares[0] > 0.999 and 0 < shares[-1] < 1e-4
    k = 50  # cos^2 of the middle of the quarter circle, but for the offset (Nichol and Dhariwal 2021, equation 17)
    expected = (np.cos((k / 100 + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)) ** 2
    assert shares[k - 1] == pytest.approx(expected)


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_denoising_keeps_the_distribution_of_the_noisy_chunk(noise):
    """With the true noise known, a step leads from x_k to x_j with the shares that the forward process gives it."""
    shares = signal_shares(100)
    ways = denoisings(100, 10, noise)
    assert [way.step for way in ways] == list(inference_steps(100, 10))
    assert ways[0].step == 99 and ways[-1].step == 0 and ways[-1].next_share == 1.0
    for way, after in itertools.pairwise(ways):
        assert way.share == shares[way.step] and way.next_share == after.share
        rest = 1 - way.next_share - way.deviation**2
        assert rest >= 0, "more noise than there is room for"
    assert (ways[3].deviation > 0) == (noise > 0)


def test_with_every_step_and_full_noise_it_is_ddpm():
    shares = signal_shares(50)
    for way in denoisings(50, 50, 1.0)[:-1]:
        beta = 1 - way.share / way.next_share
        posterior = beta * (1 - way.next_share) / (1 - shares[way.step])  # Ho et al. 2020, equation 7
        assert way.deviation**2 == pytest.approx(posterior, rel=1e-9)


def test_steps_are_told_apart():
    table = step_embedding(np.arange(100), 32)
    distances = np.linalg.norm(table[:, None] - table[None], axis=-1) + 9 * np.eye(100)
    assert table.shape == (100, 32) and distances.min() > 0.1


# The network.


def random_policy(config: DiffusionConfig = TINY, seed: int = 0) -> DiffusionNetwork:
    shape = config.actor_config(3, 2)
    rng = np.random.default_rng(seed)
    leaves = {n: rng.normal(0, 0.5, s).astype(np.float32) for n, s in shape.leaf_shapes().items()}
    return DiffusionNetwork(shape, leaves)


def test_numpy_denoises_as_jax_does(monkeypatch):
    policy = random_policy()
    states = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
    key = jax.random.key(3)
    theirs = np.asarray(diffusion.sample_actions(TINY, policy.leaves, states, key))
    start = np.asarray(jax.random.normal(jax.random.split(key, TINY.inference_steps + 1)[0], (5, 6)))

    class Given:
        def standard_normal(self, shape, dtype):
            return start.astype(dtype)

    ours = policy.plan(states, Given())
    assert ours.shape == (5, 3, 2) and ours.dtype == np.float32 and np.abs(ours).max() <= 1.0
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_leaf_shapes_are_those_of_the_learner_and_weights_survive_the_wire():
    state = diffusion.init(TINY, SPEC, 0)
    shape, leaves = TINY.actor_config(3, 2), diffusion.actor_leaves(state)
    assert {name: leaf.shape for name, leaf in leaves.items()} == shape.leaf_shapes()
    assert ActorConfig.from_json(shape.to_json()) == shape
    config, received = weights.unpack(weights.encode(leaves, SPEC, shape, 1), SPEC)
    assert config == shape and all(np.array_equal(received[name], leaves[name]) for name in leaves)
    with pytest.raises(SchemaError, match="DiffusionNetwork runs it"):
        ActorNetwork(config, received)
    with pytest.raises(SchemaError, match="ActorNetwork runs it"):
        DiffusionNetwork(BCConfig().actor_config(3, 2), {})


def test_settings_and_batches_that_do_not_fit_are_refused():
    for wrong in ({"action_chunk": 9}, {"inference_steps": 101}, {"step_embedding_size": 3}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            DiffusionConfig(**wrong)
    batch = {"state": np.zeros((1, 8, 6), np.float32), "action": np.zeros((1, 8, 3, 3), np.float32)}
    with pytest.raises(SchemaError, match=r"action \(U, B, 3, 2\)"):
        diffusion.update(TINY, diffusion.init(TINY, SPEC, 0), batch)


# Chunks.


def test_chunks_keep_to_their_episode():
    joiner = Joiner(SPEC)
    numbered = []
    for t in recording(3, 6):
        if (t.episode_id, t.step) != (1, 3):  # one is missing: what follows it is another stretch
            action = np.array([t.episode_id / 10, t.step / 10], np.float32)
            numbered += joiner.add(dataclasses.replace(t, action=action))
    numbered = numbered[::-1]
    shape = ChunkShape(3, 4, 2, 10, 5, 0.0, 4)
    buffer = ChunkBuffer(numbered, shape)
    batch = buffer.sample((400,), np.random.default_rng(0))
    assert batch["state"].shape == (400, 9) and batch["action"].shape == (400, 4, 2)
    missing = {(1, 3), (1, 4)}  # without step 3's transition, the observation before step 4 is unknown too
    kept = {(e, s) for e in range(3) for s in range(6)} - missing
    assert len(buffer) == len(kept)
    seen = set()
    for state, action in zip(batch["state"].reshape(400, 3, 3), batch["action"], strict=True):
        episode, step = (round(float(x)) for x in state[-1, :2])
        seen.add((episode, step))
        stretch = sorted(s for e, s in kept if e == episode)
        if episode == 1:
            stretch = [s for s in stretch if (s > 3) == (step > 3)]
        before = [max(stretch[0], step + i) for i in (-2, -1, 0)]
        after = [min(stretch[-1], step + i) for i in range(4)]
        assert state[:, 0].tolist() == [episode] * 3 and state[:, 1].tolist() == before
        np.testing.assert_allclose(action, [[episode / 10, s / 10] for s in after], atol=1e-6)
    assert seen == kept
    with pytest.raises(SchemaError, match="empty"):
        ChunkBuffer([], shape)


# Learning.


def test_of_two_ways_it_takes_one_where_the_mean_is_neither():
    """An obstacle is passed on the left or on the right; the mean of both runs into it."""
    config = DiffusionConfig(
        action_prediction=2, action_chunk=2, diffusion_steps=50, inference_steps=10, hidden_sizes=(64, 64),
        updates=1500, warmup_updates=50, learning_rate=3e-3, average_decay=0.99,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    state = rng.uniform(-1, 1, (1500, 128, 3)).astype(np.float32)
    side = rng.choice([-0.6, 0.6], (1500, 128, 1)).astype(np.float32)
    forward = 0.5 * state[..., :1]
    action = np.stack([np.concatenate([side, forward], -1), np.concatenate([side, -forward], -1)], -2)
    trained = diffusion.init(config, SPEC, 0)
    losses = []
    for part in range(3):
        rows = slice(500 * part, 500 * (part + 1))
        trained, metrics = diffusion.update(config, trained, {"state": state[rows], "action": action[rows]})
        losses.append(float(metrics["loss"]))
    assert losses[2] < losses[1] < losses[0] and losses[2] < 0.35
    policy = DiffusionNetwork(config.actor_config(3, 2), diffusion.actor_leaves(trained))
    where = rng.uniform(-1, 1, (300, 3)).astype(np.float32)
    plan = policy.plan(where, rng)
    assert np.mean(np.abs(np.abs(plan[..., 0]) - 0.6) < 0.2) > 0.9, "between the ways shown"
    assert 0.3 < np.mean(plan[:, 0, 0] > 0) < 0.7, "one way only"
    assert np.mean(np.sign(plan[:, 0, 0]) == np.sign(plan[:, 1, 0])) > 0.9, "changes its mind within a plan"
    assert np.abs(plan[:, 0, 1] - 0.5 * where[:, 0]).mean() < 0.1

    cloner = BCConfig(hidden_sizes=(64, 64), updates=1000)
    cloned, _ = bc.update(
        cloner, bc.init(cloner, SPEC, 0), {"state": state[:1000], "action": action[:1000, :, 0]}
    )
    mean = ActorNetwork(cloner.actor_config(3, 2), bc.actor_leaves(cloned)).mean(where)
    assert np.abs(mean[:, 0]).max() < 0.4, "the mean action of the cloner does avoid the middle"
