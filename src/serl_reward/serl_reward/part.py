# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by where the part is, which only a simulation knows: the truth that a learned reward is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_core.types import RewardSignal


@dataclass(frozen=True)
class PartRewardConfig:
    """Tolerances around the place where the part belongs, per axis of that place."""

    part_tolerance_m: tuple[float, ...] = parameter(
        (0.001, 0.001, 0.001), "largest offset of the part from where it belongs [m]", 0.0, 1.0, size=3
    )


class PartReward:
    """1 and success where the part is within tolerance of its place on every axis, else 0."""

    Config = PartRewardConfig
    name = "part"
    cameras: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: PartRewardConfig) -> None:
        self._tolerance = np.array(config.part_tolerance_m)

    @classmethod
    def from_parameters(cls, config: PartRewardConfig) -> PartReward:
        """Build the reward from its parameters."""
        return cls(config)

    def reset(self) -> None:
        """Do nothing: every step is judged by itself."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge `state["part_offset"]` (3,) [m]; ConfigError where it is not observed."""
        if "part_offset" not in state:
            raise ConfigError("reward part: the state has no part_offset; set observe_part, in simulation")
        success = bool(np.all(np.abs(state["part_offset"]) <= self._tolerance))
        return RewardSignal(float(success), success, self.name)
