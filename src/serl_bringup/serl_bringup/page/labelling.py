# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The desk at which a person marks success and failure on the frames of a bag."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serl_core.errors import ConfigError
from serl_core.pictures import png
from serl_learner.bag.labels import FrameKey, Labels, observations, read_labels, write_labels

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
    """A bag's frames and their labels. Every click is on the disk before it is answered.

    Args:
        bag: Recording with images; BagError if it is none, ConfigError if it has no images.
        note: Told about progress while the bag is read.
    """

    page = "label.html"

    def __init__(self, bag: Path, note: Callable[[str], None] = print) -> None:
        self._bag = bag
        self._lock = threading.Lock()
        self._labels = read_labels(bag)
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
        """What has been marked so far."""
        return self._labels

    def summary(self) -> str:
        """Return the counts in one line."""
        counts = self._counts()
        return f"{counts['success']} frames of success, {counts['failure']} of failure"

    def state(self) -> Mapping[str, Any]:
        """Return episodes with their steps' and their own labels, cameras, and counts."""
        with self._lock:
            frames, episodes = dict(self._labels.frames), dict(self._labels.episodes)
        return {
            "bag": str(self._bag),
            "cameras": self._cameras,
            "counts": self._counts(),
            "wanted": WANTED,
            "episodes": [
                {
                    "env": env,
                    "episode": episode,
                    "steps": steps,
                    "labels": [frames.get(FrameKey(env, episode, step)) for step in steps],
                    "success": episodes.get((env, episode)),
                }
                for (env, episode), steps in self._episodes.items()
            ],
        }

    def picture(self, path: str) -> bytes | None:
        """Return the image of "env/episode/step/camera"."""
        try:
            rest, camera = path.rsplit("/", 1)
            env, episode, step = rest.rsplit("/", 2)
            key = FrameKey(env, int(episode), int(step))
        except ValueError:
            return None
        pixels = self._frames.get(key, camera)
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
        with self._lock:
            labels = Labels(dict(self._labels.frames), dict(self._labels.episodes))
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
            write_labels(self._bag, labels)
            self._labels = labels
        return self.state()

    def _counts(self) -> dict[str, int]:
        marks = list(self._labels.frames.values())
        return {"success": sum(marks), "failure": len(marks) - sum(marks)}
