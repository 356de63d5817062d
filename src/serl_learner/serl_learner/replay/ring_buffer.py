# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Preallocated replay memory that holds every observation once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_learner.replay.joiner import Frame, Row
from serl_learner.vision.config import policy_cameras

_NONE = -1


class RingBuffer:
    """The latest rows of any number of episodes; the oldest goes first.

    A row names its two observations by slot in a separate store, where neighbouring rows of an episode
    share one; rows need not come in order or without gaps. A slot is freed with the last row that names it.
    If slots run out before rows do (many fragments of episodes), the oldest rows go early.

    Args:
        spec: Environment; sizes and cameras of the rows.
        capacity: Most rows to hold.
        frame_capacity: Most observations to hold, at least 2; by default a tenth more than rows.
        features: Shapes (shifts, height, width, channels) by camera of the float16 feature maps that rows hold in
            place of images; None: they hold images. A sample draws one of the shifts.
        privileged_size: Length of the critics' privileged state vector.
    """

    def __init__(
        self,
        spec: EnvSpec,
        capacity: int,
        frame_capacity: int | None = None,
        features: Mapping[str, tuple[int, ...]] | None = None,
        privileged_size: int = 0,
    ) -> None:
        frames = max(2, capacity + capacity // 10 + 2 if frame_capacity is None else frame_capacity)
        self.capacity = capacity
        self._size = 0
        self._head = 0
        self._rows: dict[str, np.ndarray] = {
            "frame": np.full(capacity, _NONE, np.int64),
            "next_frame": np.full(capacity, _NONE, np.int64),
            "action": np.zeros((capacity, spec.action_size), np.float32),
            "reward": np.zeros(capacity, np.float32),
            "discount": np.zeros(capacity, np.float32),
            "source": np.zeros(capacity, np.uint8),
        }
        if features is None:
            cameras = {c.name: np.zeros((frames, *c.shape), np.uint8) for c in policy_cameras(spec)}
        else:
            cameras = {name: np.zeros((frames, *shape), np.float16) for name, shape in features.items()}
        self._shifts = {name: shape[0] for name, shape in (features or {}).items()}
        self._store = {"state": np.zeros((frames, spec.policy_state_size), np.float32)}
        if privileged_size:
            self._store["privileged"] = np.zeros((frames, privileged_size), np.float32)
        reserved = sorted(set(cameras) & {*self._rows, *self._store})
        if reserved:
            raise SchemaError(f"task {spec.task}: cameras must not be called {reserved}, which batches use")
        self._store.update(cameras)
        self._users = np.zeros(frames, np.int64)
        self._keys: list[tuple[str, int, int] | None] = [None] * frames
        self._slots: dict[tuple[str, int, int], int] = {}
        self._free = list(range(frames - 1, -1, -1))

    def __len__(self) -> int:
        return self._size

    def insert(self, row: Row) -> None:
        """Store a row; SchemaError if an array has another shape than the specification's."""
        self._check(row)
        keys = ((*row.episode, row.step), (*row.episode, row.step + 1))
        while self._size == self.capacity or len(self._free) < sum(key not in self._slots for key in keys):
            self._evict()
        frame = self._hold(keys[0], row.frame)
        next_frame = self._hold(keys[1], row.next_frame)
        values = (frame, next_frame, row.action, row.reward, row.discount, int(row.source))
        for array, value in zip(self._rows.values(), values, strict=True):
            array[self._head] = value
        self._head = (self._head + 1) % self.capacity
        self._size += 1

    def sample(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw rows uniformly with replacement.

        Args:
            shape: Leading shape of the result.
            rng: Source of randomness.

        Returns:
            "state", "action", "reward", "discount", "next_state", where the critics read more "privileged" and
            "next_privileged", and for every camera its name and "next_" + name: images, or feature maps (...,
            height, width, channels). SchemaError if the buffer is empty.
        """
        if self._size == 0:
            raise SchemaError("cannot sample from an empty replay buffer")
        rows = (self._head - self._size + rng.integers(self._size, size=shape)) % self.capacity
        frames, next_frames = self._rows["frame"][rows], self._rows["next_frame"][rows]
        batch = {name: self._rows[name][rows] for name in ("action", "reward", "discount")}
        for name, array in self._store.items():
            for key, slots in ((name, frames), (f"next_{name}", next_frames)):
                if name in self._shifts:
                    batch[key] = array[slots, rng.integers(self._shifts[name], size=slots.shape)]
                else:
                    batch[key] = array[slots]
        return batch

    def blank(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Return zeros in the shapes and types that `sample` returns."""
        batch = {
            name: np.zeros((*shape, *self._rows[name].shape[1:]), np.float32)
            for name in ("action", "reward", "discount")
        }
        for name, array in self._store.items():
            tail = array.shape[2 if name in self._shifts else 1 :]
            batch[name] = batch[f"next_{name}"] = np.zeros((*shape, *tail), array.dtype)
        return batch

    def state(self) -> dict[str, Any]:
        """Return a copy of everything that `restore` needs."""
        return {
            "size": self._size,
            "head": self._head,
            "rows": {name: array.copy() for name, array in self._rows.items()},
            "store": {name: array.copy() for name, array in self._store.items()},
            "users": self._users.copy(),
            "keys": list(self._keys),
            "free": list(self._free),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned; SchemaError if it is of a buffer of other sizes."""
        for mine, theirs in ((self._rows, state["rows"]), (self._store, state["store"])):
            for name, array in mine.items():
                if name not in theirs or theirs[name].shape != array.shape:
                    raise SchemaError(f"replay state of another buffer size or schema: {name} differs")
                array[:] = theirs[name]
        self._size, self._head = state["size"], state["head"]
        self._users[:] = state["users"]
        self._keys = list(state["keys"])
        self._free = list(state["free"])
        self._slots = {key: slot for slot, key in enumerate(self._keys) if key is not None}

    def check_valid(self) -> None:
        """Raise SchemaError if a row joins two episodes, skips a step or names an evicted observation."""
        users = np.zeros_like(self._users)
        for row in (self._head - self._size + np.arange(self._size)) % self.capacity:
            frame, next_frame = int(self._rows["frame"][row]), int(self._rows["next_frame"][row])
            key, next_key = self._keys[frame], self._keys[next_frame]
            if key is None or next_key is None:
                raise SchemaError(f"replay row {row} names an observation that was evicted")
            if key[:2] != next_key[:2] or key[2] + 1 != next_key[2]:
                raise SchemaError(f"replay row {row} joins {key} and {next_key}")
            users[frame] += 1
            users[next_frame] += 1
        if not np.array_equal(users, self._users):
            raise SchemaError("replay observation store counts its users wrongly")

    def _check(self, row: Row) -> None:
        if row.action.shape != self._rows["action"].shape[1:]:
            raise SchemaError(
                f"row: expected action {self._rows['action'].shape[1:]}, got {row.action.shape}"
            )
        for frame in (row.frame, row.next_frame):
            arrays = _arrays(frame)
            for name, array in arrays.items():
                if name not in self._store or array.shape != self._store[name].shape[1:]:
                    raise SchemaError(f"row: {name} of shape {array.shape} does not fit the replay buffer")
            missing = set(self._store) - set(arrays)
            if missing:
                raise SchemaError(f"row: {sorted(missing)} are missing")

    def _hold(self, key: tuple[str, int, int], frame: Frame) -> int:
        """Return the slot of an observation, stored now if it is not there yet, with one user more."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._free.pop()
            self._slots[key] = slot
            self._keys[slot] = key
            for name, array in _arrays(frame).items():
                self._store[name][slot] = array
        self._users[slot] += 1
        return slot

    def _evict(self) -> None:
        oldest = (self._head - self._size) % self.capacity
        self._size -= 1
        for name in ("frame", "next_frame"):
            slot = int(self._rows[name][oldest])
            self._users[slot] -= 1
            if self._users[slot] == 0:
                key = self._keys[slot]
                assert key is not None
                del self._slots[key]
                self._keys[slot] = None
                self._free.append(slot)


def _arrays(frame: Frame) -> dict[str, np.ndarray]:
    own = {"state": frame.state, **frame.images}
    return own if frame.privileged is None else {**own, "privileged": frame.privileged}
