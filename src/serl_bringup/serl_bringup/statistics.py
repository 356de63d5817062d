# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures for people: how sure a success rate or a cycle time is, and durations in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from serl_core.types import EpisodeSummary

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""

WINDOW = 20
"""Episodes that a running average looks back on."""


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a success rate; (0, 1) before the first trial.

    It stays inside [0, 1] and is not empty at 0 or all successes, where the normal approximation is.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie in [0, trials], got {successes} of {trials}")
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z95**2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def moving_rate(outcomes: Sequence[bool], window: int = WINDOW) -> list[float]:
    """Return after each outcome the rate of success over the last `window` (fewer at the start)."""
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    rates, total = [], 0
    for i, outcome in enumerate(outcomes):
        total += bool(outcome) - (bool(outcomes[i - window]) if i >= window else 0)
        rates.append(total / min(i + 1, window))
    return rates


def human_share(episodes: Sequence[EpisodeSummary]) -> float:
    """Return the share of all steps in which a person acted; NaN without a step."""
    steps = sum(e.steps for e in episodes)
    return sum(e.human_steps for e in episodes) / steps if steps else math.nan


def human_seconds(episode: EpisodeSummary) -> float:
    """Return how long a person acted in an episode [s]."""
    return episode.duration * episode.human_steps / episode.steps if episode.steps else 0.0


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval by Student's t, in the values' unit.

    NaN thrice without a value; the interval of one value is that value's mean and NaN bounds.
    """
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan, math.nan
    from scipy.stats import t  # late: it takes a while to import, and the command line must start at once

    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return mean, mean - half, mean + half


def duration_text(seconds: float) -> str:
    """Return a duration [s] for reading: "4.2 s", "3 min 07 s", "2 h 05 min"; "unknown" where not finite."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 0:
        return "-" + duration_text(-seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
