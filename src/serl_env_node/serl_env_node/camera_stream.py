# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Pictures that belong to a state: the nearest in time, cropped, small, and never older than allowed. No ROS."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
from PIL import Image

from serl_core.errors import ConfigError

KEPT = 4
"""Frames kept of each camera: a state may be looked at while the next frame is already there."""


class CameraStream:
    """Latest frames of some cameras. Thread-safe.

    Args:
        names: The cameras, in order.
        crops: (left, top, width, height) for each camera [pixels], flat; empty: the largest centred square.
        size: Width and height of the pictures [pixels].
        max_age: Farthest that a picture may be from the state that it belongs to [s].
    """

    def __init__(self, names: Sequence[str], crops: Sequence[int], size: int, max_age: float) -> None:
        if crops and len(crops) != 4 * len(names):
            raise ConfigError(
                f"crops must have 4 numbers (left, top, width, height) for each of {len(names)} cameras,"
                f" got {len(crops)}"
            )
        self._crops = {name: tuple(crops[4 * i : 4 * i + 4]) for i, name in enumerate(names)}
        self._size = size
        self._max_age = max_age
        self._lock = threading.Lock()
        self._frames: dict[str, deque[tuple[float, np.ndarray]]] = {
            name: deque(maxlen=KEPT) for name in names
        }
        self._pictures = {name: np.zeros((size, size, 3), np.uint8) for name in names}
        self.ages: dict[str, float] = {}

    def put(self, name: str, stamp: float, pixels: np.ndarray) -> None:
        """Take in a frame (H, W, 3) uint8 rgb."""
        with self._lock:
            self._frames[name].append((stamp, pixels))

    def forget(self) -> None:
        """Drop all frames."""
        with self._lock:
            for frames in self._frames.values():
                frames.clear()

    def at(self, stamp: float) -> tuple[dict[str, np.ndarray], str]:
        """Return each camera's picture (size, size, 3) nearest to a stamp [s], and why one is missing, or ""."""
        fault = ""
        for name in self._frames:
            with self._lock:
                frames = list(self._frames[name])
            if not frames:
                fault = fault or f"camera {name}: no picture yet"
                continue
            taken, pixels = min(frames, key=lambda frame: abs(frame[0] - stamp))
            self.ages[name] = stamp - taken
            if abs(stamp - taken) > self._max_age:
                where = "before" if taken < stamp else "after"
                fault = fault or (
                    f"camera {name}: nearest picture is from {abs(stamp - taken):.2f} s {where} the arm's state:"
                    " camera stalled, or clocks apart"
                )
                continue
            try:
                self._pictures[name] = self._small(name, pixels)
            except ConfigError as error:
                fault = fault or str(error)
        return dict(self._pictures), fault

    def _small(self, name: str, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        side = min(height, width)
        crop = self._crops[name] or ((width - side) // 2, (height - side) // 2, side, side)
        left, top, across, down = crop
        if left < 0 or top < 0 or across < 1 or down < 1 or left + across > width or top + down > height:
            raise ConfigError(f"camera {name}: crop {crop} does not lie in its {width} x {height} pixels")
        cut = np.ascontiguousarray(pixels[top : top + down, left : left + across])
        if cut.shape[:2] == (self._size, self._size):
            return cut
        return np.asarray(Image.fromarray(cut).resize((self._size, self._size), Image.Resampling.BOX))
