# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The desk at which a person marks success and failure on the frames of a bag."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from serl_bringup.page.pictures import frame_and_camera
from serl_core.errors import BagError, ConfigError
from serl_core.pictures import png
from serl_learner.bag.labels import FrameKey, LabelFile, Labels, edit_labels, observations

WANTED = {"success": 200, "failure": 1000}
"""Frames of each kind that make a good data set (HIL-SERL, section 3.3)."""

VERDICTS = {"success": True, "failure": False, "none": None}


class FrameStore:
    """Images of a bag, kept in a nameless file so that a long recording does not fill the memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="serl-frames-")  # noqa: SIM115 it lives as long as this
        self._places: dict[tuple[FrameKey, str], tuple[int, tuple[int, ...]]] = {}
        self._end = 0

    def add(self, key: FrameKey, camera: str, pixels: np.ndarray) -> None:
        """Keep an image (height, width, 3) uint8."""
        self._file.write(np.ascontiguousarray(pixels).tobytes())
        self._places[key, camera] = (self._end, pixels.shape)
        self._end += pixels.nbytes

    def seal(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def get(self, key: FrameKey, camera: str) -> np.ndarray | None:
        """Return an image, or None if there is no such; may be called from any thread."""
        if (key, camera) not in self._places:
            return None
        offset, shape = self._places[key, camera]
        data = os.pread(self._file.fileno(), int(np.prod(shape)), offset)
        return np.frombuffer(data, np.uint8).reshape(shape)


class LabellingDesk:
    """A bag's frames and their labels, which others may change too. Every click is on the disk before it is answered.

    Args:
        bag: Recording with images; BagError if it is none, ConfigError if it has no images.
        note: Told about progress while the bag is read.
    """

    page = "label.html"

    def __init__(self, bag: Path, note: Callable[[str], None] = print) -> None:
        self._bag = bag
        self._lock = threading.Lock()
        self._file = LabelFile(bag)
        self._labels = self._file.read()
        self._frames = FrameStore()
        self._episodes: dict[tuple[str, int], list[int]] = defaultdict(list)
        cameras: dict[str, None] = {}
        for number, (key, observation) in enumerate(observations(bag), 1):
            self._episodes[key.episode].append(key.step)
            for camera, pixels in observation.images.items():
                cameras[camera] = None
                self._frames.add(key, camera, pixels)
            if number % 500 == 0:
                note(f"reading {bag}: {number} frames")
        self._frames.seal()
        self._cameras = list(cameras)
        if not self._cameras:
            raise ConfigError(f"{bag} has no images: record with cameras (--set obs=image)")

    @property
    def labels(self) -> Labels:
        """What has been marked so far, by whomever; damage of the file is told where somebody clicks."""
        with self._lock, suppress(BagError):
            self._labels = self._file.read()
        return self._labels

    def summary(self) -> str:
        """Return the counts in one line."""
        counts = self.labels.counts()
        return f"{counts['success']} frames of success, {counts['failure']} of failure"

    def state(self) -> Mapping[str, Any]:
        """Return episodes with their steps' and their own labels, cameras, and counts."""
        labels = self.labels
        return {
            "bag": str(self._bag),
            "cameras": self._cameras,
            "counts": labels.counts(),
            "wanted": WANTED,
            "episodes": [
                {
                    "env": env,
                    "episode": episode,
                    "steps": steps,
                    "labels": [labels.frames.get(FrameKey(env, episode, step)) for step in steps],
                    "success": labels.episodes.get((env, episode)),
                }
                for (env, episode), steps in self._episodes.items()
            ],
        }

    def picture(self, path: str) -> bytes | None:
        """Return the image of "env/episode/step/camera"."""
        named = frame_and_camera(path)
        pixels = None if named is None else self._frames.get(*named)
        return None if pixels is None else png(pixels)

    def click(self, what: Mapping[str, Any]) -> Mapping[str, Any]:
        """Mark steps "first" to "last" of an episode, or without them the episode; see VERDICTS."""
        try:
            episode = (str(what["env"]), int(what["episode"]))
            verdict = VERDICTS[what["verdict"]]
            span = (int(what["first"]), int(what["last"])) if "first" in what else None
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"that click is not understood: {error!r}") from error
        if episode not in self._episodes:
            raise ConfigError(f"the bag has no episode {episode[1]} of {episode[0]}")
        with edit_labels(self._bag) as labels:
            marked: dict[Any, bool] = labels.episodes if span is None else labels.frames
            keys: list[Any] = [episode]
            if span is not None:
                steps = self._episodes[episode]
                keys = [FrameKey(*episode, step) for step in steps if span[0] <= step <= span[1]]
            for key in keys:
                if verdict is None:
                    marked.pop(key, None)
                else:
                    marked[key] = verdict
        return self.state()
