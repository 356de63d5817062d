# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""First to the disk, then acknowledged: how transitions come into the log of record. No ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from serl_core.types import TransitionAck


class Log(Protocol):
    """What the intake needs of a bag writer."""

    def write(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Append one message."""

    def flush(self) -> None:
        """After this, nothing written is lost by a kill of the process."""


@dataclass(frozen=True)
class Receipt:
    """Outcome for one arrival: whether it is new (and now on disk), and what to tell the sender."""

    new: bool
    ack: TransitionAck


class Intake:
    """Takes transitions of any number of environments, each in an unbroken row of sequences.

    Args:
        log: Where they are written.
        topic: Under which name.
        epoch: Start stamp of this receiver [ns]; tells senders that it restarted.
        step_limit: Returns how far an environment may go: given its last sequence and the number of environments
            heard in this life, the highest it may reach.
        known: Last sequence on disk by environment, from an earlier life of this log.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        epoch: int,
        step_limit: Callable[[int, int], int],
        known: dict[str, int] | None = None,
    ) -> None:
        self._log = log
        self._topic = topic
        self._epoch = epoch
        self._step_limit = step_limit
        self._last = dict(known or {})
        self._present: set[str] = set()
        self.duplicates = 0
        self.gaps = 0

    def greet(self, env_id: str) -> None:
        """Count an environment that showed up among those that `acks` tells how to go on."""
        self._present.add(env_id)

    def knows(self, env_id: str) -> bool:
        """Return whether an environment has been heard in this life."""
        return env_id in self._present

    def receive(self, env_id: str, sequence: int, stamp_ns: int, cdr: bytes) -> Receipt:
        """Write one transition unless it is known already or a predecessor is missing."""
        self._present.add(env_id)
        last = self._last.get(env_id, 0)
        new, resend = sequence == last + 1, sequence > last + 1
        if new:
            self._log.write(self._topic, stamp_ns, cdr)
            self._log.flush()
            self._last[env_id] = sequence
        elif resend:
            self.gaps += 1
        else:
            self.duplicates += 1
        return Receipt(new, self._ack(env_id, resend))

    def acks(self) -> list[TransitionAck]:
        """Return the state of every environment heard in this life, to tell them a new step limit."""
        return [self._ack(env_id) for env_id in sorted(self._present)]

    def _ack(self, env_id: str, resend: bool = False) -> TransitionAck:
        last = self._last.get(env_id, 0)
        limit = self._step_limit(last, max(1, len(self._present)))
        return TransitionAck(env_id, last, self._epoch, resend, limit)
