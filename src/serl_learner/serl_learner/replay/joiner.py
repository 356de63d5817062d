# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Joins each transition with the observation before it, by episode and step, never by position."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_core.types import Observation, Source, Transition


@dataclass(frozen=True)
class Frame:
    """One observation as kept for learning.

    Attributes:
        state: Scaled state vector (state_size,).
        images: By camera: uint8 images, or what a cache made of them.
        privileged: Scaled vector of what only the critics read; None where they read nothing else.
    """

    state: np.ndarray
    images: dict[str, np.ndarray] = field(default_factory=dict)
    privileged: np.ndarray | None = None


@dataclass(frozen=True)
class Row:
    """One complete step of one episode.

    Attributes:
        episode: (env_id, episode_id).
        step: Index t of the action.
        frame, next_frame: Observations t and t + 1.
        action, reward, discount, source: As in the transition.
    """

    episode: tuple[str, int]
    step: int
    frame: Frame
    action: np.ndarray
    reward: float
    discount: float
    next_frame: Frame
    source: Source


class Joiner:
    """Turns transitions into rows.

    Transitions may come in any order and more than once; (env_id, sequence) names them. One whose predecessor
    has not come within `window` later ones of its environment is dropped and counted.

    Args:
        spec: Environment whose transitions come; SchemaError on others.
        window: How far, in transitions of the same environment, order may be lost.
        privileged: The same environment with the critics' privileged state as its policy vector; None: no such.
    """

    def __init__(self, spec: EnvSpec, window: int = 1000, privileged: EnvSpec | None = None) -> None:
        self._spec = spec
        self._privileged = privileged
        self._window = window
        self._streams: dict[str, _Stream] = {}
        self.duplicates = 0
        self.dropped = 0

    def add(self, transition: Transition) -> list[Row]:
        """Return the rows that `transition` completes: none, its own, or also those that waited for it."""
        if transition.task != self._spec.task:
            raise SchemaError(f"transition of task {transition.task!r}, expected {self._spec.task!r}")
        action = self._spec.check_action(transition.action)
        next_frame = self._frame(transition.next_observation)
        stream = self._streams.setdefault(transition.env_id, _Stream())
        if not stream.admit(transition.sequence):
            self.duplicates += 1
            return []
        here = (transition.episode_id, transition.step)
        successor = (transition.episode_id, transition.step + 1)
        if transition.step == 0 and transition.first_observation is not None:
            stream.frames[here] = (transition.sequence, self._frame(transition.first_observation))
        if not transition.last:
            stream.frames[successor] = (transition.sequence, next_frame)
        stream.waiting[here] = (transition, action, next_frame)
        # A transition may complete itself, and through its frame the successor that came before it.
        rows = [stream.join(key) for key in (here, successor) if stream.complete(key)]
        self.dropped += stream.expire(self._window)
        return rows

    def flush(self) -> None:
        """Drop and count what still waits, at the end of a recording."""
        for stream in self._streams.values():
            self.dropped += len(stream.waiting)
            stream.waiting.clear()
            stream.frames.clear()

    def _frame(self, observation: Observation) -> Frame:
        privileged = self._privileged
        for array in self._spec.policy_state + (privileged.policy_state if privileged is not None else ()):
            if array.name not in observation.state:
                raise SchemaError(f"observation lacks {array.name!r}; it has {sorted(observation.state)}")
            array.check(observation.state[array.name])
        images = {}
        for camera in self._spec.images:
            if camera.name in self._spec.policy_keys:
                if camera.name not in observation.images:
                    raise SchemaError(
                        f"observation lacks {camera.name!r}; it has {sorted(observation.images)}"
                    )
                images[camera.name] = camera.check(observation.images[camera.name])
        return Frame(
            self._spec.policy_vector(observation.state),
            images,
            None if privileged is None else privileged.policy_vector(observation.state),
        )


class _Stream:
    """What one environment's transitions left open; keys are (episode_id, step)."""

    def __init__(self) -> None:
        self.frames: OrderedDict[tuple[int, int], tuple[int, Frame]] = OrderedDict()
        self.waiting: OrderedDict[tuple[int, int], tuple[Transition, np.ndarray, Frame]] = OrderedDict()
        self._all_up_to = 0
        self._beyond: set[int] = set()
        self._highest = 0

    def admit(self, sequence: int) -> bool:
        """Return whether a transition is new, and remember it."""
        if sequence <= self._all_up_to or sequence in self._beyond:
            return False
        self._beyond.add(sequence)
        self._highest = max(self._highest, sequence)
        while self._all_up_to + 1 in self._beyond:
            self._all_up_to += 1
            self._beyond.remove(self._all_up_to)
        return True

    def complete(self, key: tuple[int, int]) -> bool:
        """Return whether both the transition of `key` and the observation before it are here."""
        return key in self.waiting and key in self.frames

    def join(self, key: tuple[int, int]) -> Row:
        """Return the row of `key`, and forget its parts."""
        transition, action, next_frame = self.waiting.pop(key)
        _, frame = self.frames.pop(key)
        return Row(
            episode=(transition.env_id, transition.episode_id),
            step=transition.step,
            frame=frame,
            action=action,
            reward=float(transition.reward),
            discount=float(transition.discount),
            next_frame=next_frame,
            source=Source(transition.source),
        )

    def expire(self, window: int) -> int:
        """Forget what is older than `window` transitions; return how many transitions that lost."""
        oldest = self._highest - window
        while self.frames and next(iter(self.frames.values()))[0] < oldest:
            self.frames.popitem(last=False)
        lost = 0
        while self.waiting and next(iter(self.waiting.values()))[0].sequence < oldest:
            self.waiting.popitem(last=False)
            lost += 1
        return lost
