# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Rewards made of rewards: all of them at once, or one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serl_core.errors import ConfigError
from serl_core.interfaces import RewardFn
from serl_core.parameters import parameter
from serl_core.types import RewardSignal
from serl_reward.hysteresis import Hysteresis

_PARTS = "rewards combined, each as module:Class, or name=module:Class with parameters named name_*"
_STEPS = "steps in a row that must agree, towards success and away from it"


@dataclass(frozen=True)
class AllOfConfig:
    """Settings of rewards that must agree."""

    reward_parts: tuple[str, ...] = parameter((), _PARTS)
    success_steps: int = parameter(1, _STEPS, 1, 1000)


@dataclass(frozen=True)
class StagesConfig:
    """Settings of rewards that must be reached in order."""

    reward_parts: tuple[str, ...] = parameter((), _PARTS)
    success_steps: int = parameter(1, _STEPS, 1, 1000)
    stage_reward: float = parameter(
        0.0, "reward paid once on reaching a stage before the last, which pays 1", 0.0, 1.0
    )


class AllOf:
    """1 and success where every part says success, else 0 (HIL-SERL's RAM task: classifier and height).

    The probability is the least of the parts'; a part that gives none counts as 0 or 1 by its verdict.
    """

    Config = AllOfConfig

    def __init__(self, parts: Sequence[RewardFn], config: AllOfConfig) -> None:
        self._parts = _checked(parts, "AllOf")
        self._agreed = Hysteresis(0.5, 0.5, config.success_steps)
        self.name = "+".join(part.name for part in parts)
        self.cameras = _cameras(parts)

    @classmethod
    def from_parts(cls, parts: Sequence[RewardFn], config: AllOfConfig) -> AllOf:
        """Build the reward from its parts and parameters; ConfigError without parts."""
        return cls(parts, config)

    def reset(self) -> None:
        """Forget the last episode."""
        self._agreed.reset()
        for part in self._parts:
            part.reset()

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge by all parts; each is asked at every step, since some remember."""
        verdicts = [part(state, images) for part in self._parts]
        success = self._agreed.update(float(all(verdict.success for verdict in verdicts)))
        probability = float("nan")
        if not all(np.isnan(verdict.probability) for verdict in verdicts):
            probability = min(
                float(v.success) if np.isnan(v.probability) else v.probability for v in verdicts
            )
        return RewardSignal(float(success), success, self.name, probability)


class Stages:
    """Parts that must succeed in order within an episode; only the last one's success is the task's.

    Which stage it is, the observation does not tell: what is paid before the last stage makes the reward depend
    on the past, so let `stage_reward` be 0 unless the policy can see what the earlier stages brought about.
    """

    Config = StagesConfig

    def __init__(self, parts: Sequence[RewardFn], config: StagesConfig) -> None:
        self._parts = _checked(parts, "Stages")
        self._reached = Hysteresis(0.5, 0.5, config.success_steps)
        self._stage_reward = config.stage_reward
        self.name = ">".join(part.name for part in parts)
        self.cameras = _cameras(parts)
        self.stage = 0

    @classmethod
    def from_parts(cls, parts: Sequence[RewardFn], config: StagesConfig) -> Stages:
        """Build the reward from its parts and parameters; ConfigError without parts."""
        return cls(parts, config)

    def reset(self) -> None:
        """Go back to the first stage."""
        self._begin(0)

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Judge by the present stage's part; the next stage is judged from the next step on."""
        part, stage, last = self._parts[self.stage], self.stage, len(self._parts) - 1
        verdict = part(state, images)
        reached = self._reached.update(float(verdict.success))
        source = f"{part.name} (stage {stage + 1} of {last + 1})"
        if stage == last:
            return RewardSignal(float(reached), reached, source, verdict.probability)
        if reached:
            self._begin(stage + 1)
        return RewardSignal(self._stage_reward * reached, False, source, verdict.probability)

    def _begin(self, stage: int) -> None:
        self.stage = stage
        self._reached.reset()
        self._parts[stage].reset()


def _checked(parts: Sequence[RewardFn], what: str) -> tuple[RewardFn, ...]:
    if not parts:
        raise ConfigError(f"{what}: reward_parts is empty; name the rewards to combine")
    return tuple(parts)


def _cameras(parts: Sequence[RewardFn]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(camera for part in parts for camera in part.cameras))
