# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A binary gripper from a continuous action, debounced as in the papers' environments."""

from __future__ import annotations

import math

THRESHOLD = 0.5
"""Only an action beyond this, either way, says something (HIL-SERL's environments)."""

REST_SECONDS = 0.6
"""A gripper that has just been told something is left to it for this long (HIL-SERL's environments)."""


class GripperToggle:
    """Turns actions in [-1, 1] into rare commands: -1 closes, 1 opens, what lies between leaves it as it is."""

    def __init__(self) -> None:
        self.closed: bool | None = None
        """What the gripper was last told; None: nothing yet."""
        self._told = -math.inf

    def decide(self, action: float, now: float) -> bool | None:
        """Return True to close, False to open, None to send nothing.

        Args:
            action: NaN sends nothing.
            now: Any clock that does not go back [s].
        """
        if not abs(action) > THRESHOLD or now - self._told < REST_SECONDS:
            return None
        close = action < 0.0
        if close == self.closed:
            return None
        self.closed, self._told = close, now
        return close
