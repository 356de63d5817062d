# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A controller without threads: it acts when it is sent a target, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serl_core.errors import SerlError
from serl_core.types import ControllerState
from serl_env_node.frames import Pose
from serl_env_node.streamed_arm import Ros2ControlArmConfig, StreamedArm

GOAL = (0.5, 0.0, 0.05)
DOWN_XYZW = (1.0, 0.0, 0.0, 0.0)
HOME = np.array([0.5, 0.0, 0.13, *DOWN_XYZW])
CYCLE = 0.01
IMPEDANCE, RESET = "cartesian_impedance_controller", "joint_reset_controller"


def state_at(stamp: float, pose: np.ndarray = HOME, **changes: Any) -> ControllerState:
    """Return a state of a healthy controller at rest at a pose."""
    zeros = np.zeros(6)
    values: dict[str, Any] = {
        "frame_id": "base", "measured": pose, "commanded": pose, "smoothed": pose, "clipped": pose, "twist": zeros,
        "error": zeros, "wrench": zeros, "external_wrench": zeros, "joint_position": np.zeros(7),
        "joint_torque": np.zeros(7),
    }  # fmt: skip
    return ControllerState(stamp=stamp, **{**values, **changes})


class FakeLink:
    """Implements `ArmLink`: a controller that is at its target one cycle after it was told, and says what it was asked.

    Attributes:
        calls: Names and arguments of what was asked, targets left out.
        targets: (stamp, pose) of every target.
        refuses: Returns the HOLD_* for a target; 0 follows it.
        cycles: Cycles that pass after each target; 0: the controller is dead.
        passes: Called with the wall-clock seconds that a target's period takes.
    """

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.targets: list[tuple[float, Pose]] = []
        self.refuses: Callable[[Pose], int] = lambda _: 0
        self.cycles = 2
        self.active = {IMPEDANCE}
        self.time = 100.0
        self.pose = HOME.copy()
        self.changes: dict[str, Any] = {}
        self.fails: dict[str, str] = {}
        self.wall = 0.0
        self.closed = False
        self.arm: Any = None

    def advance(self, cycles: int, hold: int = 0) -> None:
        """Let the controller publish some states."""
        for _ in range(cycles):
            self.time += CYCLE
            if IMPEDANCE in self.active:
                self.arm.stream.put(state_at(self.time, self.pose, **{"hold": hold, **self.changes}))

    def send_target(self, X_BT: Pose, stamp: float) -> None:
        self.targets.append((stamp, X_BT))
        hold = self.refuses(X_BT)
        if not hold:
            self.pose = np.concatenate([X_BT.position, X_BT.quaternion_xyzw])
        self.wall += 0.02
        self.advance(self.cycles, hold)

    def _asked(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        if name in self.fails:
            raise SerlError(self.fails[name])

    def use_gains(self, name: str) -> None:
        self._asked("gains", name)

    def active_controllers(self) -> set[str]:
        return set(self.active)

    def switch(self, activate: Sequence[str], deactivate: Sequence[str]) -> None:
        self._asked("switch", tuple(activate), tuple(deactivate))
        assert not set(activate) & self.active and set(deactivate) <= self.active, (
            "a strict switch refuses this"
        )
        self.active = (self.active | set(activate)) - set(deactivate)
        self.advance(1, hold=1)

    def reset_simulation(self, seed: int) -> None:
        self._asked("reset_simulation", seed)
        assert not self.active, "the simulation refuses while a controller claims the arm"

    def move_joints(self, positions: Sequence[float]) -> None:
        self._asked("move_joints", tuple(positions))
        assert RESET in self.active
        self.pose = HOME.copy()

    def command_gripper(self, position: float, effort: float) -> None:
        self._asked("gripper", position, effort)

    def halt(self) -> None:
        self._asked("halt")

    def close(self) -> None:
        self.closed = True


def made(**changes: Any) -> tuple[FakeLink, StreamedArm]:
    """Return an arm over a fake link, restarted; its wall clock passes only when targets are sent."""
    link = FakeLink()
    arm = StreamedArm(Ros2ControlArmConfig(goal_position=GOAL, **{"gripper_width": 0.02, **changes}), link)
    arm.stream._now = lambda: link.wall
    link.arm = arm
    link.advance(1, hold=1)
    return link, arm
