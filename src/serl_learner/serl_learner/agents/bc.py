# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Behaviour cloning of the same actor network: the baseline of the SERL paper's section V."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.agents.config import BCConfig
from serl_learner.networks import Params

_EDGE = 1.0 - 1e-3  # the squashed Gaussian has no density at -1 and 1, where clipped actions lie


class BCState(NamedTuple):
    """Parameters, optimiser state and updates so far."""

    actor: Params
    actor_opt: optax.OptState
    updates: jax.Array


def _optimizer(config: BCConfig) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.updates)
    return optax.adamw(schedule, weight_decay=config.weight_decay)


def init(config: BCConfig, spec: EnvSpec, seed: int) -> BCState:
    """Return a fresh state for an environment, reproducible by `seed`."""
    return _init(config, spec.policy_state_size, spec.action_size, seed)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _init(config: BCConfig, state_size: int, action_size: int, seed: jax.Array) -> BCState:
    actor = networks.init_actor(jax.random.key(seed), config.actor_config(state_size, action_size))
    return BCState(actor, _optimizer(config).init(actor), jnp.int32(0))


def loss(config: BCConfig, actor: Params, state: jax.Array, action: jax.Array) -> jax.Array:
    """Return the mean loss of actions (B, action_size) at state vectors (B, state_size)."""
    actor_config = config.actor_config(state.shape[-1], action.shape[-1])
    mean, std = networks.actor(actor, state, actor_config)
    if config.loss == "mse":
        return jnp.mean((jnp.tanh(mean) - action) ** 2)
    inner = jnp.clip(action, -_EDGE, _EDGE)
    gaussian = -0.5 * ((jnp.arctanh(inner) - mean) / std) ** 2 - jnp.log(std) - 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.mean(jnp.sum(gaussian - jnp.log1p(-(inner**2)), -1))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(config: BCConfig, state: BCState, batches: dict[str, jax.Array]) -> tuple[BCState, dict]:
    """Do one gradient step per batch.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: "state" (U, B, state_size) and "action" (U, B, action_size); other entries are ignored.

    Returns:
        New state; {"loss": mean over the updates}.
    """
    states, actions = batches["state"], batches["action"]
    state_size, action_size = state.actor["hidden_0/kernel"].shape[0], state.actor["mean/bias"].shape[0]
    if states.ndim != 3 or states.shape[2] != state_size or actions.shape != (*states.shape[:2], action_size):
        raise SchemaError(
            f"batches: expected state (U, B, {state_size}) and action (U, B, {action_size}),"
            f" got {states.shape} and {actions.shape}"
        )

    def step(state: BCState, batch: tuple[jax.Array, jax.Array]) -> tuple[BCState, jax.Array]:
        value, gradient = jax.value_and_grad(partial(loss, config))(state.actor, *batch)
        updates, actor_opt = _optimizer(config).update(gradient, state.actor_opt, state.actor)
        return BCState(optax.apply_updates(state.actor, updates), actor_opt, state.updates + 1), value

    state, losses = jax.lax.scan(step, state, (states, actions))
    return state, {"loss": jnp.mean(losses)}


def actor_leaves(state: BCState) -> dict[str, np.ndarray]:
    """Return copies of the actor's parameters by name."""
    return {name: np.array(leaf) for name, leaf in state.actor.items()}
