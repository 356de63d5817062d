# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The policy off the learner: NumPy against JAX, weights on the wire, behaviour cloning."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from learner_cases import SMALL, SPEC

from serl_core.errors import SchemaError
from serl_learner import weights
from serl_learner.actor_network import ActorConfig, ActorNetwork, fingerprint
from serl_learner.agents import bc, rlpd
from serl_learner.agents.config import BCConfig

CONFIG = SMALL.actor_config(3, 2)


def leaves_of(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in CONFIG.leaf_shapes().items()
    }


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_numpy_and_jax_agree(activation, layer_norm):
    agent = dataclasses.replace(SMALL, activation=activation, actor_layer_norm=layer_norm)
    leaves = {k: v for k, v in leaves_of().items() if layer_norm or ("scale" not in k and "offset" not in k)}
    network = ActorNetwork(agent.actor_config(3, 2), leaves)
    states = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    expected = np.asarray(rlpd.mean_actions(agent, leaves, states))
    np.testing.assert_allclose(network.mean(states), expected, atol=2e-6)
    np.testing.assert_allclose(network.mean(states[0]), expected[0], atol=2e-6)
    assert network.mean(states[0]).dtype == np.float32


def test_numpy_and_jax_samples_have_the_same_distribution():
    leaves = leaves_of()
    state = np.repeat(np.array([[0.3, -1.0, 0.5]], np.float32), 20000, 0)
    ours = ActorNetwork(CONFIG, leaves).sample(state, np.random.default_rng(0))
    theirs = np.asarray(rlpd.sample_actions(SMALL, leaves, state, jax.random.key(0)))
    quantiles = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(np.quantile(ours, quantiles, 0), np.quantile(theirs, quantiles, 0), atol=0.05)
    assert np.abs(ours).max() <= 1.0


def test_a_clone_draws_as_its_network_does():
    config = BCConfig(hidden_sizes=(16,), std_min=0.2)
    leaves = bc.actor_leaves(bc.init(config, SPEC, 0))
    network = ActorNetwork(config.actor_config(3, 2), leaves)
    state = np.repeat(np.array([[0.3, -1.0, 0.5]], np.float32), 20000, 0)
    np.testing.assert_allclose(bc.mean_actions(config, leaves, state[:1]), network.mean(state[:1]), atol=2e-6)
    theirs = np.asarray(bc.sample_actions(config, leaves, state, jax.random.key(0)))
    ours = network.sample(state, np.random.default_rng(0))
    quantiles = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(np.quantile(ours, quantiles, 0), np.quantile(theirs, quantiles, 0), atol=0.05)
    assert theirs.shape == (20000, 2) and theirs.std(0).min() > 0.1 and np.abs(theirs).max() <= 1.0


def test_leaf_shapes_are_those_of_the_learner():
    leaves = rlpd.actor_leaves(rlpd.init(SMALL, SPEC, 0))
    assert {name: leaf.shape for name, leaf in leaves.items()} == CONFIG.leaf_shapes()


def test_acting_does_not_import_jax():
    code = "import sys, serl_learner.weights, serl_learner.checkpoint, serl_learner.agents.config"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'jax' not in sys.modules"], check=True)


def test_weights_survive_the_wire():
    leaves = leaves_of()
    packed = weights.encode(leaves, SPEC, CONFIG, version=7, stamp=1.5)
    network = weights.decode(packed, SPEC)
    assert (packed.task, packed.version, packed.stamp) == ("point", 7, 1.5)
    assert network.config == CONFIG
    assert all(np.array_equal(network.leaves[name], leaf) for name, leaf in leaves.items())


def test_damaged_or_foreign_weights_are_refused_by_name():
    packed = weights.encode(leaves_of(), SPEC, CONFIG, version=7)
    damaged = packed.data[:-1] + bytes([packed.data[-1] ^ 1])
    with pytest.raises(SchemaError, match="version 7.*checksum"):
        weights.decode(dataclasses.replace(packed, data=damaged), SPEC)
    with pytest.raises(SchemaError, match="another task than 'socket'"):
        weights.decode(packed, dataclasses.replace(SPEC, task="socket"))
    with pytest.raises(SchemaError, match="another observation schema or network"):
        weights.decode(packed, dataclasses.replace(SPEC, policy_keys=("ignored",)))
    with pytest.raises(SchemaError, match="fingerprint 0123"):
        weights.decode(dataclasses.replace(packed, fingerprint="0123"), SPEC)


