# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""RLPD against an oracle in NumPy (float64), and against the defects known from other implementations."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learner_cases import SMALL, SPEC, random_batches

from serl_core.errors import ConfigError, SchemaError
from serl_learner import networks
from serl_learner.agents import rlpd
from serl_learner.agents.config import RLPDConfig

Arrays = dict[str, np.ndarray]
_ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "silu": lambda x: x / (1 + np.exp(-x))}


def as_float64(tree) -> Arrays:
    return {name: np.asarray(leaf, np.float64) for name, leaf in tree.items()}


def oracle_hidden(params: Arrays, x: np.ndarray, activation: str) -> np.ndarray:
    for i in (0, 1):
        x = x @ params[f"hidden_{i}/kernel"] + params[f"hidden_{i}/bias"]
        if f"hidden_{i}/scale" in params:
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * params[f"hidden_{i}/scale"] + params[f"hidden_{i}/offset"]
        x = _ACTIVATIONS[activation](x)
    return x


def oracle_q(
    params: Arrays, member: int, state: np.ndarray, action: np.ndarray, activation: str
) -> np.ndarray:
    own = {name: leaf[member] for name, leaf in params.items()}
    hidden = oracle_hidden(own, np.concatenate([state, action], -1), activation)
    return (hidden @ own["value/kernel"] + own["value/bias"])[:, 0]


