# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Residual RL: a cloned base policy acts, and RLPD learns what to add (Johannink et al. 2019; HIL-SERL, section 4.5).

    a = clip(base(s) + residual_scale * residual(s), -1, 1)

The residual starts at zero, so that the first policy is the base (Silver et al. 2018, section 3.2). The critics value
the sum: it is what transitions hold, whoever acted, so demonstrations and corrections serve as they are. The entropy is
that of the residual before scaling. In the original, the base is a hand-made controller, the residual is not bounded
and learner is TD3; HIL-SERL's comparison clones the base from demonstrations, as here.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.agents import base, rlpd
from serl_learner.agents.base import actor_leaves, cloned, mean_actions, sample_actions, to_clone
from serl_learner.agents.config import ResidualConfig
from serl_learner.agents.rlpd import Batch, Metrics, TrainState
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone

__all__ = ["actor_leaves", "cloned", "init", "mean_actions", "sample_actions", "to_clone", "update"]


def init(config: ResidualConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> TrainState:
    """Return a fresh state whose policy is its base policy; arguments as for `rlpd.init`."""
    state = base.init(config, spec, seed, backbone)
    silent = {name: jnp.zeros_like(leaf) for name, leaf in state.actor.items() if name.startswith("mean/")}
    return state._replace(actor={**state.actor, **silent})


def _execute(
    config: ResidualConfig, state: TrainState, actions: jax.Array, batch: Batch, prefix: str
) -> jax.Array:
    return networks.add_residual(base.action(config, state, batch, prefix), actions, config.residual_scale)


_RULE = rlpd.Rule(execute=_execute)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: ResidualConfig, state: TrainState, batches: Batch, backbone: resnet10.Leaves | None = None
) -> tuple[TrainState, Metrics]:
    """Do the updates of `rlpd.update`, which see for the arguments, with the sum of base and residual for an action."""
    return rlpd.learn(config, state, batches, backbone, _RULE)
