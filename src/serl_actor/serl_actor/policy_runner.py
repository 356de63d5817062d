# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Observation to action with the weights at hand."""

from __future__ import annotations

import numpy as np

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_core.types import Action, Observation, PolicyWeights
from serl_learner.actor_network import ActorNetwork
from serl_learner.weights import decode


class PolicyRunner:
    """One version of a policy for one environment; made off the acting thread, then only read.

    Args:
        spec: The environment that will be acted in.
        weights: Checked against the spec; SchemaError if they are of another schema or network, or damaged.
    """

    def __init__(self, spec: EnvSpec, weights: PolicyWeights) -> None:
        if spec.images:
            raise SchemaError(
                f"task {spec.task} has images, which this policy cannot read yet: use obs=state"
            )
        self._spec = spec
        self._network: ActorNetwork = decode(weights, spec)
        self.version = weights.version

    def act(self, observation: Observation, rng: np.random.Generator | None) -> Action:
        """Return a sampled action, or the mean action where `rng` is None."""
        state = self._spec.policy_vector(observation.state)
        data = self._network.mean(state) if rng is None else self._network.sample(state, rng)
        return Action(observation.episode_id, observation.step, self.version, data)
