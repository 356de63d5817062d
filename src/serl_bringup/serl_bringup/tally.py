# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a graph has done so far, as told by its messages. No ROS."""

from __future__ import annotations

from serl_core.types import EpisodeSummary, TransitionAck


class Tally:
    """Episodes that ended, and what of them is on disk.

    Attributes:
        episodes: Summaries of finished episodes, in order.
        acknowledged: Last acknowledged sequence by environment.
    """

    def __init__(self) -> None:
        self.episodes: list[EpisodeSummary] = []
        self.acknowledged: dict[str, int] = {}

    def acknowledge(self, ack: TransitionAck) -> None:
        """Take in an acknowledgement; an older one than the last changes nothing."""
        self.acknowledged[ack.env_id] = max(ack.sequence, self.acknowledged.get(ack.env_id, 0))

    def successes(self) -> int:
        """Count the episodes that succeeded."""
        return sum(episode.success for episode in self.episodes)

    def all_on_disk(self, first: int | None = None) -> bool:
        """Whether every transition of the finished episodes, or of the `first` so many, has been acknowledged."""
        steps: dict[str, int] = {}
        for episode in self.episodes[:first]:
            steps[episode.env_id] = steps.get(episode.env_id, 0) + episode.steps
        return all(self.acknowledged.get(env_id, 0) >= count for env_id, count in steps.items())
