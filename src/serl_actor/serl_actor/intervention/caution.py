# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The paper's caution: long interventions that lead straight to success spoil the values (HIL-SERL, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from serl_core.types import EpisodeSummary


def caution(
    episodes: Sequence[EpisodeSummary],
    step_seconds: float,
    long_seconds: float = 3.0,
    window: int = 20,
    fewest: int = 3,
) -> str:
    """Return a one-line warning if most recent successes were finished by long interventions, else "".

    Args:
        episodes: In order of time; the last `window` count.
        step_seconds: Duration of a step [s].
        long_seconds: What is long for an intervention [s].
        window: Episodes looked at.
        fewest: Successes finished by long interventions from which on a warning is due.
    """
    successes = [episode for episode in episodes[-window:] if episode.success]
    finished = [e.intervention_steps[-1] * step_seconds for e in successes if e.human_at_end]
    long = [seconds for seconds in finished if seconds >= long_seconds]
    if len(long) < fewest or 2 * len(long) <= len(successes):
        return ""
    return (
        f"{len(long)} of the last {len(successes)} successes were finished by interventions of "
        f"{sum(long) / len(long):.1f} s: correct briefly and let the policy finish, or its values will be"
        " overestimated"
    )
