# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Keyboard of a terminal: no window, no root, works over ssh."""

from __future__ import annotations

import contextlib
import os
import termios
import tty

import numpy as np

from serl_actor.intervention.device import DeviceLost, Reading

KEYS = {
    "w": ("x", 1.0), "s": ("x", -1.0),
    "a": ("y", 1.0), "d": ("y", -1.0),
    "r": ("z", 1.0), "f": ("z", -1.0),
    "l": ("roll", 1.0), "j": ("roll", -1.0),
    "i": ("pitch", 1.0), "k": ("pitch", -1.0),
    "q": ("yaw", 1.0), "e": ("yaw", -1.0),
}  # fmt: skip
CLUTCH_KEY = " "
KEY_SECONDS = 0.2
"""How long a key counts as pressed [s]: a terminal tells of presses and repetitions, never of releases."""


class Keyboard:
    """Keys as axes of REP 103, each -1, 0 or 1; the space bar takes over and, pressed again, hands back.

    Args:
        path: The terminal; "" is the one that the process was started from.
    """

    name = "keyboard"
    axis_names = ("x", "y", "z", "roll", "pitch", "yaw")
    button_names = ("clutch",)
    default_map = axis_names
    default_clutch = "clutch"

    def __init__(self, path: str = "") -> None:
        self._path = path or "/dev/tty"
        self._terminal: int | None = None

    def open(self) -> None:
        """Make the terminal hand over every key at once."""
        try:
            self._terminal = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._settings = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
        except (OSError, termios.error) as error:
            self.close()
            raise DeviceLost(f"keyboard {self._path}: {error.args[-1]}: start this in a terminal") from error
        self._pressed = np.full(
            (2, len(self.axis_names)), -np.inf
        )  # when, in negative and positive direction
        self._clutch = False

    def read(self, now: float) -> Reading:
        """Take in the keys that were typed; opposite keys cancel each other."""
        assert self._terminal is not None
        try:
            keys = os.read(self._terminal, 256)
            if not keys:
                raise DeviceLost("keyboard: its terminal ended")
        except BlockingIOError:
            keys = b""
        except OSError as error:
            raise DeviceLost(f"keyboard: {error.strerror}") from error
        for key in keys.decode("ascii", "ignore").lower():
            if key == CLUTCH_KEY:
                self._clutch = not self._clutch
            elif key in KEYS:
                axis, direction = KEYS[key]
                self._pressed[int(direction > 0), self.axis_names.index(axis)] = now
        down = now - self._pressed < KEY_SECONDS
        return Reading(now, down[1].astype(float) - down[0], (self._clutch,))

    def close(self) -> None:
        """Give the terminal back as it was, without the keys that nobody read."""
        if self._terminal is not None:
            if hasattr(self, "_settings"):
                with contextlib.suppress(OSError, termios.error):
                    termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._settings)
            os.close(self._terminal)
            self._terminal = None
