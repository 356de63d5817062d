# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How long answers take, over the recent ones. No ROS."""

from __future__ import annotations

from collections import deque

import numpy as np


class RecentLatencies:
    """Median and 99th percentile of the latest answers, so that the first ones' compilation wears off.

    Args:
        count: Answers remembered.
    """

    def __init__(self, count: int = 1000) -> None:
        self._seconds: deque[float] = deque(maxlen=count)

    def add(self, seconds: float) -> None:
        """Remember the time that one answer took [s]."""
        self._seconds.append(seconds)

    def figures(self) -> dict[str, float]:
        """Return "p50_ms" and "p99_ms" [ms]; nothing before the first answer."""
        if not self._seconds:
            return {}
        p50, p99 = 1e3 * np.percentile(list(self._seconds), [50, 99])
        return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
