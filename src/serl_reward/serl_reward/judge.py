# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Judges observations as they arrive in another process than the environment's. No ROS; time is an argument."""

from __future__ import annotations

from collections.abc import Callable

from serl_core.interfaces import RewardFn
from serl_core.latency import RecentLatencies
from serl_core.types import Observation, RewardSignal


class Judge:
    """Gives each observation of an environment one verdict, in order.

    An observation that is sent again gets its verdict again, so that a reward that remembers is not told the same
    step twice; one from before the last one judged gets none. Single-threaded.

    Attributes:
        judged: Observations judged.
        missed: Steps of an episode that never came.
        late: Verdicts given later than `deadline_s` after the observation's arrival.
    """

    def __init__(self, reward: RewardFn, deadline_s: float) -> None:
        self._reward = reward
        self._deadline_s = deadline_s
        self._place: tuple[int, int] | None = None
        self._verdict: RewardSignal | None = None
        self._latencies = RecentLatencies()
        self.judged = self.missed = self.late = 0

    def restart(self) -> None:
        """Forget the environment: another one counts its episodes from 0."""
        self._place = None

    def judge(
        self, observation: Observation, arrival: float, clock: Callable[[], float]
    ) -> RewardSignal | None:
        """Return the verdict on an observation, or None if a later one was judged already.

        Args:
            observation: What to judge.
            arrival: When it came, on `clock` [s].
            clock: Monotonic clock [s].
        """
        place = (observation.episode_id, observation.step)
        if self._place == place:
            return self._verdict
        if self._place is not None and place < self._place:
            return None
        if self._place is None or self._place[0] != observation.episode_id:
            self._reward.reset()
            self.missed += observation.step
        else:
            self.missed += observation.step - self._place[1] - 1
        self._verdict = self._reward(observation.state, observation.images)
        self._place = place
        seconds = clock() - arrival
        self._latencies.add(seconds)
        self.judged += 1
        self.late += seconds > self._deadline_s
        return self._verdict

    def figures(self) -> dict[str, float]:
        """Return counts and the time to a verdict over the recent ones [ms]."""
        counts = {"judged": self.judged, "missed": self.missed, "late": self.late}
        return {**counts, **self._latencies.figures()}
