# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""HG-DAgger: the policy acts, a person corrects, and the corrections are cloned (Kelly et al. 2019, algorithm 1).

On the same data path as reinforcement: what the person does joins the demonstrations, what the policy does is never
learned from. The policy is cloned from the demonstrations before it acts (HIL-SERL, section 4.3). The original trains
anew after each round of episodes; here training goes on, `utd_ratio` steps for each of the environment, because rounds
would stop the arm. Its doubt (disagreement of an ensemble) only informs the person and is left out.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.agents import bc, rlpd
from serl_learner.agents.bc import mean_actions, sample_actions
from serl_learner.agents.config import HGDAggerConfig
from serl_learner.agents.rlpd import Batch, Metrics
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone

__all__ = ["actor_leaves", "cloned", "init", "mean_actions", "sample_actions", "to_clone", "update"]


class HGDAggerState(NamedTuple):
    """Everything that training goes on from.

    Attributes:
        actor, encoder: Parameters of the policy and of its image encoder, empty without cameras.
        opt: Optimiser state.
        updates: Cloning steps so far, skipped ones included.
        skipped: Of them, those that were skipped for a gradient that was not finite.
    """

    actor: Params
    encoder: Params
    opt: optax.OptState
    updates: jax.Array
    skipped: jax.Array


def _optimizer(config: HGDAggerConfig) -> optax.GradientTransformation:
    # The data grow, so that the step size must not fall to nothing.
    return optax.adamw(config.actor_lr, weight_decay=config.weight_decay)


def init(config: HGDAggerConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> HGDAggerState:
    """Return a fresh state; arguments as for `rlpd.init`."""
    vision_config = config.vision_config(spec, backbone)
    key = jax.random.key(seed)
    shape = config.actor_config(spec.policy_state_size, spec.action_size, vision_config)
    actor = networks.init_actor(key, shape)
    encoder = {} if vision_config is None else vision.init(jax.random.fold_in(key, 1), vision_config)
    return _start(config, actor, encoder)


def _start(config: HGDAggerConfig, actor: Params, encoder: Params) -> HGDAggerState:
    opt = _optimizer(config).init((actor, encoder))
    return HGDAggerState(actor, encoder, opt, jnp.int32(0), jnp.int32(0))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: HGDAggerConfig, state: HGDAggerState, batches: Batch, backbone: resnet10.Leaves | None = None
) -> tuple[HGDAggerState, Metrics]:
    """Do one cloning step per batch.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: As for `rlpd.update`, all rows a person's; "state", "action" and the cameras are read.
        backbone: Frozen weights where `config.encoder` is "resnet10".

    Returns:
        New state; {"actor_loss": mean over the steps that were finite, "skipped": count}.
    """
    batches = bc.check_batches(config, state.actor, state.encoder, batches)

    def step(state: HGDAggerState, batch: Batch) -> tuple[HGDAggerState, jax.Array]:
        key = jax.random.fold_in(jax.random.key(0), state.updates)
        seen = vision.see(config, state.encoder, backbone, batch, key)
        trained = (state.actor, state.encoder)

        def loss_of(trained: tuple[Params, Params]) -> jax.Array:
            actor, encoder = trained
            shape = config.actor_config(seen["state"].shape[-1], seen["action"].shape[-1])
            latent = vision.encode(encoder, seen)
            return bc.squared_error(shape, actor, seen["state"], seen["action"], latent)

        value, gradient = jax.value_and_grad(loss_of)(trained)
        (actor, encoder), opt, finite = rlpd.guarded(_optimizer(config), gradient, trained, state.opt, None)
        skipped = state.skipped + jnp.where(finite, 0, 1)
        return HGDAggerState(actor, encoder, opt, state.updates + 1, skipped), value

    state, losses = jax.lax.scan(step, state, batches)
    return state, {"actor_loss": jnp.nanmean(losses), "skipped": state.skipped}


def actor_leaves(state: HGDAggerState) -> dict[str, np.ndarray]:
    """Return copies of what acting needs by name: parameters of the actor and of the image encoder."""
    return {name: np.array(leaf) for name, leaf in {**state.actor, **state.encoder}.items()}


def to_clone(state: HGDAggerState) -> tuple[Params, Params]:
    """Return what cloning before the first episode trains."""
    return state.actor, state.encoder


def cloned(state: HGDAggerState, actor: Params, encoder: Params) -> HGDAggerState:
    """Return the state with parameters that were cloned; the optimiser keeps nothing of how."""
    return state._replace(actor=actor, encoder=encoder)
