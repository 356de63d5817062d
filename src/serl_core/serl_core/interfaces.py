# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the parts of the loop ask of each other; implementations live in the packages above."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from serl_core.specs import EnvSpec
from serl_core.types import RewardSignal


class RewardFn(Protocol):
    """Judges the observations of an episode in turn; must be quick, it runs inside the environment's step."""

    name: str

    cameras: tuple[str, ...]
    """Cameras whose images it reads; () where it reads none."""

    def reset(self) -> None:
        """Forget the last episode; the next call judges the first step of another."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Return the verdict on the arrays of an observation."""


@dataclass(frozen=True)
class StepResult:
    """What one step of an environment brought about.

    Attributes:
        state, images: The next observation's arrays.
        reward: Verdict on it.
        terminated: True end of the task: the return beyond it is zero.
        truncated: Ended for another reason than time (force limit, abort); bootstraps.
        end_reason: Why it ended; "" while it goes on.
        held: The action was not executed; the reference was held for the reason given.
        peak_force: Largest external force within the step [N].
        trace: The controller's log of the step, rows by name; empty where there is none.
        ground_truth: Whether the task is truly achieved there, whatever the reward says; None where nobody knows.
    """

    state: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    reward: RewardSignal
    terminated: bool = False
    truncated: bool = False
    end_reason: str = ""
    held: str = ""
    peak_force: float = 0.0
    trace: dict[str, np.ndarray] = field(default_factory=dict)
    ground_truth: bool | None = None


class Environment(Protocol):
    """A task's world: an arm behind a controller, or any Gymnasium environment."""

    spec: EnvSpec

    live: bool
    """Whether time passes by itself, as on hardware. A live environment waits within `step` until the period
    that began with the last observation is over; another computes the step and returns at once."""

    def reset(self, seed: int | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Start an episode; return its first (state, images). `seed` None goes on with the present stream."""

    def step(self, action: np.ndarray | None) -> StepResult:
        """Execute one action for `spec.step_seconds`; None holds the reference."""

    @property
    def time(self) -> float:
        """Instant of the last observation on the environment's clock [s]; never goes back."""

    def figures(self) -> dict[str, Any]:
        """Return what is worth watching, by name; may be called from another thread."""

    def halt(self) -> None:
        """End a wait or a motion under way, and hold; may be called from another thread."""

    def close(self) -> None:
        """Free what it holds; a real arm keeps holding its pose."""