def test_bytes_that_are_no_weights_are_refused():
    packed = weights.encode(leaves_of(), SPEC, CONFIG, version=1)
    for data in (b"", b"nonsense", packed.data[: len(packed.data) // 2]):
        foreign = dataclasses.replace(packed, data=data, checksum=hashlib.sha256(data).hexdigest())
        with pytest.raises(SchemaError, match="cannot be read"):
            weights.decode(foreign, SPEC)


def test_weights_that_do_not_fit_are_not_sent():
    with pytest.raises(SchemaError, match="NaN"):
        weights.encode({**leaves_of(), "mean/bias": np.array([np.nan, 0])}, SPEC, CONFIG, 1)
    with pytest.raises(SchemaError, match="mean/bias: expected shape"):
        weights.encode({**leaves_of(), "mean/bias": np.zeros(3)}, SPEC, CONFIG, 1)
    lacking = leaves_of()
    del lacking["log_std/bias"]
    with pytest.raises(SchemaError, match="missing.*log_std/bias"):
        weights.encode(lacking, SPEC, CONFIG, 1)


def test_fingerprint_tells_networks_and_schemas_apart():
    names = {
        fingerprint(SPEC, CONFIG),
        fingerprint(SPEC, dataclasses.replace(CONFIG, hidden_sizes=(16, 17))),
        fingerprint(SPEC, dataclasses.replace(CONFIG, activation="relu")),
        fingerprint(dataclasses.replace(SPEC, action_unit="rad"), CONFIG),
    }
    assert len(names) == 4
    assert ActorConfig.from_json(CONFIG.to_json()) == CONFIG
    with pytest.raises(SchemaError, match="not an actor network"):
        ActorConfig.from_json('{"hidden": 3}')


def test_a_state_of_another_size_is_refused():
    with pytest.raises(SchemaError, match="expected 3 numbers"):
        ActorNetwork(CONFIG, leaves_of()).mean(np.zeros(4, np.float32))


@pytest.mark.parametrize("loss", ["mse", "nll"])
def test_cloning_recovers_a_teacher(loss):
    config = BCConfig(loss=loss, hidden_sizes=(32,), updates=1500, batch_size=64, learning_rate=5e-3)
    rng = np.random.default_rng(0)
    states = rng.standard_normal((1500, 64, 3)).astype(np.float32)
    teacher = np.tanh(states[..., :2] * [1.5, -0.5]).astype(np.float32)
    actions = np.clip(teacher + 0.05 * rng.standard_normal(teacher.shape), -1, 1).astype(np.float32)
    state, metrics = bc.update(config, bc.init(config, SPEC, 0), {"state": states, "action": actions})
    assert int(state.updates) == 1500 and np.isfinite(metrics["loss"])
    network = ActorNetwork(config.actor_config(3, 2), bc.actor_leaves(state))
    error = np.abs(network.mean(states[0]) - teacher[0]).mean()
    assert error < 0.05, error


def test_cloning_likelihood_agrees_with_the_density():
    config = BCConfig(loss="nll", hidden_sizes=(16, 16), std_min=0.3)
    leaves = leaves_of()
    states = np.random.default_rng(1).standard_normal((8, 3)).astype(np.float32)
    actions = np.random.default_rng(2).uniform(-0.9, 0.9, (8, 2)).astype(np.float32)
    network = ActorNetwork(config.actor_config(3, 2), leaves)
    hidden = network._hidden(states)
    mean = network._mean(hidden)
    std = np.exp(hidden @ leaves["log_std/kernel"] + leaves["log_std/bias"]).clip(0.3, 5.0)
    raw = np.arctanh(actions)
    density = np.exp(-0.5 * ((raw - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)) / (1 - actions**2)
    expected = -np.log(density).sum(-1).mean()
    assert float(bc.loss(config, leaves, states, actions)) == pytest.approx(expected, rel=1e-4)


def test_cloning_refuses_wrong_shapes():
    config = BCConfig(hidden_sizes=(16, 16))
    batches = {"state": np.zeros((2, 8, 3), np.float32), "action": np.zeros((2, 8, 3), np.float32)}
    with pytest.raises(SchemaError, match=r"action \(U, B, 2\)"):
        bc.update(config, bc.init(config, SPEC, 0), batches)
