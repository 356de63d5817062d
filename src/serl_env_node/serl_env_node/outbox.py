# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Transitions that nobody has acknowledged yet: kept, and sent again when asked."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from serl_core.types import TransitionAck

M = TypeVar("M")


class Outbox(Generic[M]):
    """Keeps sent items by sequence until they are acknowledged. Not thread-safe.

    The receiver acknowledges the last sequence of an unbroken row that is on disk. When it restarted (new
    epoch) or asks for it, everything after that is sent again.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[int, M]] = deque()
        self._epoch: int | None = None
        self.acknowledged = 0
        self.step_limit = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def heard(self) -> bool:
        """Whether a receiver has ever acknowledged anything, be it that nothing has come yet."""
        return self._epoch is not None

    def add(self, sequence: int, item: M) -> None:
        """Remember an item that is being sent; sequences rise by one."""
        self._items.append((sequence, item))

    def acknowledge(self, ack: TransitionAck) -> list[M]:
        """Forget what is on disk; return what must be sent again, in order."""
        self.acknowledged = max(self.acknowledged, ack.sequence)
        self.step_limit = ack.step_limit
        while self._items and self._items[0][0] <= ack.sequence:
            self._items.popleft()
        restarted = ack.epoch != self._epoch
        self._epoch = ack.epoch
        return [item for _, item in self._items] if restarted or ack.resend else []

    def unacknowledged(self) -> list[M]:
        """Return everything not yet acknowledged, in order."""
        return [item for _, item in self._items]
