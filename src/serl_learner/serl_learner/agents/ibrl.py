# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""IBRL, imitation bootstrapped RL: the better of a cloned policy's action and the actor's own (Hu et al. 2024).

    acting:  a = argmax over {actor(s), base(s)} of min Q(s, a)
    target:  r + gamma * discount * max over {actor(s'), base(s')} of min Q_target(s', a')

The minimum is over a random `subsample_size` of the target critics in the target, as everywhere in RLPD, and over the
first two critics for acting, so that few critics travel with the policy. Three things are other than in the
paper: what learns is RLPD instead of TD3 with dropout; acting asks the critics, not their targets, because these would
need an image encoder of their own beside the actor; and demonstrations fill a fixed share of each batch. The entropy of
`backup_entropy` counts for the actor's action only, as the base has none.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np

from serl_learner.agents import base, rlpd
from serl_learner.agents.base import cloned, init, mean_actions, sample_actions, to_clone
from serl_learner.agents.config import ACTING_CRITICS, IBRLConfig
from serl_learner.agents.rlpd import Batch, Metrics, TrainState
from serl_learner.vision import resnet10

__all__ = ["actor_leaves", "cloned", "init", "mean_actions", "sample_actions", "to_clone", "update"]

_RULE = rlpd.Rule(rival=base.action)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: IBRLConfig, state: TrainState, batches: Batch, backbone: resnet10.Leaves | None = None
) -> tuple[TrainState, Metrics]:
    """Do the updates of `rlpd.update`, which see for the arguments, with the base policy for a rival in the target."""
    return rlpd.learn(config, state, batches, backbone, _RULE)


def actor_leaves(state: TrainState) -> dict[str, np.ndarray]:
    """Return copies of what acting needs by name: both policies' leaves, and "critic/..." of the acting critics."""
    of_critics = {f"critic/{name}": np.array(leaf[:ACTING_CRITICS]) for name, leaf in state.critic.items()}
    return {**base.actor_leaves(state), **of_critics}
