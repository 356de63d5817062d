# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""When a person has the arm: clutch, motion with hysteresis, hold time."""

from __future__ import annotations

import math

from serl_core.errors import ConfigError


class Takeover:
    """Decides reading by reading whether the person is in control.

    Taking over is immediate, with the first reading that asks for it; handing back waits for `hold_seconds`
    without a wish, so that a person who pauses or changes grip keeps the arm. Until then the target is to be held,
    whatever the device reads.

    Args:
        mode: "clutch": while its button is pressed; "motion": while the device is pushed; "either".
        engage: Effort that takes over, in (0, 1].
        release: Effort below which the person no longer asks for the arm; at most `engage`.
        hold_seconds: How long control outlasts the last wish [s].

    Attributes:
        engaged: Whether the person is in control.
        wished: Whether the last reading itself asked for the arm; never without `engaged`.
    """

    def __init__(self, mode: str, engage: float, release: float, hold_seconds: float) -> None:
        if release > engage:
            raise ConfigError(f"release {release} exceeds engage {engage}: the take-over would chatter")
        self._clutch_counts = mode != "motion"
        self._motion_counts = mode != "clutch"
        self._engage, self._release = engage, release
        self._hold_seconds = hold_seconds
        self._last_wish = -math.inf
        self.engaged = False
        self.wished = False

    def update(self, clutch: bool, effort: float, now: float) -> bool:
        """Take in a reading and return whether the person is in control.

        Args:
            clutch: Whether the clutch is pressed.
            effort: How hard the device is pushed, in [0, 1].
            now: [s], never goes back.
        """
        threshold = self._release if self.engaged else self._engage
        self.wished = bool((self._clutch_counts and clutch) or (self._motion_counts and effort >= threshold))
        if self.wished:
            self.engaged = True
            self._last_wish = now
        elif now - self._last_wish >= self._hold_seconds:
            self.engaged = False
        return self.engaged

    def extend(self, now: float) -> None:
        """Count the hold time from `now` [s] on: the person could not be heard before."""
        if self.engaged:
            self._last_wish = now

    def end(self) -> None:
        """Hand back at once."""
        self.engaged = self.wished = False
        self._last_wish = -math.inf
