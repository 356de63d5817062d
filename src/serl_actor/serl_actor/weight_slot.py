# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where weights arrive: checked off the acting thread, swapped between steps, latest wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from serl_core.errors import SerlError
from serl_core.types import PolicyWeights

P = TypeVar("P")


class WeightSlot(Generic[P]):
    """Turns arriving weights into a policy in a thread of its own; `take` never waits.

    Args:
        build: Makes a policy of weights; raises SerlError for weights that it cannot use.
        refused: Called with the reason when weights are refused; the present policy stays.
    """

    def __init__(self, build: Callable[[PolicyWeights], P], refused: Callable[[str], None]) -> None:
        self._build = build
        self._refused = refused
        self._arrived = threading.Condition()
        self._pending: PolicyWeights | None = None
        self._ready: P | None = None
        self._closed = False
        self.received = 0
        self.rejected = 0
        self._thread = threading.Thread(target=self._work, name="weights", daemon=True)
        self._thread.start()

    def put(self, weights: PolicyWeights) -> None:
        """Hand over weights; older ones still waiting are dropped."""
        with self._arrived:
            self._pending = weights
            self.received += 1
            self._arrived.notify()

    def take(self) -> P | None:
        """Return the latest policy, or None before the first."""
        return self._ready

    def close(self) -> None:
        """End the thread."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        self._thread.join(timeout=2.0)

    def _work(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._closed or self._pending is not None)
                if self._closed:
                    return
                weights, self._pending = self._pending, None
            assert weights is not None
            try:
                self._ready = self._build(weights)
            except Exception as error:
                self.rejected += 1
                self._refused(str(error) if isinstance(error, SerlError) else f"unusable weights: {error!r}")
