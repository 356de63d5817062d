# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where an environment awaits verdicts of another process, never longer than a step may take. No ROS."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from serl_core.parameters import parameter
from serl_core.types import RewardSignal

UNKNOWN = "unknown"
"""Source of a verdict that did not come in time."""

LATEST_STEPS = 100
"""A verdict that comes later than so many steps without one is not counted as late."""


class VerdictSlot:
    """The verdict on the observation that a step waits for.

    `put` and `close` may be called from another thread than `wait`.

    Attributes:
        unknown: Steps that went on without a verdict.
        late: Of these steps, how many had their verdict come later.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._verdict: tuple[tuple[int, int], RewardSignal] | None = None
        self._done: tuple[int, int] = (-1, -1)
        self._unanswered: deque[tuple[int, int]] = deque(maxlen=LATEST_STEPS)
        self._closed = False
        self.unknown = self.late = 0

    def put(self, episode_id: int, step: int, verdict: RewardSignal) -> None:
        """Deliver the verdict on the observation (episode_id, step)."""
        place = (episode_id, step)
        with self._changed:
            if place <= self._done:  # late, or said again to an observation that was sent again
                if place in self._unanswered:
                    self._unanswered.remove(place)
                    self.late += 1
                return
            self._verdict = (place, verdict)
            self._changed.notify_all()

    def wait(self, episode_id: int, step: int, timeout: float) -> RewardSignal:
        """Return the verdict on (episode_id, step), or after `timeout` [s] that it is unknown.

        Unknown is no reward and no success, and so is a verdict whose value is not finite.
        """
        place = (episode_id, step)

        def arrived() -> bool:
            return self._closed or (self._verdict is not None and self._verdict[0] == place)

        with self._changed:
            self._changed.wait_for(arrived, max(0.0, timeout))
            found = self._verdict[1] if self._verdict is not None and self._verdict[0] == place else None
            self._done = place
            self._verdict = None
            if found is None:
                self._unanswered.append(place)
            if found is None or not math.isfinite(found.value):
                self.unknown += 1
                return RewardSignal(0.0, False, UNKNOWN)
            return found

    def close(self) -> None:
        """Make a `wait` under way and all later ones return at once: the environment stops."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass(frozen=True)
class AwaitedRewardConfig:
    """Settings of an environment whose verdicts the reward node gives."""

    reward_cameras: tuple[str, ...] = parameter(
        (), "cameras to send for the reward node, whether the policy reads them or not"
    )
    reward_timeout_s: float = parameter(
        0.05,
        "how long a step waits for the verdict before it goes on without [s]; in real time its period at most",
        0.001,
        60.0,
    )


class AwaitedReward:
    """Stands in the environment for a reward in another process: the step loop asks `await_verdict`.

    Attributes:
        verdicts: Where verdicts arrive.
        timeout_s: How long `await_verdict` waits [s].
    """

    Config = AwaitedRewardConfig
    name = "awaited"

    def __init__(self, config: AwaitedRewardConfig) -> None:
        self.cameras = config.reward_cameras
        self.verdicts = VerdictSlot()
        self.timeout_s = config.reward_timeout_s

    @classmethod
    def from_parameters(cls, config: AwaitedRewardConfig) -> AwaitedReward:
        """Build the reward from its parameters."""
        return cls(config)

    def reset(self) -> None:
        """Do nothing: what remembers is in the other process."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        """Say that nothing is known yet: no reward and no success."""
        return RewardSignal(0.0, False, UNKNOWN)

    def await_verdict(self, episode_id: int, step: int) -> RewardSignal:
        """Return the verdict on the observation (episode_id, step), unknown if it is not there in time."""
        return self.verdicts.wait(episode_id, step, self.timeout_s)

    def figures(self) -> dict[str, int]:
        """Return counts worth watching."""
        return {"unknown_rewards": self.verdicts.unknown, "late_rewards": self.verdicts.late}
