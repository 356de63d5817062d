# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reward by a person's word at an episode's end (HIL-SERL's Jenga task); it may come late.

A transition leaves the environment final and stays in the bag as it was. A person's word is a fact of its own, kept
among the bag's labels (`serl_reward.labels`), and put into effect wherever transitions are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serl_core.types import RewardSignal, Transition

HUMAN = "human"
"""Source of a reward that a person gave."""


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


def judged_by_human(transition: Transition, success: bool) -> Transition:
    """Return an episode's last transition as a person judged the episode.

    Success is the task's true end: reward 1, discount 0. Failure is none: reward 0, and the return beyond is
    bootstrapped (discount 1) even if another reward had called it a success. Other transitions stay as they are.
    """
    if not transition.last:
        return transition
    return dataclasses.replace(
        transition,
        reward=float(success),
        reward_source=HUMAN,
        discount=0.0 if success else 1.0,
        success=success,
    )


def relabelled(
    transitions: Iterable[Transition], episodes: Mapping[tuple[str, int], bool]
) -> Iterator[Transition]:
    """Yield transitions in their order, those of labelled episodes as people judged them.

    Args:
        transitions: Of any number of environments.
        episodes: Success by (env_id, episode_id), as `Labels.episodes` holds it.
    """
    for transition in transitions:
        verdict = episodes.get((transition.env_id, transition.episode_id))
        yield transition if verdict is None else judged_by_human(transition, verdict)
