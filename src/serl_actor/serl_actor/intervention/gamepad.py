# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Gamepad, read through the joystick interface of the Linux kernel (Documentation/input/joydev)."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import numpy as np

from serl_actor.intervention.device import DeviceLost, Reading

EVENT = struct.Struct("=IhBB")
"""struct js_event: time [ms], value, type, number."""

BUTTON, AXIS, INITIAL = 0x01, 0x02, 0x80
FULL_SCALE = 32767.0


class Gamepad:
    """A gamepad whose driver numbers the axes as those of Xbox and PlayStation pads do.

    Sticks are positive to the right and towards the person, as the kernel reports them; triggers go from 0 to 1.

    Args:
        path: Its file, e.g. /dev/input/js1; "" takes the first that is found.
    """

    name = "gamepad"
    axis_names = ("left_x", "left_y", "l2", "right_x", "right_y", "r2", "dpad_x", "dpad_y")
    button_names = (
        "south",
        "east",
        "button_2",
        "button_3",
        "l1",
        "r1",
        *(f"button_{n}" for n in range(6, 16)),
    )
    default_map = ("-left_y", "-left_x", "-right_y", "dpad_x", "-dpad_y", "-right_x")
    default_clutch = "r1"
    TRIGGERS = (axis_names.index("l2"), axis_names.index("r2"))

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> None:
        """Find the device, at rest."""
        found = [self._path] if self._path else sorted(map(str, Path("/dev/input").glob("js*")))
        if not found:
            raise DeviceLost("gamepad: no /dev/input/js*: plug it in (and load the module joydev)")
        try:
            self._file = os.open(found[0], os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceLost(f"gamepad {found[0]}: {error.strerror}") from error
        self._axes = np.zeros(len(self.axis_names))
        self._buttons = [False] * len(self.button_names)

    def read(self, now: float) -> Reading:
        """Take in all events that have come and return the state that they lead to."""
        assert self._file is not None
        try:
            while True:
                events = os.read(self._file, 64 * EVENT.size)
                if not events:
                    raise DeviceLost("gamepad: its file ended")
                for _, value, kind, number in EVENT.iter_unpack(
                    events[: len(events) // EVENT.size * EVENT.size]
                ):
                    self._take(value, kind, number)
        except BlockingIOError:
            pass
        except OSError as error:
            raise DeviceLost(f"gamepad: {error.strerror}") from error
        return Reading(now, self._axes.copy(), tuple(self._buttons))

    def close(self) -> None:
        """Let go of the device."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _take(self, value: int, kind: int, number: int) -> None:
        if kind & BUTTON and number < len(self._buttons):
            self._buttons[number] = bool(value)
        elif kind & AXIS and number < len(self._axes):
            deflection = max(-1.0, value / FULL_SCALE)
            if number in self.TRIGGERS:
                # Some drivers announce a trigger at rest by 0, which is half way: believe it once it has moved.
                deflection = 0.0 if kind & INITIAL else 0.5 * (deflection + 1.0)
            self._axes[number] = deflection
