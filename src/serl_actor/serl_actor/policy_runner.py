# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Observation to action with the weights at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from serl_actor.receding_horizon import RecedingHorizon
from serl_core.specs import EnvSpec
from serl_core.types import Action, Observation, PolicyWeights
from serl_learner.actor_network import ActorNetwork
from serl_learner.diffusion_network import DiffusionNetwork
from serl_learner.vision.backbone_file import load_backbone
from serl_learner.weights import unpack


class PolicyRunner:
    """One version of a policy for one environment; made off the acting thread, then used by that one only.

    Policies of state vectors run in NumPy, those that read cameras in JAX, which is imported for them only. A
    diffusion policy's runner remembers what it plans, the others nothing.

    Args:
        spec: The environment that will be acted in.
        weights: Checked against the spec; SchemaError if they are of another schema or network, or damaged.
        resnet10_weights: File of the frozen backbone, where the policy has one; see `load_backbone`.
    """

    def __init__(self, spec: EnvSpec, weights: PolicyWeights, resnet10_weights: str = "") -> None:
        self.version = weights.version
        self._spec = spec
        config, leaves = unpack(weights, spec)
        self._reads_cameras = config.vision is not None
        self._horizon: RecedingHorizon | None = None
        self._network: Any
        if config.vision is None:
            kind = ActorNetwork if config.chunks is None else DiffusionNetwork
            self._network = kind(config, leaves)
        else:
            from serl_learner.vision.image_actor import ImageActor, ImageDiffusion

            backbone = load_backbone(resnet10_weights) if config.vision.backbone else None
            kind_with_cameras = ImageActor if config.chunks is None else ImageDiffusion
            self._network = kind_with_cameras(config, leaves, backbone)
        if config.chunks is not None:
            self._horizon = RecedingHorizon(config.chunks, self._plan)

    def act(self, observation: Observation, rng: np.random.Generator | None) -> Action:
        """Return a sampled action, or the mean action where `rng` is None.

        A diffusion policy has no mean: without `rng`, its noise is that of the episode and step.
        """
        state = self._spec.policy_vector(observation.state)
        if self._horizon is not None:
            data = self._horizon.act(state, observation, rng)
        else:
            arguments = (state, observation.images) if self._reads_cameras else (state,)
            data = self._network.mean(*arguments) if rng is None else self._network.sample(*arguments, rng)
        return Action(observation.episode_id, observation.step, self.version, data)

    def _plan(self, states: np.ndarray, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        if self._reads_cameras:
            return self._network.plan(states, observation.images, rng)
        return self._network.plan(states, rng)
