# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by image classifier (SERL, IV-B; HIL-SERL, 3.3): sparse, 1 where the pictures show success."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from serl_core.errors import ConfigError, SchemaError
from serl_core.types import RewardSignal
from serl_reward.classifier.config import ClassifierRewardConfig
from serl_reward.hysteresis import Hysteresis


class FrameClassifier(Protocol):
    """What the reward needs of an `ImageClassifier`."""

    cameras: tuple[str, ...]
    threshold: float

    def probability(self, images: dict[str, np.ndarray]) -> float:
        """Return the calibrated probability of success of one frame."""


class ClassifierReward:
    """1 and success while the calibrated probability says so, else 0, with hysteresis over steps."""

    Config = ClassifierRewardConfig
    name = "classifier"

    def __init__(self, classifier: FrameClassifier, config: ClassifierRewardConfig) -> None:
        self._classifier = classifier
        on = config.classifier_threshold or classifier.threshold
        self._success = Hysteresis(on, max(0.0, on - config.classifier_margin), config.classifier_steps)
        self.cameras = tuple(classifier.cameras)

    @classmethod
    def from_parameters(cls, config: ClassifierRewardConfig) -> ClassifierReward:
        """Load the classifier and compile it; ConfigError or SchemaError where it cannot be had."""
        from serl_reward.classifier.image_classifier import (
            load_classifier,  # JAX only where images are judged
        )

        if not config.classifier:
            raise ConfigError("reward by classifier needs parameter classifier: the folder of a trained one")
        classifier = load_classifier(config.classifier)
        classifier.warm_up()
        return cls(classifier, config)

    def reset(self) -> None:
        """Forget the last episode."""
        self._success.reset()

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge images (H, W, 3) uint8 by camera; SchemaError unless they are those of the training."""
        if images is None:
            raise SchemaError("reward by classifier needs images: the environment gives it none")
        probability = self._classifier.probability(images)
        success = self._success.update(probability)
        return RewardSignal(float(success), success, self.name, probability)
