# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by an adversarial classifier that learns beside the policy (VICE: Fu et al. 2018; SERL, IV-B)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from serl_core.errors import ConfigError, SchemaError
from serl_core.parameters import parameter
from serl_core.types import RewardSignal


@dataclass(frozen=True)
class ViceConfig:
    """Settings of VICE."""

    vice_goals: tuple[str, ...] = parameter(
        (), "bags whose labelled successes are the goals; their failures are the first negatives"
    )
    vice_cameras: tuple[str, ...] = parameter((), "cameras to judge by; empty: all in the bags")
    vice_state: str = parameter(
        "",
        "file to keep the classifier in and to go on from; empty: in the run's folder, as far as there is one",
    )
    vice_learns: bool = parameter(
        False,
        "learn between episodes, with what is visited as negatives; set by training, and by no other stage",
    )
    vice_reward: str = parameter(
        "probability",
        "what is paid: the probability of being a goal, or 1 where it reaches 0.5 (binary)",
        choices=("probability", "binary"),
    )
    vice_success: float = parameter(
        0.0, "probability that ends an episode as a success; 0: none does, episodes time out", 0.0, 1.0
    )
    vice_first_updates: int = parameter(100, "gradient steps before the first episode", 0, 1_000_000)
    vice_updates: int = parameter(10, "gradient steps between two episodes", 0, 1_000_000)
    vice_batch_size: int = parameter(32, "states of one step, half of them goals", 2, 4096)
    vice_capacity: int = parameter(1000, "most visited states kept as negatives", 1, 1_000_000)
    vice_learning_rate: float = parameter(3e-4, "Adam step size", 1e-8, 1.0)
    vice_mixup: float = parameter(1.0, "both parameters of mixup's beta distribution; 0: no mixup", 0.0, 10.0)
    vice_label_smoothing: float = parameter(0.1, "share of every label spread over both classes", 0.0, 0.9)
    vice_gradient_penalty: float = parameter(
        0.0, "weight of the penalty on steepness in latent space; 0: none", 0.0, 1000.0
    )
    vice_dropout: float = parameter(0.1, "share of latents and hidden units left out in training", 0.0, 0.9)
    vice_shift_pixels: int = parameter(4, "largest random shift of an image each way [pixels]", 0, 64)
    vice_brightness: float = parameter(0.2, "largest random change of brightness, as a share", 0.0, 0.9)
    vice_filters: tuple[int, ...] = parameter(
        (16, 32, 64, 64), "filters of the encoder, each of stride 2", 1, 1024
    )
    vice_hidden_size: int = parameter(256, "units of the hidden layer", 1, 8192)
    vice_seed: int = parameter(0, "seed of network, batches and augmentation", 0, 2**31 - 1)


class Discriminator(Protocol):
    """What the reward needs of a `ViceClassifier`."""

    def visit(self, images: dict[str, np.ndarray]) -> None:
        """Add a visited state."""

    def probability(self, images: dict[str, np.ndarray]) -> float:
        """Return the probability of being a goal."""

    def update(self, updates: int) -> dict[str, float]:
        """Do gradient steps."""

    def save(self, path: Path) -> None:
        """Write it to a file."""


class ViceReward:
    """The probability of being a goal, in [0, 1], by the classifier as it is at that step.

    While the policy trains, it learns between two episodes, from the goals and from all states that the policy was
    rewarded for; elsewhere it judges only: an expert's successes are no negatives. What it said is what the
    transition records: a run is replayed from its bag with the rewards that it was trained on, not with those of a
    later classifier.

    Attributes:
        metrics: Of the last training, see `ViceClassifier.update`.
    """

    Config = ViceConfig
    name = "vice"

    def __init__(self, classifier: Discriminator, cameras: tuple[str, ...], config: ViceConfig) -> None:
        self._classifier = classifier
        self._config = config
        self.cameras = cameras
        self.metrics: dict[str, float] = {}

    @classmethod
    def from_parameters(cls, config: ViceConfig) -> ViceReward:
        """Read the goals, and go on from `vice_state` or train for the first time."""
        from serl_reward.classifier.frames import read_labelled
        from serl_reward.vice_classifier import ViceClassifier  # JAX only where images are judged

        if not config.vice_goals:
            raise ConfigError("reward by VICE needs parameter vice_goals: bags with labelled successes")
        frames = read_labelled(config.vice_goals, config.vice_cameras)
        goals = frames.where(frames.success)
        classifier = ViceClassifier(goals.images, config, config.vice_seed)
        for i in np.flatnonzero(~frames.success)[-config.vice_capacity :]:
            classifier.visit({camera: pixels[i] for camera, pixels in frames.images.items()})
        reward = cls(classifier, tuple(goals.images), config)
        state = Path(config.vice_state)
        if config.vice_state and state.exists():
            classifier.restore(state)
        else:
            reward.metrics = classifier.update(config.vice_first_updates)
        classifier.probability({camera: pixels[0] for camera, pixels in goals.images.items()})  # compiled now
        return reward

    def reset(self) -> None:
        """Learn from what was visited since, and keep what was learned."""
        if not self._config.vice_learns:
            return
        self.metrics = self._classifier.update(self._config.vice_updates)
        if self._config.vice_state:
            self._classifier.save(Path(self._config.vice_state))

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge images (H, W, 3) uint8 by camera, visited where it learns; SchemaError unless they fit."""
        if images is None:
            raise SchemaError("reward by VICE needs images: the environment gives it none")
        probability = self._classifier.probability(images)
        if self._config.vice_learns:
            self._classifier.visit(images)
        value = float(probability >= 0.5) if self._config.vice_reward == "binary" else probability
        success = 0.0 < self._config.vice_success <= probability
        return RewardSignal(value, success, self.name, probability)
