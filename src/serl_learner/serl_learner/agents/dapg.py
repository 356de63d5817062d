# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""DAPG: the demonstrations' likelihood beside the reward in the actor's loss (Rajeswaran et al. 2018, section IV).

    loss = E[temperature * log pi(a | s) - Q(s, a)]  -  weight * decay^k * E_demo[log pi(a | s)]

with k the actor updates so far, after the actor was cloned from the demonstrations (their section IV-A).

How it differs from the original, and why. DAPG is a natural policy gradient over fresh on-policy roll-outs, some
hundred times 200 trajectories, which no robot has: here the policy gradient is RLPD's reparametrised one on replayed
rows, the term that the demonstrations add to it is the original's (equation 3: the sum of the gradients of log pi over
them, weighted by lambda_0 * lambda_1^k). The original scales the weight by the largest advantage in the batch, for
returns of any size; with success rewarded once, advantages are at most about 1, and 1 stands for it. Its k counts
iterations of a whole batch of roll-outs, ours actor updates, hence a decay nearer to 1. HIL-SERL (section 4.5) says of
its own comparison that it "regularized the policy actions towards" a separate buffer of demonstrations, which this is.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from serl_learner.agents import bc, rlpd
from serl_learner.agents.config import DAPGConfig
from serl_learner.agents.rlpd import (
    Batch,
    Metrics,
    TrainState,
    actor_leaves,
    cloned,
    init,
    mean_actions,
    sample_actions,
    to_clone,
)
from serl_learner.networks import Params
from serl_learner.vision import resnet10

__all__ = ["actor_leaves", "cloned", "init", "mean_actions", "sample_actions", "to_clone", "update", "weight"]


def weight(config: DAPGConfig, actor_updates: jax.Array) -> jax.Array:
    """Return the weight of the demonstrations after so many actor updates."""
    return config.dapg_weight * config.dapg_decay ** actor_updates.astype(jnp.float32)


def _regularizer(
    config: DAPGConfig, state: TrainState, actor: Params, batch: Batch, latent: jax.Array | None
) -> jax.Array | None:
    if not config.dapg_weight:
        return None
    demos = round(len(batch["reward"]) * config.demo_fraction)
    shown = {name: batch[name][-demos:] for name in ("state", "action")}  # a batch ends with demonstrations
    shape = config.actor_config(
        shown["state"].shape[-1], actor["mean/bias"].shape[0] + len(config.gripper_indices)
    )
    seen = None if latent is None else latent[-demos:]
    unlikely = bc.negative_log_likelihood(shape, actor, shown["state"], shown["action"], seen)
    return weight(config, state.actor_updates) * unlikely


_RULE = rlpd.Rule(regularizer=_regularizer)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: DAPGConfig, state: TrainState, batches: Batch, backbone: resnet10.Leaves | None = None
) -> tuple[TrainState, Metrics]:
    """Do the updates of `rlpd.update`, which see; the last `demo_fraction` of each batch's rows are demonstrations."""
    demo_weight = weight(config, state.actor_updates)
    state, metrics = rlpd.learn(config, state, batches, backbone, _RULE)
    return state, {**metrics, "demo_weight": demo_weight}
