# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Preallocated replay memory that holds every observation once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.specs import EnvSpec
from serl_learner.replay.joiner import Frame, Row
from serl_learner.vision.config import policy_cameras

_NONE = -1
_NAMING_BYTES = 280
"""Of Python objects for each frame: its key, its entry in the index, its place among the free."""


@dataclass(frozen=True)
class Horizon:
    """How many steps of reward a sample sums up (n-step return; Sutton and Barto 2018, equation 12.1).

    Attributes:
        n_step: Steps at most; fewer where the rows of an episode end, or one is not here.
        discount: Of the return per step.
        reward_bias: What the agent adds to a reward; a sample holds that of all steps but the first.
    """

    n_step: int = 1
    discount: float = 1.0
    reward_bias: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Arrays of a buffer: shapes for one row or one frame, and types, by name.

    Attributes:
        rows: What every row has of its own.
        frames: What an observation consists of.
        shifts: Number of feature maps by camera, of which a sample draws one.
    """

    rows: Mapping[str, tuple[tuple[int, ...], np.dtype]]
    frames: Mapping[str, tuple[tuple[int, ...], np.dtype]]
    shifts: Mapping[str, int]

    @classmethod
    def of(
        cls, spec: EnvSpec, features: Mapping[str, tuple[int, ...]] | None = None, privileged_size: int = 0
    ) -> Layout:
        """Return the layout for an environment; for the arguments see `RingBuffer`."""
        rows = {
            "frame": ((), np.dtype(np.int64)),
            "next_frame": ((), np.dtype(np.int64)),
            "action": ((spec.action_size,), np.dtype(np.float32)),
            "reward": ((), np.dtype(np.float32)),
            "discount": ((), np.dtype(np.float32)),
        }
        frames = {"state": ((spec.policy_state_size,), np.dtype(np.float32))}
        if privileged_size:
            frames["privileged"] = ((privileged_size,), np.dtype(np.float32))
        if features is None:
            cameras = {camera.name: (camera.shape, np.dtype(np.uint8)) for camera in policy_cameras(spec)}
        else:
            cameras = {name: (shape, np.dtype(np.float16)) for name, shape in features.items()}
        reserved = sorted(set(cameras) & {*rows, *frames})
        if reserved:
            raise SchemaError(f"task {spec.task}: cameras must not be called {reserved}, which batches use")
        shifts = {name: shape[0] for name, shape in (features or {}).items()}
        return cls(rows, {**frames, **cameras}, shifts)

    def nbytes(self, capacity: int, frame_capacity: int | None = None) -> int:
        """Return what a buffer of so many rows takes when it is full [bytes]."""
        row, frame = (
            sum(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize for shape, dtype in arrays.values())
            for arrays in (self.rows, self.frames)
        )
        beside = 2 * np.dtype(np.int64).itemsize + _NAMING_BYTES
        return capacity * row + _frames_for(capacity, frame_capacity) * (frame + beside)

    def capacity_within(self, budget: int) -> int:
        """Return how many rows fit into `budget` [bytes]; ConfigError if it is not two."""
        low, high = 0, budget
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.nbytes(middle) <= budget else (low, middle - 1)
        if low < 2:
            raise ConfigError(
                f"a replay of {budget} bytes holds no two transitions of {self.nbytes(1)} bytes: allow more"
            )
        return low


def _frames_for(capacity: int, frame_capacity: int | None) -> int:
    return max(2, capacity + capacity // 10 + 2 if frame_capacity is None else frame_capacity)


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
        horizon: Steps of reward that a sample sums up.
        folder: Where frames are held, in files mapped into memory; None: in memory. The files are as long as the
            full buffer from the start, so that a full disk is told now (SerlError), and have no name, so that
            nothing of them is left when the process ends, however it ends.
    """

    def __init__(
        self,
        spec: EnvSpec,
        capacity: int,
        frame_capacity: int | None = None,
        features: Mapping[str, tuple[int, ...]] | None = None,
        privileged_size: int = 0,
        horizon: Horizon = Horizon(),
        folder: Path | None = None,
    ) -> None:
        frames = _frames_for(capacity, frame_capacity)
        layout = Layout.of(spec, features, privileged_size)
        self.capacity = capacity
        self.nbytes = layout.nbytes(capacity, frame_capacity)
        """What the full buffer takes [bytes]."""
        self._horizon = horizon
        self._size = 0
        self._head = 0
        self._rows = {
            name: np.zeros((capacity, *shape), dtype) for name, (shape, dtype) in layout.rows.items()
        }
        self._shifts = layout.shifts
        self._store = {
            name: _allocate((frames, *shape), dtype, folder) for name, (shape, dtype) in layout.frames.items()
        }
        self._starts = np.full(
            frames, _NONE, np.int64
        )  # the row that begins at a frame: its predecessor's next
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
        values = (frame, next_frame, row.action, row.reward, row.discount)
        for array, value in zip(self._rows.values(), values, strict=True):
            array[self._head] = value
        self._starts[frame] = self._head
        self._head = (self._head + 1) % self.capacity
        self._size += 1

    def relabel(self, episode: tuple[str, int], step: int, reward: float, discount: float) -> bool:
        """Give a row another reward and discount; return whether it is held."""
        row = self._starts[self._slots[(*episode, step)]] if (*episode, step) in self._slots else _NONE
        if row == _NONE:
            return False
        self._rows["reward"][row], self._rows["discount"][row] = reward, discount
        return True

    def sample(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw rows uniformly with replacement.

        Args:
            shape: Leading shape of the result.
            rng: Source of randomness.

        Returns:
            "state", "action", "reward", "discount", "next_state", where the critics read more "privileged" and
            "next_privileged", and for every camera its name and "next_" + name: images, or feature maps (...,
            height, width, channels). With an n-step horizon, "next_" is what follows the last reward, "reward"
            the discounted sum, and "discount" what is left of the weight of the next value, less the factor for
            one step that an agent puts to every target. SchemaError if the buffer is empty.
        """
        if self._size == 0:
            raise SchemaError("cannot sample from an empty replay buffer")
        rows = (self._head - self._size + rng.integers(self._size, size=shape)) % self.capacity
        reward, discount, last = self._returns(rows)
        frames, next_frames = self._rows["frame"][rows], self._rows["next_frame"][last]
        batch = {"action": self._rows["action"][rows], "reward": reward, "discount": discount}
        for name, array in self._store.items():
            for key, slots in ((name, frames), (f"next_{name}", next_frames)):
                if name in self._shifts:
                    batch[key] = array[slots, rng.integers(self._shifts[name], size=slots.shape)]
                else:
                    batch[key] = array[slots]
        return batch

    def _returns(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return reward, discount and last row of the n steps from `rows` on; see `sample`."""
        rewards, discounts, next_frame = (self._rows[name] for name in ("reward", "discount", "next_frame"))
        if self._horizon.n_step == 1:
            return rewards[rows], discounts[rows], rows
        last, weight, total = rows, np.ones(np.shape(rows)), rewards[rows].astype(np.float64)
        for _ in range(self._horizon.n_step - 1):
            # An episode's last step, and one whose successor is not here, begin no other row.
            following = self._starts[next_frame[last]]
            goes_on = following != _NONE
            weight = np.where(goes_on, weight * self._horizon.discount * discounts[last], weight)
            last = np.where(goes_on, following, last)
            total += np.where(goes_on, weight * (rewards[last] + self._horizon.reward_bias), 0.0)
        return total.astype(np.float32), (weight * discounts[last]).astype(np.float32), last

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
        """Return a copy of everything that `restore` needs.

        For programs that hold a buffer of their own: a resumed run asks for none, it fills its buffers from the bag
        and goes on with the sampler's state out of the checkpoint.
        """
        return {
            "size": self._size,
            "head": self._head,
            "rows": {name: array.copy() for name, array in self._rows.items()},
            "store": {name: array.copy() for name, array in self._store.items()},
            "users": self._users.copy(),
            "starts": self._starts.copy(),
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
        self._starts[:] = state["starts"]
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
            if self._starts[frame] != row:
                raise SchemaError(f"replay row {row} cannot be found from its predecessor")
            users[frame] += 1
            users[next_frame] += 1
        if np.count_nonzero(self._starts != _NONE) != self._size:
            raise SchemaError("replay names rows that were evicted as successors")
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
        self._starts[self._rows["frame"][oldest]] = _NONE
        for name in ("frame", "next_frame"):
            slot = int(self._rows[name][oldest])
            self._users[slot] -= 1
            if self._users[slot] == 0:
                key = self._keys[slot]
                assert key is not None
                del self._slots[key]
                self._keys[slot] = None
                self._free.append(slot)


def _allocate(shape: tuple[int, ...], dtype: np.dtype, folder: Path | None) -> np.ndarray:
    """Return zeros, in memory or in an unnamed file of `folder`; SerlError if that has no room."""
    if folder is None:
        return np.zeros(shape, dtype)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise SerlError(
            f"cannot hold replay in {folder}: {error.strerror}; allow less or choose another"
        ) from error


def _arrays(frame: Frame) -> dict[str, np.ndarray]:
    own = {"state": frame.state, **frame.images}
    return own if frame.privileged is None else {**own, "privileged": frame.privileged}
