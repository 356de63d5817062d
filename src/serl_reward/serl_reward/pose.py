# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by the tool's pose (paper IV-B: a hand-specified reward on the end effector's location)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from serl_core.parameters import parameter
from serl_core.types import RewardSignal


@dataclass(frozen=True)
class PoseRewardConfig:
    """Tolerances around the taught goal, per axis of the goal frame."""

    goal_tolerance_m: tuple[float, ...] = parameter(
        (0.001, 0.001, 0.0008),
        "largest distance of the tcp from the goal along the goal's axes [m]",
        0.0,
        1.0,
        size=3,
    )
    goal_tolerance_rad: tuple[float, ...] = parameter(
        (0.05, 0.05, 0.05),
        "largest rotation of the tcp from the goal about the goal's axes [rad]",
        0.0,
        3.2,
        size=3,
    )


class PoseReward:
    """1 and success where the tcp is within tolerance of the goal on every axis, else 0. Sparse, not shaped."""

    Config = PoseRewardConfig
    name = "pose"
    cameras: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: PoseRewardConfig) -> None:
        self._tolerance = np.array([*config.goal_tolerance_m, *config.goal_tolerance_rad])

    @classmethod
    def from_parameters(cls, config: PoseRewardConfig) -> PoseReward:
        """Build the reward from its parameters."""
        return cls(config)

    def reset(self) -> None:
        """Do nothing: every step is judged by itself."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge `state["goal_pose"]` (6,): the goal in the tcp frame, position [m] and rotation vector [rad]."""
        goal = np.asarray(state["goal_pose"], float)
        R_EG = Rotation.from_rotvec(goal[3:])
        tcp_in_goal = np.concatenate([-R_EG.inv().apply(goal[:3]), -goal[3:]])
        success = bool(np.all(np.abs(tcp_in_goal) <= self._tolerance))
        return RewardSignal(float(success), success, self.name)
