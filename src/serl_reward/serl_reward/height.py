# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by the tool's height, which a picture tells badly and the arm exactly (HIL-SERL: RAM insertion)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_core.types import RewardSignal


@dataclass(frozen=True)
class HeightRewardConfig:
    """Heights of the tcp that count as success."""

    success_height: tuple[float, ...] = parameter(
        (-0.005, 0.001),
        "lowest and highest tcp above the taught goal, along the base's z, that is a success [m]",
        -2.0,
        2.0,
        size=2,
    )

    def __post_init__(self) -> None:
        if self.success_height[0] > self.success_height[1]:
            raise ConfigError(
                f"success_height: lowest {self.success_height[0]} exceeds highest {self.success_height[1]}"
            )


class HeightReward:
    """1 and success where the tcp's height above the taught goal lies within bounds, else 0."""

    Config = HeightRewardConfig
    name = "height"
    cameras: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: HeightRewardConfig) -> None:
        self._low, self._high = config.success_height

    @classmethod
    def from_parameters(cls, config: HeightRewardConfig) -> HeightReward:
        """Build the reward from its parameters."""
        return cls(config)

    def reset(self) -> None:
        """Do nothing: every step is judged by itself."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge `state["tcp_pose"]` (7,), X_BE, and `state["goal_pose"]` (6,), the goal in the tcp frame."""
        R_BE = Rotation.from_quat(np.asarray(state["tcp_pose"][3:], float))
        height = -float(R_BE.apply(np.asarray(state["goal_pose"][:3], float))[2])
        success = self._low <= height <= self._high
        return RewardSignal(float(success), success, self.name)
