# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the environment asks of an arm: simulated in lockstep, or a real one behind ros2_control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from serl_env_node.frames import Pose


@dataclass(frozen=True)
class ArmState:
    """The arm at one instant.

    Attributes:
        time: The arm's clock [s].
        X_BE: Pose of the tcp E in the base B.
        V_BE: (6,) twist of E at its own origin in base axes, linear [m/s] then angular [rad/s].
        F_E_B: (6,) external force [N] and torque [Nm] on the tool at E, in base axes.
        gripper_width: [m].
        peak_force: Largest norm of the external force since the previous state [N].
        fault: Why the arm cannot go on; "" while it can.
        part_offset: (3,) how far the part is from where it belongs, axes of its place [m]; None where nobody knows.
    """

    time: float
    X_BE: Pose
    V_BE: np.ndarray
    F_E_B: np.ndarray
    gripper_width: float
    peak_force: float
    fault: str = ""
    part_offset: np.ndarray | None = None


class Arm(Protocol):
    """An arm under the reference-limited impedance controller."""

    goal: Pose
    """Taught goal X_BG of the tcp: connector seated."""

    cameras: tuple[str, ...]
    """Names of the cameras, in order."""

    has_gripper: bool
    """Whether there is a gripper that opens and closes."""

    def restart(self, seed: int) -> ArmState:
        """Bring the arm to its home configuration, controller holding there."""

    def state(self) -> ArmState:
        """Return the present state."""

    def track(self, X_BT: Pose, seconds: float) -> ArmState:
        """Ask the controller for a target and let time pass."""

    def move(self, X_BT: Pose, seconds: float) -> ArmState:
        """Follow a minimum-jerk motion of the target, from where it is to X_BT."""

    def grip(self, action: float) -> None:
        """Open (1) or close (-1) the gripper without waiting for it; debounced."""

    def images(self) -> dict[str, np.ndarray]:
        """Return the cameras' images, uint8 (H, W, 3)."""

    def trace(self) -> dict[str, np.ndarray]:
        """Return the controller's log of the last `track` (paper Fig. 5); empty where there is none."""

    def close(self) -> None:
        """Let go of the arm; it keeps holding."""


@runtime_checkable
class LiveArm(Arm, Protocol):
    """An arm whose time passes by itself: hardware, or a simulation that runs on its own.

    `track` waits: it returns at the first state that is `seconds` after the instant at which the previous `track`
    or `move` was due, so that the time spent on choosing a target is part of the period and nobody waits twice.
    When that instant has passed already, a whole period follows and a late step is counted. `restart` raises a
    SerlError where the arm cannot be brought back, and clears the fault where it can.
    """

    def figures(self) -> dict[str, Any]:
        """Return rates, ages and counts by name; may be called from another thread."""

    def halt(self) -> None:
        """End a wait or a motion under way, and hold; may be called from another thread."""
