# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A verdict that several steps in a row must agree on."""

from __future__ import annotations

from serl_core.errors import ConfigError


class Hysteresis:
    """Turns true after `steps` values in a row of at least `on`, false again after as many below `off`.

    A value between the two, or NaN (unknown), ends a row and leaves the verdict as it is.
    """

    def __init__(self, on: float, off: float, steps: int = 1) -> None:
        if not off <= on:
            raise ConfigError(f"hysteresis: off at {off:g} must not lie above on at {on:g}")
        self._on = on
        self._off = off
        self._steps = steps
        self.reset()

    def reset(self) -> None:
        """Begin anew with false."""
        self._state = False
        self._row = 0

    def update(self, value: float) -> bool:
        """Take in the value of one step and return the verdict."""
        against = value < self._off if self._state else value >= self._on
        self._row = self._row + 1 if against else 0
        if self._row >= self._steps:
            self._state = not self._state
            self._row = 0
        return self._state
