# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Devices whose readings arrive as messages: the driver of a SpaceMouse, of a gamepad, or a leader arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from serl_actor.intervention.device import DeviceLost, Reading
from serl_actor.intervention.spacemouse import SpaceMouse
from serl_core.errors import ConfigError


class Stream:
    """The last message of a stream; lost when none has come for `timeout` [s]."""

    name: str

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._stamp = -np.inf
        self._axes = np.zeros(0)
        self._buttons: tuple[bool, ...] = ()

    def open(self) -> None:
        """Nothing to open: messages come, or they do not."""

    def read(self, now: float) -> Reading:
        """Return the last message that came."""
        if not np.isfinite(self._stamp):
            raise DeviceLost(f"{self.name}: no message yet: is its driver running?")
        if now - self._stamp > self._timeout:
            raise DeviceLost(f"{self.name}: silent for more than {self._timeout:g} s")
        return Reading(self._stamp, self._axes, self._buttons)

    def close(self) -> None:
        """Nothing to close."""

    def _put(self, axes: np.ndarray, now: float) -> None:
        if np.isfinite(axes).all():  # a damaged message is no message
            self._axes, self._stamp = axes, now


class Joy(Stream):
    """Any `sensor_msgs/Joy` stream, e.g. of joy_node, which sends the present state many times a second.

    Axes and buttons are called by their numbers: axis_0, button_0. Signs are those of joy_node, which counts
    left and forward as positive.
    """

    name = "joy"
    axis_names = tuple(f"axis_{n}" for n in range(16))
    button_names = tuple(f"button_{n}" for n in range(32))
    default_map = ("axis_1", "axis_0", "axis_4", "-axis_6", "axis_7", "axis_3")
    default_clutch = "button_5"

    def put(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> None:
        """Take in one message that came at `now` [s]."""
        values = np.zeros(len(self.axis_names))
        known = min(len(values), len(axes))
        values[:known] = np.asarray(axes, float)[:known]
        self._put(np.clip(values, -1.0, 1.0), now)
        pressed = [bool(button) for button in buttons][: len(self.button_names)]
        self._buttons = tuple(pressed) + (False,) * (len(self.button_names) - len(pressed))


class Spacenav(Stream):
    """The `spacenav/joy` stream of the ROS driver of a SpaceMouse; axes as of `SpaceMouse`.

    The driver fills in buttons only where one changed, and then only up to that one; a motion carries none.
    """

    name = "spacenav"
    axis_names = SpaceMouse.axis_names
    button_names = SpaceMouse.button_names
    default_map = SpaceMouse.default_map
    default_clutch = SpaceMouse.default_clutch

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self._buttons = (False,) * len(self.button_names)

    def put(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> None:
        """Take in one message that came at `now` [s]."""
        if len(axes) != len(self.axis_names):
            raise ConfigError(
                f"spacenav: expected {len(self.axis_names)} axes, got {len(axes)}: for other devices use joy"
            )
        self._put(np.clip(np.asarray(axes, float), -1.0, 1.0), now)
        told = tuple(bool(button) for button in buttons)[: len(self.button_names)]
        self._buttons = told + self._buttons[len(told) :]


class LeaderArm(Stream):
    """An arm that a person guides: axes are its tcp's pose X_BL, position [m] and rotation vector [rad]."""

    name = "leader_arm"
    axis_names = ("x", "y", "z", "rotation_x", "rotation_y", "rotation_z")
    button_names = ("clutch",)
    default_map = axis_names
    default_clutch = "clutch"

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self._buttons = (False,)

    def put(self, X_BL: np.ndarray, now: float) -> None:
        """Take in a pose (7,), position [m] and quaternion xyzw in the leader's base, that came at `now` [s]."""
        if np.linalg.norm(X_BL[3:]) > 0.0:
            self._put(np.concatenate([X_BL[:3], Rotation.from_quat(X_BL[3:]).as_rotvec()]), now)

    def put_clutch(self, pressed: bool) -> None:
        """Take in the state of its pedal or button."""
        self._buttons = (pressed,)
