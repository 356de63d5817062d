# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by a person's word at an episode's end (HIL-SERL's Jenga task); it may come late.

The word is a label of the episode beside the bag, put into effect wherever transitions are read: see
`serl_learner.bag.labels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serl_core.types import RewardSignal
from serl_learner.bag.labels import HUMAN


@dataclass(frozen=True)
class HumanRewardConfig:
    """A person's word has no settings."""


class HumanReward:
    """Never a reward and never a success by itself: the episode awaits a person's word."""

    Config = HumanRewardConfig
    name = HUMAN
    cameras: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_parameters(cls, config: HumanRewardConfig) -> HumanReward:
        """Build the reward."""
        return cls()

    def reset(self) -> None:
        """Do nothing: there is nothing to forget."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Say that nothing is known yet."""
        return RewardSignal(0.0, False, "human (awaited)")
