# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The cloned base policy of residual RL and IBRL: frozen beside what learns, in `TrainState.base`.

It has the actor's shape and an image encoder of its own, and acts by its mean.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.agents import rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.agents.rlpd import Batch, TrainState
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision.backbone_file import Backbone

_IMAGE = "image/"
_SEED_OF_BASE = 1


def init(config: RLPDConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> TrainState:
    """Return a fresh state with an untrained base policy; arguments as for `rlpd.init`."""
    state = rlpd.init(config, spec, seed, backbone)
    vision_config = config.vision_config(spec, backbone)
    actor_config = config.actor_config(spec.policy_state_size, spec.action_size, vision_config)
    key = jax.random.fold_in(jax.random.key(seed), _SEED_OF_BASE)
    base = networks.init_actor(key, actor_config)
    if vision_config is not None:
        base.update(vision.init(jax.random.fold_in(key, 0), vision_config))
    return state._replace(base=base)


def action(config: RLPDConfig, state: TrainState, batch: Batch, prefix: str) -> jax.Array:
    """Return the base policy's actions (B, action_size).

    Args:
        config: Settings.
        state: Its `base` is read.
        batch: What `vision.encoder.see` made of a batch.
        prefix: "" for a step's first observation, `vision.encoder.NEXT` for its second.
    """
    actor, encoder = to_clone(state)
    vector = batch[prefix + "state"]
    shape = config.actor_config(vector.shape[-1], actor["mean/bias"].shape[0] + len(config.gripper_indices))
    return jnp.tanh(networks.actor(actor, vector, shape, vision.encode(encoder, batch, prefix))[0])


def to_clone(state: TrainState) -> tuple[Params, Params]:
    """Return what cloning before reinforcement trains: the base policy and its image encoder."""
    encoder = {name: leaf for name, leaf in state.base.items() if name.startswith(_IMAGE)}
    return {name: leaf for name, leaf in state.base.items() if name not in encoder}, encoder


def cloned(state: TrainState, actor: Params, encoder: Params) -> TrainState:
    """Return the state with parameters that were cloned."""
    return state._replace(base={**actor, **encoder})


def actor_leaves(state: TrainState) -> dict[str, np.ndarray]:
    """Return copies of the leaves of RLPD, and of the base policy's as "base/..."."""
    of_base = {f"base/{name}": np.array(leaf) for name, leaf in state.base.items()}
    return {**rlpd.actor_leaves(state), **of_base}


@partial(jax.jit, static_argnums=0)
def sample_actions(
    config: RLPDConfig,
    leaves: Params,
    state: jax.Array,
    key: jax.Array,
    latent: jax.Array | None = None,
    base_latent: jax.Array | None = None,
) -> jax.Array:
    """Return random actions (..., action_size) without grippers.

    Args:
        config: Settings.
        leaves: What `actor_leaves` returns.
        state: State vectors (..., state_size).
        key: Random key.
        latent, base_latent: Latents of the cameras through either encoder; None without cameras.
    """
    shape = _shape(config, leaves, state)
    noise = jax.random.normal(key, (*state.shape[:-1], shape.action_size))
    return networks.act(leaves, state, noise, shape, latent, base_latent)


@partial(jax.jit, static_argnums=0)
def mean_actions(
    config: RLPDConfig,
    leaves: Params,
    state: jax.Array,
    latent: jax.Array | None = None,
    base_latent: jax.Array | None = None,
) -> jax.Array:
    """Return mean actions (..., action_size) without grippers; arguments as for `sample_actions`."""
    return networks.act(leaves, state, None, _shape(config, leaves, state), latent, base_latent)


def _shape(config: RLPDConfig, leaves: Params, state: jax.Array) -> networks.ActorConfig:
    return config.actor_config(state.shape[-1], leaves["mean/bias"].shape[0] + len(config.gripper_indices))
