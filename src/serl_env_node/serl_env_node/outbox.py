# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Transitions that nobody has acknowledged yet: sent in order, kept, and sent again when they are missing."""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

from serl_core.errors import SerlError
from serl_core.types import TransitionAck

M = TypeVar("M")

WINDOW = 50
"""Most items on their way at once. Half of what the topic's queues hold: those sent again still find room behind those
that are on their way, so that nothing pushes out what the receiver lacks."""

PATIENCE_SECONDS = 0.5
"""Without progress for this long, what is on its way counts as lost."""


class Outbox(Generic[M]):
    """Keeps items by sequence until they are acknowledged, and says which to send next. Not thread-safe.

    The receiver acknowledges the last sequence of an unbroken row that is on disk. `WINDOW` items after it may be on
    their way; when it restarted (new epoch), lacks one, or has been silent for too long, these are due again. Whatever
    is lost, and however much waits, a loss thus costs no more than one window.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[int, M]] = deque()
        self._on_their_way = 0
        self._epoch: int | None = None
        self._repeated_after = -1
        self._since = -math.inf
        self.acknowledged = 0
        self.step_limit = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def heard(self) -> bool:
        """Whether a receiver has ever acknowledged anything, be it that nothing has come yet."""
        return self._epoch is not None

    def add(self, sequence: int, item: M) -> None:
        """Take an item that is to be sent; sequences rise by one."""
        self._items.append((sequence, item))

    def take(self) -> M | None:
        """Return the item to send now, in order; None while nothing is due."""
        if self._on_their_way >= min(len(self._items), WINDOW):
            return None
        self._on_their_way += 1
        return self._items[self._on_their_way - 1][1]

    def acknowledge(self, ack: TransitionAck, now: float) -> None:
        """Forget what is on disk; what is missing there is due again.

        SerlError where a new receiver lacks what another one acknowledged, which is kept no longer.

        Args:
            ack: The receiver's word.
            now: A monotonic clock [s].
        """
        restarted = ack.epoch != self._epoch
        if restarted and ack.sequence < self.acknowledged:
            raise SerlError(
                f"the receiver's log lacks transitions {ack.sequence + 1} to {self.acknowledged} of {ack.env_id}, which"
                " another one acknowledged: resume that run, or restart the robot side"
            )
        if ack.sequence > self.acknowledged or not self._items:
            self._since = now
        self._epoch, self.step_limit = ack.epoch, ack.step_limit
        self.acknowledged = max(self.acknowledged, ack.sequence)
        while self._items and self._items[0][0] <= ack.sequence:
            self._items.popleft()
            self._on_their_way = max(0, self._on_their_way - 1)
        # Whatever arrives behind a gap is answered with a wish for more; once it is granted, only time renews it.
        missing = ack.resend and ack.sequence == self.acknowledged != self._repeated_after
        if restarted or missing:
            self._repeat(now)
        else:
            self.repeat_if_lost(now)

    def repeat_if_lost(self, now: float) -> None:
        """Make what is on its way due again, if there has been no progress for too long at `now` [s]."""
        if now - self._since > PATIENCE_SECONDS:
            self._repeat(now)

    def _repeat(self, now: float) -> None:
        self._on_their_way = 0
        self._repeated_after, self._since = self.acknowledged, now
