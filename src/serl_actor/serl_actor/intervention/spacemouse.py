# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""3Dconnexion SpaceMouse, read directly through the optional package pyspacemouse."""

from __future__ import annotations

import contextlib
import shlex
import sys
from typing import Any

import numpy as np

from serl_actor.intervention.device import DeviceLost, Reading
from serl_core.errors import ConfigError

HOW_TO_INSTALL = (
    # The interpreter that runs this: the user's own pip installs into another.
    f"device spacemouse needs pyspacemouse: {shlex.quote(sys.executable)} -m pip install 'pyspacemouse>=2.1'"
    " and sudo apt install libhidapi-hidraw0; or run the ROS driver and use device spacenav"
)
MOST_REPORTS = 100
"""Reports taken in one read: a device that sends faster than it is read must not keep the reader for ever."""


class SpaceMouse:
    """A SpaceMouse in the axes of REP 103: x away from the person, y left, z up; roll, pitch, yaw about them.

    Args:
        path: Its file, e.g. /dev/hidraw2; "" takes the first that is found. Two of one kind need their paths.
    """

    name = "spacemouse"
    axis_names = ("x", "y", "z", "roll", "pitch", "yaw")
    button_names = ("left", "right")
    default_map = axis_names
    default_clutch = "left"

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._mouse: Any = None

    def open(self) -> None:
        """Find the device; ConfigError says how to install what is missing."""
        try:
            import pyspacemouse

            axes = pyspacemouse.AxisConvention.ROS
        except (ImportError, OSError, AttributeError):  # absent, without libhidapi, or before 2.1
            raise ConfigError(HOW_TO_INSTALL) from None
        try:
            if self._path:
                self._mouse = pyspacemouse.open_by_path(self._path, axis_convention=axes)
            else:
                self._mouse = pyspacemouse.open(axis_convention=axes)
        except Exception as error:
            raise DeviceLost(
                f"spacemouse: {error} (is it plugged in, is libhidapi-hidraw0 installed, and may this user read"
                " /dev/hidraw*?)"
            ) from error

    def read(self, now: float) -> Reading:
        """Return the latest report; older ones still queued are passed over."""
        try:
            state = self._mouse.read()
            for _ in range(MOST_REPORTS):
                before = state.t
                state = self._mouse.read()
                if state.t == before:
                    break
        except Exception as error:
            raise DeviceLost(f"spacemouse: {error}") from error
        axes = np.clip([getattr(state, name) for name in self.axis_names], -1.0, 1.0)
        pressed = [bool(button) for button in state.buttons][: len(self.button_names)]
        pressed += [False] * (len(self.button_names) - len(pressed))
        return Reading(now, axes, tuple(pressed))

    def close(self) -> None:
        """Let go of the device."""
        if self._mouse is not None:
            with contextlib.suppress(Exception):  # it may be gone already
                self._mouse.close()
            self._mouse = None
