# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""RLPD: soft actor-critic with demonstrations in every batch (SERL paper, section IV-A; RLPD, algorithm 1).

Every part (critics, actor, temperature) has its own optimiser, so that a critic-only update leaves the others
bit-identical. A gradient that is not finite skips the update of its part and is counted.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.actor_network import ActorConfig
from serl_learner.agents.config import RLPDConfig
from serl_learner.networks import Params

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """Everything that training goes on from.

    Attributes:
        actor, critic, target_critic: Parameters; the critics' carry a leading ensemble axis.
        log_temperature: Scalar.
        actor_opt, critic_opt, temperature_opt: Optimiser states.
        key: Data of the random key.
        critic_updates, actor_updates: Updates so far, skipped ones included.
        skipped: Updates of any part that were skipped for a gradient that was not finite.
    """

    actor: Params
    critic: Params
    target_critic: Params
    log_temperature: jax.Array
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    temperature_opt: optax.OptState
    key: jax.Array
    critic_updates: jax.Array
    actor_updates: jax.Array
    skipped: jax.Array


def _optimizer(learning_rate: float, config: RLPDConfig) -> optax.GradientTransformation:
    adam = optax.adam(learning_rate)
    if config.max_grad_norm == 0.0:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), adam)


def init(config: RLPDConfig, spec: EnvSpec, seed: int) -> TrainState:
    """Return a fresh state for an environment, reproducible by `seed`."""
    return _init(config, spec.policy_state_size, spec.action_size, seed)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _init(config: RLPDConfig, state_size: int, action_size: int, seed: jax.Array) -> TrainState:
    key, actor_key, critic_key = jax.random.split(jax.random.key(seed), 3)
    actor = networks.init_actor(actor_key, config.actor_config(state_size, action_size))
    critic = networks.init_critic(
        critic_key,
        state_size + action_size,
        config.hidden_sizes,
        config.critic_layer_norm,
        config.ensemble_size,
    )
    log_temperature = jnp.log(jnp.float32(config.init_temperature))
    return TrainState(
        actor=actor,
        critic=critic,
        target_critic=jax.tree.map(jnp.copy, critic),
        log_temperature=log_temperature,
        actor_opt=_optimizer(config.actor_lr, config).init(actor),
        critic_opt=_optimizer(config.critic_lr, config).init(critic),
        temperature_opt=_optimizer(config.temperature_lr, config).init(log_temperature),
        key=jax.random.key_data(key),
        critic_updates=jnp.int32(0),
        actor_updates=jnp.int32(0),
        skipped=jnp.int32(0),
    )


def _actor_config(config: RLPDConfig, actor: Params) -> ActorConfig:
    return config.actor_config(actor["hidden_0/kernel"].shape[0], actor["mean/bias"].shape[0])


def _guarded(
    optimizer: optax.GradientTransformation, gradient: Any, params: Any, opt_state: optax.OptState
) -> tuple[Any, optax.OptState, jax.Array]:
    """Apply a gradient unless it holds NaN or infinity; return (params, optimiser state, applied?)."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient)]))
    updates, new_opt_state = optimizer.update(gradient, opt_state, params)
    new = (optax.apply_updates(params, updates), new_opt_state)
    kept_params, kept_opt = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, (params, opt_state))
    return kept_params, kept_opt, finite


def critic_target(config: RLPDConfig, state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
    """Return r + gamma * discount * min over a random subset of target critics at the policy's next action.

    The subset is drawn first and only its members are evaluated. `batch["discount"]` is 0 only at a true
    termination, so that a time-out bootstraps. With `backup_entropy`, the entropy term is discounted alike.

    Returns:
        Targets (batch,).
    """
    action_key, subset_key = jax.random.split(key)
    next_action, log_prob = networks.sample(
        state.actor, batch["next_state"], action_key, _actor_config(config, state.actor)
    )
    subset = jax.random.permutation(subset_key, config.ensemble_size)[: config.subsample_size]
    chosen = networks.members(jax.tree.map(lambda leaf: leaf[subset], state.target_critic))
    next_value = jnp.min(networks.critics(chosen, batch["next_state"], next_action, config.activation), 0)
    if config.backup_entropy:
        next_value = next_value - jnp.exp(state.log_temperature) * log_prob
    return batch["reward"] + config.discount * batch["discount"] * next_value


def critic_update(config: RLPDConfig, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Do one gradient step of all critics and move their targets; nothing else but key and counters changes.

    Args:
        batch: "state", "next_state" (B, state_size), "action" (B, action_size), "reward", "discount" (B,).
    """
    key, target_key = jax.random.split(jax.random.wrap_key_data(state.key))
    target = jax.lax.stop_gradient(critic_target(config, state, batch, target_key))

    def loss(ensemble: list[Params]) -> tuple[jax.Array, jax.Array]:
        values = networks.critics(ensemble, batch["state"], batch["action"], config.activation)
        return jnp.mean((values - jnp.broadcast_to(target, values.shape)) ** 2), values

    gradient_of = jax.value_and_grad(loss, has_aux=True)
    (loss_value, values), gradients = gradient_of(networks.members(state.critic))
    critic, critic_opt, finite = _guarded(
        _optimizer(config.critic_lr, config), networks.stack(gradients), state.critic, state.critic_opt
    )
    moved = jax.tree.map(lambda t, c: t + config.tau * (c - t), state.target_critic, critic)
    target_critic = jax.tree.map(lambda a, b: jnp.where(finite, a, b), moved, state.target_critic)
    state = state._replace(
        critic=critic,
        target_critic=target_critic,
        critic_opt=critic_opt,
        key=jax.random.key_data(key),
        critic_updates=state.critic_updates + 1,
        skipped=state.skipped + jnp.where(finite, 0, 1),
    )
    metrics = {
        "critic_loss": loss_value,
        "q_mean": jnp.mean(values),
        "target_q": jnp.mean(target),
        "td_error": jnp.mean(jnp.abs(values - jnp.broadcast_to(target, values.shape))),
    }
    return state, metrics


