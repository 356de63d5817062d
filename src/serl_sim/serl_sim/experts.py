# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Scripted experts that act as a teleoperator does: slow, noisy, pausing, not optimal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class InsertionExpert:
    """Hovers over the place where the part belongs, aligns, descends, and searches with a wiggle when it is stuck.

    Reads only what a person at the bench sees: where the place is and where the own command is.

    Args:
        seed: Of noise, pauses and habits.
        translation_scale, rotation_scale: Displacement of an action of 1 [m, rad], as the environment's.
    """

    HOVER_M = 0.015
    ALIGNED_M = 0.0015
    STUCK_STEPS = 6
    LEAN_M = 0.004
    """How far beyond the goal the target is pushed: how hard it leans, over the stiffness."""

    def __init__(self, seed: int = 0, translation_scale: float = 0.01, rotation_scale: float = 0.05) -> None:
        self._rng = np.random.default_rng(seed)
        self._scale = np.array([translation_scale] * 3 + [rotation_scale] * 3)
        self.reset()

    def reset(self) -> None:
        """Start an episode with habits of its own: speed, and where it thinks the socket is."""
        self._speed = self._rng.uniform(0.14, 0.26)
        self._belief = np.array([*self._rng.normal(0.0, 0.0012, 2), 0.0])
        self._pause = 0
        self._descending = False
        self._deepest = np.inf
        self._still = 0
        self._phase = self._rng.uniform(0.0, 2.0 * np.pi)

    def act(self, observation: dict[str, NDArray]) -> NDArray[np.float32]:
        """Return a normalised twist in the tcp frame (6,) in [-1, 1].

        Args:
            observation: `goal_pose` (6,) and `target_offset` (6,), both in the tcp frame [m, rad].
        """
        if self._pause > 0:
            self._pause -= 1
            return np.zeros(6, np.float32)
        if self._rng.random() < 0.05:
            self._pause = int(self._rng.integers(1, 5))
        goal = np.asarray(observation["goal_pose"], float)
        target = np.asarray(observation["target_offset"], float)
        aim = goal[:3] + self._belief  # z of the tcp points down, out of the tool
        height = goal[2]
        sideways = float(np.hypot(aim[0], aim[1]))
        if not self._descending:
            aim = aim - [0.0, 0.0, self.HOVER_M]
            self._descending = sideways < self.ALIGNED_M and abs(aim[2]) < 0.006
        else:
            self._still = self._still + 1 if height > self._deepest - 2e-4 else 0
            self._deepest = min(self._deepest, height)
            self._belief *= 0.93  # a person sees better from near
            if self._still > self.STUCK_STEPS:
                self._phase += 0.9
                radius = 0.0008 + 0.0001 * min(self._still, 15)
                aim = aim + radius * np.array([np.cos(self._phase), np.sin(self._phase), 0.0])
            aim[2] = goal[2] + self.LEAN_M
        step = np.concatenate([aim - target[:3], goal[3:] - target[3:]]) / self._scale
        limit = self._speed if not self._descending else 0.6 * self._speed
        step = np.clip(step, -limit, limit)
        step += self._rng.normal(0.0, 0.06, 6) * np.array([1, 1, 1, 0.5, 0.5, 0.5])
        return np.clip(step, -1.0, 1.0).astype(np.float32)


class CableRoutingExpert(InsertionExpert):
    """Lines the cable up over the clip and presses it down, deeper with the gripper than the cable will be."""

    LEAN_M = 0.010


class LiftExpert(InsertionExpert):
    """Comes down over a block with the gripper open, closes it, waits until it holds, and lifts."""

    LEAN_M = 0.0
    GRASP_M = 0.004
    """How near to the taught grasp is near enough to close."""
    HELD_M = (0.01, 0.04)
    """Width of a gripper that holds something; below it is closed on nothing."""
    LIFT_M = 0.07

    def reset(self) -> None:
        """Start an episode, or a correction, with habits of its own."""
        super().reset()
        self._patience = int(self._rng.integers(5, 9))
        self._closing = 0

    def act(self, observation: dict[str, NDArray]) -> NDArray[np.float32]:
        """Return a normalised twist in the tcp frame and what the gripper is told (7,): -1 close, 1 open, 0 nothing.

        Args:
            observation: As `InsertionExpert` reads it, and `gripper` (1,), the width between the fingers [m].
        """
        goal = np.asarray(observation["goal_pose"], float)
        width = float(observation["gripper"][0])
        if width < self.HELD_M[0]:
            self._closing = 0
            return np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
        if self._closing:
            self._closing += 1
        elif width < self.HELD_M[1]:
            self._closing = self._patience + 1  # somebody else has closed it
        elif np.abs(goal[:3]).max() < self.GRASP_M:
            self._closing = 1
        if 0 < self._closing <= self._patience:
            return np.array([0, 0, 0, 0, 0, 0, -1 if self._closing == 1 else 0], np.float32)
        if self._closing:
            goal = goal - [0.0, 0.0, self.LIFT_M, 0.0, 0.0, 0.0]
            self._descending = False
        return np.append(super().act({**observation, "goal_pose": goal}), np.float32(0.0))
