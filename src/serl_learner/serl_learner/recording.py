# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A bag with an intake: the log of record of one run. No ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec, env_spec_to_json, first_difference
from serl_core.types import EpisodeSummary, Transition, TransitionAck
from serl_learner.bag.reader import TRANSITION, BagReader, read_transitions
from serl_learner.bag.writer import BagWriter
from serl_learner.intake import Intake, Receipt

TRANSITION_TOPIC = "/transition"
EPISODE_TYPE = "serl_msgs/msg/EpisodeSummary"
TOPICS = {
    TRANSITION_TOPIC: (TRANSITION, False),
    "/episode": (EPISODE_TYPE, False),
    "/controller_state": ("serl_msgs/msg/ControllerState", False),
    "/learner_status": ("serl_msgs/msg/LearnerStatus", False),
}


class Recording:
    """Writes transitions in unbroken order, and whatever else is worth keeping, to one bag.

    Thread-safe: messages may arrive while another thread asks for acknowledgements.

    Args:
        path: Folder of the bag; one that exists is recovered and continued.
        spec: Environment that the transitions must fit.
        epoch: Start stamp of this receiver [ns].
        step_limit: Pace, see `Intake`.
        known: Last sequence already in the bag, by environment.
        facts: More facts for the bag's metadata.
    """

    def __init__(
        self,
        path: str | Path,
        spec: EnvSpec,
        epoch: int,
        step_limit: Callable[[int, int], int],
        known: Mapping[str, int] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self._lock = threading.Lock()
        metadata = {"task": spec.task, "env_spec": env_spec_to_json(spec), **(facts or {})}
        self._writer = BagWriter(Path(path), TOPICS, metadata, append=True)
        self.intake = Intake(self._writer, TRANSITION_TOPIC, epoch, step_limit, dict(known or {}))
        self._written = 0

    def greet(self, env_id: str, spec: EnvSpec) -> None:
        """Expect transitions of an environment that described itself; SchemaError unless it is as the others."""
        difference = first_difference(self.spec, spec)
        if difference:
            raise SchemaError(
                f"environment {env_id} is another than the recording's: {difference};"
                " restart the robot side with the run's settings"
            )
        with self._lock:
            self.intake.greet(env_id)

    def expects(self, env_id: str) -> bool:
        """Return whether an environment has been greeted; what comes before that is sent again."""
        return self.intake.knows(env_id)

    def receive(self, transition: Transition, stamp_ns: int, cdr: bytes) -> Receipt:
        """Write a transition's message, received at `stamp_ns`, unless it is known or out of order."""
        with self._lock:
            receipt = self.intake.receive(transition.env_id, transition.sequence, stamp_ns, cdr)
            self._written += receipt.new
            return receipt

    def keep(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Write any other message of `TOPICS`, named without the leading slash."""
        with self._lock:
            self._writer.write(f"/{topic}", stamp_ns, cdr)

    def acks(self) -> list[TransitionAck]:
        """Return what to tell every environment heard so far."""
        with self._lock:
            return self.intake.acks()

    def figures(self) -> dict[str, int]:
        """Return counts worth watching."""
        return {"written": self._written, "duplicates": self.intake.duplicates, "gaps": self.intake.gaps}

    def close(self) -> None:
        """Finish the bag."""
        with self._lock:
            self._writer.close()


def last_sequences(path: str | Path) -> dict[str, int]:
    """Return the last sequence in a bag by environment, for its next recorder; {} where there is no bag yet."""
    known: dict[str, int] = {}
    if any(Path(path).glob("*.mcap")):
        for transition in read_transitions(path):
            known[transition.env_id] = max(transition.sequence, known.get(transition.env_id, 0))
    return known


def read_episodes(path: str | Path) -> Iterator[EpisodeSummary]:
    """Yield the summaries of the episodes in a bag, in order; BagError if it is no bag."""
    from serl_core import codec

    reader = BagReader(path)
    for entry in reader.entries([EPISODE_TYPE]):
        yield codec.from_episode(reader.decode(entry))


def count_transitions(path: str | Path) -> int:
    """Return how many transitions a bag holds; BagError if it is no bag."""
    return sum(1 for _ in BagReader(path).entries([TRANSITION]))
