# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Policy and critics as pure functions over dictionaries of arrays.

The critics' parameters carry a leading ensemble axis, but the forward pass works member by member: on a CPU,
ten two-dimensional products take about half the time of one batched product (`bench.py` measures both).
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp

from serl_learner.actor_network import LAYER_NORM_EPSILON, ActorConfig

Params = dict[str, jax.Array]

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}


def _add(x: jax.Array, row: jax.Array) -> jax.Array:
    return x + jnp.broadcast_to(row, x.shape)


def _hidden_params(key: jax.Array, sizes: tuple[int, ...], layer_norm: bool) -> Params:
    params: Params = {}
    for i, (fan_in, units) in enumerate(itertools.pairwise(sizes)):
        key, kernel_key = jax.random.split(key)
        params[f"hidden_{i}/kernel"] = jax.nn.initializers.glorot_uniform()(kernel_key, (fan_in, units))
        params[f"hidden_{i}/bias"] = jnp.zeros(units)
        if layer_norm:
            params[f"hidden_{i}/scale"] = jnp.ones(units)
            params[f"hidden_{i}/offset"] = jnp.zeros(units)
    return params


def _hidden(params: Params, x: jax.Array, activation: str) -> jax.Array:
    i = 0
    while f"hidden_{i}/kernel" in params:
        x = _add(x @ params[f"hidden_{i}/kernel"], params[f"hidden_{i}/bias"])
        if f"hidden_{i}/scale" in params:
            centred = x - jnp.mean(x, -1, keepdims=True)
            variance = jnp.mean(centred * centred, -1, keepdims=True)
            x = centred * jax.lax.rsqrt(variance + LAYER_NORM_EPSILON)
            x = _add(x * jnp.broadcast_to(params[f"hidden_{i}/scale"], x.shape), params[f"hidden_{i}/offset"])
        x = _ACTIVATIONS[activation](x)
        i += 1
    return x


def init_actor(key: jax.Array, config: ActorConfig) -> Params:
    """Return fresh actor parameters, named as `ActorConfig.leaf_shapes` says."""
    hidden_key, mean_key, std_key = jax.random.split(key, 3)
    params = _hidden_params(hidden_key, (config.state_size, *config.hidden_sizes), config.layer_norm)
    shape = (config.hidden_sizes[-1], config.action_size)
    for head, head_key in (("mean", mean_key), ("log_std", std_key)):
        params[f"{head}/kernel"] = jax.nn.initializers.glorot_uniform()(head_key, shape)
        params[f"{head}/bias"] = jnp.zeros(config.action_size)
    return params


def actor(params: Params, state: jax.Array, config: ActorConfig) -> tuple[jax.Array, jax.Array]:
    """Return mean and deviation before squashing, both (..., action_size), for `state` (..., state_size)."""
    hidden = _hidden(params, state, config.activation)
    mean = _add(hidden @ params["mean/kernel"], params["mean/bias"])
    log_std = _add(hidden @ params["log_std/kernel"], params["log_std/bias"])
    return mean, jnp.exp(jnp.clip(log_std, jnp.log(config.std_min), jnp.log(config.std_max)))


def sample(
    params: Params, state: jax.Array, key: jax.Array, config: ActorConfig
) -> tuple[jax.Array, jax.Array]:
    """Draw squashed actions by reparametrisation.

    Returns:
        Actions (..., action_size) in [-1, 1] and their log densities (...,).
    """
    mean, std = actor(params, state, config)
    noise = jax.random.normal(key, mean.shape)
    raw = mean + std * noise
    gaussian = -0.5 * noise**2 - jnp.log(std) - 0.5 * jnp.log(2 * jnp.pi)
    # log(1 - tanh(u)^2), in the form that does not lose its digits where tanh saturates
    squash = 2 * (jnp.log(2.0) - raw - jax.nn.softplus(-2 * raw))
    return jnp.tanh(raw), jnp.sum(gaussian - squash, -1)


def init_critic(
    key: jax.Array, input_size: int, hidden_sizes: tuple[int, ...], layer_norm: bool, ensemble_size: int
) -> Params:
    """Return parameters of an ensemble; every array's first axis is the member."""

    def member(member_key: jax.Array) -> Params:
        hidden_key, value_key = jax.random.split(member_key)
        params = _hidden_params(hidden_key, (input_size, *hidden_sizes), layer_norm)
        kernel = jax.nn.initializers.glorot_uniform()(value_key, (hidden_sizes[-1], 1))
        return {**params, "value/kernel": kernel, "value/bias": jnp.zeros(1)}

    return jax.vmap(member)(jax.random.split(key, ensemble_size))


def members(params: Params) -> list[Params]:
    """Split an ensemble into its members; inverse of `stack`."""
    size = params["value/bias"].shape[0]
    return [jax.tree.map(lambda leaf, i=i: leaf[i], params) for i in range(size)]


def stack(ensemble: list[Params]) -> Params:
    """Join members along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *ensemble)


def critics(ensemble: list[Params], state: jax.Array, action: jax.Array, activation: str) -> jax.Array:
    """Return Q values (members, batch) for `state` (batch, state_size) and `action` (batch, action_size)."""
    x = jnp.concatenate([state, action], -1)

    def value(params: Params) -> jax.Array:
        hidden = _hidden(params, x, activation)
        return _add(hidden @ params["value/kernel"], params["value/bias"])[..., 0]

    return jnp.stack([value(params) for params in ensemble])
