# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Who is alive: judged by the diagnostics that every node publishes once a second. No ROS."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from serl_core.errors import SerlError

ERROR = 2
"""`diagnostic_msgs/DiagnosticStatus` ERROR; what is worse is as bad."""


class NodeLost(SerlError):
    """A watched node failed or fell silent; `node` is its name as in the diagnostics."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node} {reason}")
        self.node = node


class Heartbeats:
    """Last sign of life of each watched node. Thread-safe.

    Args:
        names: Nodes to watch, as they name themselves in their diagnostics.
        timeout: Silence that counts as death, from the first sign of life on [s].
    """

    def __init__(self, names: Sequence[str], timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._heard: dict[str, float] = {}
        self._failed: NodeLost | None = None
        self._names = frozenset(names)

    def hear(self, name: str, level: int, message: str, now: float) -> None:
        """Take in a status; one of level ERROR is a failure for good."""
        if name not in self._names:
            return
        with self._lock:
            self._heard[name] = now
            if level >= ERROR and self._failed is None:
                self._failed = NodeLost(name, f"failed: {message or 'it does not say why'}")

    def check(self, now: float) -> None:
        """Raise NodeLost, with the reason, if a node failed or has been silent for too long."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            for name, heard in self._heard.items():
                if now - heard > self._timeout:
                    raise NodeLost(name, f"is lost: no diagnostics for {now - heard:.1f} s")

    def ages(self, now: float) -> dict[str, float]:
        """Return the seconds since each node's last sign of life."""
        with self._lock:
            return {name: now - heard for name, heard in self._heard.items()}
