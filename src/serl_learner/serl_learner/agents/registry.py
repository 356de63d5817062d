# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The agents that learn while they act, by the name that `learner.agent` chooses them by.

Each is a module of pure functions over a state. `AGENTS` in `config` has their settings.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import jax
import numpy as np

from serl_core.specs import EnvSpec
from serl_learner.agents import dapg, hg_dagger, ibrl, residual, rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.networks import Params
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone


class Agent(Protocol):
    """What a training loop needs of an agent; `rlpd` documents arguments and results."""

    def init(self, config: Any, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> Any:
        """Return a fresh state."""

    def update(
        self, config: Any, state: Any, batches: dict[str, jax.Array], backbone: resnet10.Leaves | None = None
    ) -> tuple[Any, dict[str, jax.Array]]:
        """Learn from one batch per critic update or cloning step; return new state and figures."""

    def sample_actions(
        self, config: Any, leaves: Params, state: jax.Array, key: jax.Array, latent: jax.Array | None = None
    ) -> jax.Array:
        """Return random actions of the policy with these leaves."""

    def actor_leaves(self, state: Any) -> dict[str, np.ndarray]:
        """Return copies of what acting needs by name, as `config.actor_config` describes it."""

    def to_clone(self, state: Any) -> tuple[Params, Params]:
        """Return which actor and image encoder are cloned from demonstrations before anything else."""

    def cloned(self, state: Any, actor: Params, encoder: Params) -> Any:
        """Return the state with what was cloned."""


_AGENTS = {module.__name__.rpartition(".")[2]: module for module in (rlpd, hg_dagger, residual, ibrl, dapg)}


def agent_of(config: RLPDConfig) -> Agent:
    """Return the agent whose settings these are."""
    return cast(Agent, _AGENTS[config.method])
