# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures to watch: TensorBoard events and rates."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter


class MetricsWriter:
    """Writes TensorBoard events.

    Args:
        folder: Where the event file goes.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Add one point per value at `step`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Put everything written so far on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


class RateMeter:
    """Events per second over the last `window` seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, count: int, now: float) -> None:
        """Note `count` events that ended at `now` [s]."""
        self._marks.append((now, count))
        while now - self._marks[0][0] > self._window:
            self._marks.popleft()

    def rate(self, now: float) -> float:
        """Return the rate [1/s]; 0 before two notes or after a silence of one window."""
        marks = [mark for mark in self._marks if now - mark[0] <= self._window]
        if len(marks) < 2 or now <= marks[0][0]:
            return 0.0
        # The first mark opens the interval: its own events ended before it.
        return sum(count for _, count in marks[1:]) / (now - marks[0][0])