def oracle_sample(params: Arrays, state: np.ndarray, noise: np.ndarray, config: RLPDConfig):
    hidden = oracle_hidden(params, state, config.activation)
    mean = hidden @ params["mean/kernel"] + params["mean/bias"]
    std = np.exp(hidden @ params["log_std/kernel"] + params["log_std/bias"]).clip(
        config.std_min, config.std_max
    )
    raw = mean + std * noise
    density = np.exp(-0.5 * ((raw - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)) / (1 - np.tanh(raw) ** 2)
    return np.tanh(raw), np.log(density).sum(-1)


def perturbed(tree, seed: int):
    """Move every parameter, so that biases, scales and targets differ from their initial values."""
    rng = np.random.default_rng(seed)
    return {k: v + 0.1 * rng.standard_normal(v.shape).astype(np.float32) for k, v in tree.items()}


critic_step = jax.jit(partial(rlpd.critic_update, SMALL))
actor_step = jax.jit(partial(rlpd.actor_update, SMALL))


def one(batches: Arrays) -> Arrays:
    return {name: array[0] for name, array in batches.items()}


@pytest.fixture(params=[("tanh", False), ("relu", True), ("silu", False)], scope="module")
def case(request):
    activation, backup_entropy = request.param
    config = dataclasses.replace(
        SMALL, activation=activation, backup_entropy=backup_entropy, init_temperature=0.3
    )
    state = rlpd.init(config, SPEC, 0)
    state = state._replace(
        actor=perturbed(state.actor, 1),
        critic=perturbed(state.critic, 2),
        target_critic=perturbed(state.critic, 3),
    )
    return config, state, one(random_batches(1, 8))


def noise_of(key: jax.Array, batch: int) -> np.ndarray:
    return np.asarray(jax.random.normal(key, (batch, SPEC.action_size)), np.float64)


def test_critic_target_and_loss_agree_with_the_oracle(case):
    config, state, batch = case
    _, target_key = jax.random.split(jax.random.wrap_key_data(state.key))
    action_key, subset_key = jax.random.split(target_key)
    subset = np.asarray(jax.random.permutation(subset_key, config.ensemble_size))[: config.subsample_size]
    action, log_prob = oracle_sample(
        as_float64(state.actor), batch["next_state"], noise_of(action_key, 8), config
    )
    target_critic = as_float64(state.target_critic)
    next_value = np.min(
        [oracle_q(target_critic, m, batch["next_state"], action, config.activation) for m in subset], 0
    )
    if config.backup_entropy:
        next_value = next_value - 0.3 * log_prob
    target = batch["reward"] + config.discount * batch["discount"] * next_value
    values = [
        oracle_q(as_float64(state.critic), m, batch["state"], batch["action"], config.activation)
        for m in range(config.ensemble_size)
    ]
    loss = np.mean((np.array(values) - target) ** 2)

    _, metrics = jax.jit(partial(rlpd.critic_update, config))(state, batch)
    assert metrics["critic_loss"] == pytest.approx(loss, rel=1e-5, abs=1e-5)
    assert metrics["q_mean"] == pytest.approx(np.mean(values), rel=1e-5, abs=1e-5)
    assert metrics["target_q"] == pytest.approx(target.mean(), rel=1e-5, abs=1e-5)


def test_actor_and_temperature_loss_agree_with_the_oracle(case):
    config, state, batch = case
    _, action_key = jax.random.split(jax.random.wrap_key_data(state.key))
    action, log_prob = oracle_sample(as_float64(state.actor), batch["state"], noise_of(action_key, 8), config)
    critic = as_float64(state.critic)
    values = [
        oracle_q(critic, m, batch["state"], action, config.activation) for m in range(config.ensemble_size)
    ]
    actor_loss = np.mean(0.3 * log_prob - np.mean(values, 0))
    temperature_loss = 0.3 * (-log_prob.mean() + 0.5 * SPEC.action_size)

    new, metrics = jax.jit(partial(rlpd.actor_update, config))(state, batch)
    assert metrics["actor_loss"] == pytest.approx(actor_loss, rel=1e-5, abs=1e-5)
    assert metrics["entropy"] == pytest.approx(-log_prob.mean(), rel=1e-5, abs=1e-5)
    assert metrics["temperature_loss"] == pytest.approx(temperature_loss, rel=1e-5, abs=1e-5)
    # Adam's first step moves against the gradient by the step size: too much entropy lowers the temperature.
    direction = -np.sign(temperature_loss) * config.temperature_lr
    assert float(new.log_temperature - state.log_temperature) == pytest.approx(direction, rel=1e-3)


def test_critic_only_update_leaves_actor_and_temperature_bit_identical():
    state = actor_step(rlpd.init(SMALL, SPEC, 0), one(random_batches(1, 8)))[0]
    new = state
    for seed in range(5):
        new, _ = critic_step(new, one(random_batches(1, 8, seed)))
    for name in ("actor", "log_temperature", "actor_opt", "temperature_opt", "actor_updates"):
        for before, after in zip(
            jax.tree.leaves(getattr(state, name)), jax.tree.leaves(getattr(new, name)), strict=True
        ):
            assert np.array_equal(before, after), name
    assert not np.array_equal(state.critic["hidden_0/kernel"], new.critic["hidden_0/kernel"])
    assert int(new.critic_updates) == 5


def test_actor_update_leaves_critics_bit_identical():
    state = rlpd.init(SMALL, SPEC, 0)
    new, _ = actor_step(state, one(random_batches(1, 8)))
    for name in ("critic", "target_critic", "critic_opt"):
        for before, after in zip(
            jax.tree.leaves(getattr(state, name)), jax.tree.leaves(getattr(new, name)), strict=True
        ):
            assert np.array_equal(before, after), name
    assert not np.array_equal(state.actor["mean/kernel"], new.actor["mean/kernel"])


def test_target_takes_the_minimum_over_different_members():
    # Members that answer with their own number show who was drawn: of three, the least of two different ones
    # is never 2, and with replacement it would be in one draw of nine.
    state = rlpd.init(SMALL, SPEC, 0)
    constant = {name: jnp.zeros_like(leaf) for name, leaf in state.target_critic.items()}
    constant["value/bias"] = jnp.arange(SMALL.ensemble_size, dtype=jnp.float32)[:, None]
    state = state._replace(target_critic=constant)
    batch = one(random_batches(1, 1))
    batch = {**batch, "reward": np.zeros(1, np.float32), "discount": np.ones(1, np.float32)}
    keys = jax.random.split(jax.random.key(0), 2000)
    targets = jax.jit(jax.vmap(lambda key: rlpd.critic_target(SMALL, state, batch, key)))(keys)
    drawn = np.round(np.asarray(targets)[:, 0] / SMALL.discount).astype(int)
    share = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(share, [2 / 3, 1 / 3, 0.0], atol=0.04)
    assert share[2] == 0.0


def test_time_out_bootstraps_and_termination_does_not():
    state = rlpd.init(SMALL, SPEC, 0)
    batch = one(random_batches(1, 2))
    same = {name: np.repeat(array[:1], 2, 0) for name, array in batch.items()}
    same["discount"] = np.array([1.0, 0.0], np.float32)
    state = state._replace(target_critic={**state.target_critic, "value/bias": jnp.full((3, 1), 7.0)})
    target = np.asarray(jax.jit(partial(rlpd.critic_target, SMALL))(state, same, jax.random.key(0)))
    assert target[1] == same["reward"][1]
    assert target[0] - same["reward"][0] > 0.97 * 3


def test_targets_move_by_tau():
    state = rlpd.init(SMALL, SPEC, 0)
    new, _ = critic_step(state, one(random_batches(1, 8)))
    for name, before in state.target_critic.items():
        expected = (1 - SMALL.tau) * before + SMALL.tau * new.critic[name]
        np.testing.assert_allclose(new.target_critic[name], expected, rtol=1e-5, atol=1e-7)


def test_update_is_the_critic_updates_then_one_actor_update():
    batches = random_batches(3, 8)
    state = rlpd.init(SMALL, SPEC, 0)
    by_hand = state
    for i in range(3):
        batch = {name: array[i] for name, array in batches.items()}
        by_hand, _ = critic_step(by_hand, batch)
    by_hand, _ = actor_step(by_hand, batch)
    together, metrics = rlpd.update(SMALL, state, batches)
    assert int(together.critic_updates) == 3 and int(together.actor_updates) == 1
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((state.critic, state.critic_opt))), "not reused"
    for a, b in zip(jax.tree.leaves(by_hand), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert all(np.isfinite(value) for value in metrics.values())


def test_a_batch_with_nan_is_skipped_and_counted():
    batches = random_batches(3, 8)
    batches["reward"][1, 0] = np.nan
    state = rlpd.init(SMALL, SPEC, 0)
    new, metrics = rlpd.update(SMALL, state, batches)
    assert int(metrics["skipped"]) == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
    assert int(new.critic_updates) == 3

    batches["state"][:] = np.inf
    before = jax.tree.map(np.array, new)
    new, metrics = rlpd.update(SMALL, new, batches)
    assert int(metrics["skipped"]) == 1 + 3 + 2
    for name in ("actor", "critic", "target_critic", "log_temperature", "actor_opt", "critic_opt"):
        for a, b in zip(
            jax.tree.leaves(getattr(before, name)), jax.tree.leaves(getattr(new, name)), strict=True
        ):
            assert np.array_equal(a, b), name


def test_gradient_norm_limits_the_step():
    limited = dataclasses.replace(SMALL, max_grad_norm=1e-12)
    state = rlpd.init(limited, SPEC, 0)
    new, _ = jax.jit(partial(rlpd.critic_update, limited))(state, one(random_batches(1, 8)))
    free, _ = critic_step(rlpd.init(SMALL, SPEC, 0), one(random_batches(1, 8)))
    start = state.critic["hidden_1/kernel"]
    moved = np.abs(new.critic["hidden_1/kernel"] - start).max()
    assert moved < 0.01 * np.abs(free.critic["hidden_1/kernel"] - start).max()


def test_log_probability_survives_saturation():
    state = rlpd.init(SMALL, SPEC, 0)
    actor = {**state.actor, "mean/bias": np.full(2, 30.0, np.float32)}
    config = SMALL.actor_config(3, 2)
    action, log_prob = networks.sample(actor, np.zeros((1, 3), np.float32), jax.random.key(0), config)
    assert np.isfinite(log_prob).all() and np.abs(action).max() <= 1.0
    log_prob_of = lambda p: networks.sample(p, np.zeros((1, 3), np.float32), jax.random.key(0), config)[1][0]  # noqa: E731
    gradient = jax.jit(jax.grad(log_prob_of))(actor)
    assert all(np.isfinite(leaf).all() for leaf in gradient.values())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("state", (3, 8, 4), "state must have shape"),
        ("action", (3, 8), "action must have shape"),
        ("discount", (3, 7), "discount must have shape"),
        ("reward", (24,), "reward must have shape"),
    ],
)
def test_wrong_shapes_are_one_line_errors(name, shape, message):
    batches = {**random_batches(3, 8), name: np.zeros(shape, np.float32)}
    with pytest.raises(SchemaError, match=message) as caught:
        rlpd.update(SMALL, rlpd.init(SMALL, SPEC, 0), batches)
    assert "\n" not in str(caught.value)


def test_a_missing_array_is_named():
    batches = random_batches(3, 8)
    del batches["discount"]
    with pytest.raises(SchemaError, match="discount"):
        rlpd.update(SMALL, rlpd.init(SMALL, SPEC, 0), batches)


def test_contradicting_settings_are_refused():
    with pytest.raises(ConfigError, match="subsample_size 3"):
        RLPDConfig(ensemble_size=2, subsample_size=3)
    with pytest.raises(ConfigError, match="std_min"):
        RLPDConfig(std_min=2.0, std_max=1.0)
