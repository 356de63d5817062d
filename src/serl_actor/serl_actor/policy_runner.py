# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Observation to action with the weights at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from serl_core.specs import EnvSpec
from serl_core.types import Action, Observation, PolicyWeights
from serl_learner.actor_network import ActorNetwork
from serl_learner.vision.backbone_file import load_backbone
from serl_learner.weights import unpack


class PolicyRunner:
    """One version of a policy for one environment; made off the acting thread, then only read.

    Policies of state vectors run in NumPy, those that read cameras in JAX, which is imported for them only.

    Args:
        spec: The environment that will be acted in.
        weights: Checked against the spec; SchemaError if they are of another schema or network, or damaged.
        resnet10_weights: File of the frozen backbone, where the policy has one; see `load_backbone`.
    """

    def __init__(self, spec: EnvSpec, weights: PolicyWeights, resnet10_weights: str = "") -> None:
        self.version = weights.version
        config, leaves = unpack(weights, spec)
        self._arguments: Callable[[Observation], tuple]
        if config.vision is None:
            self._network: Any = ActorNetwork(config, leaves)
            self._arguments = lambda seen: (spec.policy_vector(seen.state),)
        else:
            from serl_learner.vision.image_actor import ImageActor

            backbone = load_backbone(resnet10_weights) if config.vision.backbone else None
            self._network = ImageActor(config, leaves, backbone)
            self._arguments = lambda seen: (spec.policy_vector(seen.state), seen.images)

    def act(self, observation: Observation, rng: np.random.Generator | None) -> Action:
        """Return a sampled action, or the mean action where `rng` is None."""
        arguments = self._arguments(observation)
        data = self._network.mean(*arguments) if rng is None else self._network.sample(*arguments, rng)
        return Action(observation.episode_id, observation.step, self.version, data)
