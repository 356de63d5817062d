# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The paper's caution: long interventions that lead straight to success spoil the values (HIL-SERL, 3.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from serl_core.types import EpisodeSummary, Source


@dataclass(frozen=True)
class EpisodeInterventions:
    """What a person did in one episode.

    Attributes:
        lengths: Steps of each intervention, in order.
        steps: Steps of the episode.
        success: Whether it succeeded.
        finished: Whether the last intervention went on to the end.
    """

    lengths: tuple[float, ...]
    steps: int
    success: bool
    finished: bool

    @property
    def rate(self) -> float:
        """Share of the steps that were the person's."""
        return sum(self.lengths) / self.steps if self.steps else 0.0


def of_sources(sources: Iterable[Source], success: bool) -> EpisodeInterventions:
    """Read an episode off the sources of its transitions, in order; a hold ends an intervention."""
    runs = [(human, sum(1 for _ in run)) for human, run in groupby(sources, lambda s: s is Source.HUMAN)]
    return EpisodeInterventions(
        lengths=tuple(float(length) for human, length in runs if human),
        steps=sum(length for _, length in runs),
        success=success,
        finished=bool(runs) and runs[-1][0],
    )


def of_summary(summary: EpisodeSummary) -> EpisodeInterventions:
    """Estimate an episode from its summary, which knows only the mean length.

    It does not say who finished either: where there were interventions, the last one is taken to have.
    """
    count = summary.interventions
    return EpisodeInterventions(
        lengths=(summary.human_steps / count,) * count if count else (),
        steps=summary.steps,
        success=summary.success,
        finished=count > 0,
    )


def caution(
    episodes: Sequence[EpisodeInterventions],
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
    lengths = [
        episode.lengths[-1] * step_seconds
        for episode in successes
        if episode.finished and episode.lengths[-1] * step_seconds >= long_seconds
    ]
    if len(lengths) < fewest or 2 * len(lengths) <= len(successes):
        return ""
    return (
        f"{len(lengths)} of the last {len(successes)} successes were finished by interventions of "
        f"{sum(lengths) / len(lengths):.1f} s: correct briefly and let the policy finish, or its values will be"
        " overestimated"
    )
