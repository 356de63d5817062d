# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Behaviour cloning of the same actor network: the baseline of the SERL paper's section V.

A gradient that is not finite skips its update and is counted.
"""

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
from serl_learner.actor_network import ActorConfig
from serl_learner.agents.config import BCConfig, HGDAggerConfig
from serl_learner.agents.rlpd import guarded
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone
from serl_learner.vision.config import VisionConfig, VisionOptions

_EDGE = 1.0 - 1e-3  # the squashed Gaussian has no density at -1 and 1, where clipped actions lie


class BCState(NamedTuple):
    """Everything that training goes on from.

    Attributes:
        actor, encoder: Parameters of the policy and of its image encoder, empty without cameras.
        opt: Optimiser state.
        updates: Gradient steps so far, skipped ones included.
        skipped, skipped_in_row: Of them, those that were skipped for a gradient that was not finite: all, and the
            latest without a sound one after them.
    """

    actor: Params
    encoder: Params
    opt: optax.OptState
    updates: jax.Array
    skipped: jax.Array
    skipped_in_row: jax.Array


def _optimizer(config: BCConfig) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.updates)
    return optax.adamw(schedule, weight_decay=config.weight_decay)


def init(config: BCConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> BCState:
    """Return a fresh state for an environment, reproducible by `seed`; `backbone` as for `rlpd.init`."""
    vision_config = config.vision_config(spec, backbone)
    return _init(config, spec.policy_state_size, spec.action_size, vision_config, seed)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _init(
    config: BCConfig,
    state_size: int,
    action_size: int,
    vision_config: VisionConfig | None,
    seed: jax.Array,
) -> BCState:
    key = jax.random.key(seed)
    actor = networks.init_actor(key, config.actor_config(state_size, action_size, vision_config))
    encoder = {} if vision_config is None else vision.init(jax.random.fold_in(key, 1), vision_config)
    return start(config, actor, encoder)


def start(config: BCConfig, actor: Params, encoder: Params) -> BCState:
    """Return the state before the first update of given parameters."""
    opt = _optimizer(config).init((actor, encoder))
    return BCState(actor, encoder, opt, jnp.int32(0), jnp.int32(0), jnp.int32(0))


def loss(
    config: BCConfig, actor: Params, state: jax.Array, action: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return the mean loss of actions (B, action_size) at state vectors (B, state_size) and camera latents."""
    shape = config.actor_config(state.shape[-1], action.shape[-1])
    of_kind = squared_error if config.loss == "mse" else negative_log_likelihood
    return of_kind(shape, actor, state, action, latent)


def squared_error(
    shape: ActorConfig, actor: Params, state: jax.Array, action: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return the mean squared distance of the mean actions from `action`; arguments as for `loss`."""
    mean, _ = networks.actor(actor, state, shape, latent)
    return jnp.mean((jnp.tanh(mean) - action) ** 2)


def negative_log_likelihood(
    shape: ActorConfig, actor: Params, state: jax.Array, action: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return the mean of -log pi(action | state) of the squashed Gaussian; arguments as for `loss`."""
    mean, std = networks.actor(actor, state, shape, latent)
    inner = jnp.clip(action, -_EDGE, _EDGE)
    gaussian = -0.5 * ((jnp.arctanh(inner) - mean) / std) ** 2 - jnp.log(std) - 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.mean(jnp.sum(gaussian - jnp.log1p(-(inner**2)), -1))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: BCConfig, state: BCState, batches: vision.Batch, backbone: resnet10.Leaves | None = None
) -> tuple[BCState, dict]:
    """Do one gradient step per batch.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: "state" (U, B, state_size), "action" (U, B, action_size) and for every camera its name, as for
            `rlpd.update`; other entries are ignored.
        backbone: Frozen weights where `config.encoder` is "resnet10".

    Returns:
        New state; {"loss": mean over the updates that were finite, "skipped", "skipped_in_row": as in the state}.
    """
    batches = check_batches(config, state.actor, state.encoder, batches)

    def step(state: BCState, batch: vision.Batch) -> tuple[BCState, jax.Array]:
        key = jax.random.fold_in(jax.random.key(0), state.updates)
        seen = vision.see(config, state.encoder, backbone, batch, key)

        def loss_of(trained: tuple[Params, Params]) -> jax.Array:
            actor, encoder = trained
            return loss(config, actor, seen["state"], seen["action"], vision.encode(encoder, seen))

        trained = (state.actor, state.encoder)
        value, gradient = jax.value_and_grad(loss_of)(trained)
        (actor, encoder), opt, finite = guarded(_optimizer(config), gradient, trained, state.opt, None)
        skipped = state.skipped + jnp.where(finite, 0, 1)
        in_row = jnp.where(finite, 0, state.skipped_in_row + 1)
        return BCState(actor, encoder, opt, state.updates + 1, skipped, in_row), value

    state, losses = jax.lax.scan(step, state, batches)
    figures = {"skipped": state.skipped, "skipped_in_row": state.skipped_in_row}
    return state, {"loss": jnp.nanmean(losses), **figures}


def check_batches(
    config: VisionOptions, actor: Params, encoder: Params, batches: vision.Batch
) -> vision.Batch:
    """Return what cloning reads of batches, see `update`; SchemaError unless it fits the networks."""
    states, actions = batches["state"], batches["action"]
    first = "proprio/kernel" if encoder else "hidden_0/kernel"
    state_size, action_size = actor[first].shape[0], actor["mean/bias"].shape[0]
    if states.ndim != 3 or states.shape[2] != state_size or actions.shape != (*states.shape[:2], action_size):
        raise SchemaError(
            f"batches: expected state (U, B, {state_size}) and action (U, B, {action_size}),"
            f" got {states.shape} and {actions.shape}"
        )
    views = {camera: batches[camera] for camera in vision.cameras(encoder)}
    vision.check_images(config, encoder, views, states.shape[:2])
    return {"state": states, "action": actions, **views}


@partial(jax.jit, static_argnums=0)
def sample_actions(
    config: BCConfig | HGDAggerConfig,
    actor: Params,
    state: jax.Array,
    key: jax.Array,
    latent: jax.Array | None = None,
) -> jax.Array:
    """Return random actions (..., action_size), grippers included, for state vectors (..., state_size).

    Args:
        config: Settings.
        actor: Parameters of the actor.
        state: State vectors.
        key: Random key.
        latent: Latents of the cameras (..., latent_size); None without cameras.
    """
    return networks.sample(actor, state, key, _shape(config, actor, state), latent)[0]


@partial(jax.jit, static_argnums=0)
def mean_actions(
    config: BCConfig | HGDAggerConfig, actor: Params, state: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return squashed mean actions (..., action_size); arguments as for `sample_actions`."""
    return jnp.tanh(networks.actor(actor, state, _shape(config, actor, state), latent)[0])


def _shape(config: BCConfig | HGDAggerConfig, actor: Params, state: jax.Array) -> ActorConfig:
    return config.actor_config(state.shape[-1], actor["mean/bias"].shape[0])


def actor_leaves(state: BCState) -> dict[str, np.ndarray]:
    """Return copies of what acting needs by name: the actor's parameters and the image encoder's."""
    return {name: np.array(leaf) for name, leaf in {**state.actor, **state.encoder}.items()}
