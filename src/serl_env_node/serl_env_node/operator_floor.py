# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Who is heard when several operators speak at once."""

from __future__ import annotations

from serl_core.types import Intervention


class OperatorFloor:
    """Gives the arm to the first operator who takes over; until that one lets go, nobody else is heard.

    Operators are told apart by `Intervention.device`. One that falls silent without letting go loses the floor
    after `patience`: a dead node must not lock the others out.

    Args:
        patience: [s]; longer than a device's period and than the pauses of an environment that is not in real time.

    Attributes:
        holder: Who has the arm; "" for nobody.
        ignored: Take-over words of others that were not heeded.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._heard = 0.0
        self.holder = ""
        self.ignored = 0

    def admit(self, word: Intervention, now: float) -> Intervention | None:
        """Return the word if its operator may speak, or None; `now` [s] is when it came."""
        if self.holder and word.device != self.holder:
            if now - self._heard <= self._patience:
                # Hands off of a bystander is no answer either: the holder has yet to give it.
                self.ignored += word.active
                return None
            self.holder = ""
        self._heard = now
        self.holder = word.device if word.active else ""
        return word
