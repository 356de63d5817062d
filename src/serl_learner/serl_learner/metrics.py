# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures to watch: TensorBoard events, rates, and one line that says whether a run is healthy."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from serl_core.types import LearnerStatus


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


def health(status: LearnerStatus, reward_rate: float) -> str:
    """Return one line on a run: reward rate, Q against return, entropy against target, and what looks wrong.

    Args:
        status: The learner's latest figures.
        reward_rate: Share of recent episodes that met a reward; NaN before the first.
    """
    figures = (
        f"reward in {reward_rate:.0%} of episodes" if reward_rate == reward_rate else "no episode yet",
        f"Q {status.q_mean:.2f} against return {status.return_mean:.2f}",
        f"entropy {status.entropy:.1f} against {status.target_entropy:.1f}",
    )
    warnings = []
    if reward_rate < 1 / 3:
        warnings.append("rewards are rare: intervene or show more demonstrations")
    if status.q_mean - status.return_mean > max(1.0, abs(status.return_mean)):
        warnings.append("Q lies far above the returns: the critics overestimate")
    if abs(status.entropy - status.target_entropy) > 5.0:
        warnings.append("entropy is far from its target")
    if status.skipped_updates:
        warnings.append(f"{status.skipped_updates} updates skipped for gradients that were not finite")
    return "; ".join((*figures, *(f"WARNING {text}" for text in warnings)))