def actor_update(config: RLPDConfig, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Do one gradient step of the actor, against the mean of all critics, and one of the temperature.

    Args:
        batch: As for `critic_update`; only "state" is read.
    """
    actor_config = _actor_config(config, state.actor)
    key, action_key = jax.random.split(jax.random.wrap_key_data(state.key))
    temperature = jnp.exp(state.log_temperature)
    ensemble = networks.members(state.critic)

    def actor_loss(actor: Params) -> tuple[jax.Array, jax.Array]:
        action, log_prob = networks.sample(actor, batch["state"], action_key, actor_config)
        value = jnp.mean(networks.critics(ensemble, batch["state"], action, config.activation), 0)
        return jnp.mean(temperature * log_prob - value), -jnp.mean(log_prob)

    (actor_loss_value, entropy), actor_gradient = jax.value_and_grad(actor_loss, has_aux=True)(state.actor)

    def temperature_loss(log_temperature: jax.Array) -> jax.Array:
        return jnp.exp(log_temperature) * (entropy - config.target_entropy(actor_config.action_size))

    temperature_loss_value, temperature_gradient = jax.value_and_grad(temperature_loss)(state.log_temperature)
    actor, actor_opt, actor_finite = _guarded(
        _optimizer(config.actor_lr, config), actor_gradient, state.actor, state.actor_opt
    )
    log_temperature, temperature_opt, temperature_finite = _guarded(
        _optimizer(config.temperature_lr, config),
        temperature_gradient,
        state.log_temperature,
        state.temperature_opt,
    )
    state = state._replace(
        actor=actor,
        log_temperature=log_temperature,
        actor_opt=actor_opt,
        temperature_opt=temperature_opt,
        key=jax.random.key_data(key),
        actor_updates=state.actor_updates + 1,
        skipped=state.skipped + jnp.where(actor_finite, 0, 1) + jnp.where(temperature_finite, 0, 1),
    )
    metrics = {
        "actor_loss": actor_loss_value,
        "entropy": entropy,
        "temperature": temperature,
        "temperature_loss": temperature_loss_value,
    }
    return state, metrics


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(config: RLPDConfig, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    """Do one critic update per batch, then one actor and temperature update on the last batch, in one call.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: Arrays of `critic_update` with a further leading axis, the critic updates. SchemaError if a
            shape does not fit.

    Returns:
        New state; scalars by name, those of the critics averaged over the updates that were finite.
    """
    check_batches(state, batches)
    # A loop body is compiled once, and costs nothing measurable on a CPU over an unrolled one.
    state, critic_metrics = jax.lax.scan(partial(critic_update, config), state, batches)
    state, actor_metrics = actor_update(config, state, jax.tree.map(lambda leaf: leaf[-1], batches))
    metrics = {name: jnp.nanmean(values) for name, values in critic_metrics.items()}
    return state, {**metrics, **actor_metrics, "skipped": state.skipped}


def empty_batches(config: RLPDConfig, spec: EnvSpec) -> dict[str, np.ndarray]:
    """Return batches of zeros in the shapes and types that `update` takes."""
    lead = (config.utd_ratio, config.batch_size)
    state = np.zeros((*lead, spec.policy_state_size), np.float32)
    action = np.zeros((*lead, spec.action_size), np.float32)
    scalar = np.zeros(lead, np.float32)
    return {"state": state, "next_state": state, "action": action, "reward": scalar, "discount": scalar}


def check_batches(state: TrainState, batches: Batch) -> None:
    """Raise SchemaError unless `batches` has every array of `update` in a shape that fits the networks."""
    state_size = state.actor["hidden_0/kernel"].shape[0]
    action_size = state.actor["mean/bias"].shape[0]
    tails = {
        "state": (state_size,),
        "next_state": (state_size,),
        "action": (action_size,),
        "reward": (),
        "discount": (),
    }
    if set(batches) != set(tails):
        raise SchemaError(f"batches: expected {sorted(tails)}, got {sorted(batches)}")
    lead = batches["reward"].shape
    if len(lead) != 2 or 0 in lead:
        raise SchemaError(f"batches: reward must have shape (updates, batch), got {lead}")
    for name, tail in tails.items():
        if batches[name].shape != (*lead, *tail):
            raise SchemaError(f"batches: {name} must have shape {(*lead, *tail)}, got {batches[name].shape}")


@partial(jax.jit, static_argnums=0)
def sample_actions(config: RLPDConfig, actor: Params, state: jax.Array, key: jax.Array) -> jax.Array:
    """Return random actions (..., action_size) for state vectors (..., state_size)."""
    return networks.sample(actor, state, key, _actor_config(config, actor))[0]


@partial(jax.jit, static_argnums=0)
def mean_actions(config: RLPDConfig, actor: Params, state: jax.Array) -> jax.Array:
    """Return squashed mean actions (..., action_size) for state vectors (..., state_size)."""
    return jnp.tanh(networks.actor(actor, state, _actor_config(config, actor))[0])


def actor_leaves(state: TrainState) -> dict[str, np.ndarray]:
    """Return copies of the actor's parameters by name."""
    return {name: np.array(leaf) for name, leaf in state.actor.items()}
