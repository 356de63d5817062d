# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The desk at which a person records: cameras live, episodes to keep or to discard, frames to mark."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from serl_bringup.page.pictures import frame_and_camera
from serl_core.errors import BagError, ConfigError
from serl_core.pictures import png
from serl_core.types import EpisodeSummary, Observation
from serl_learner.bag.labels import FrameKey, LabelFile, Labels, edit_labels

REMEMBERED_FRAMES = 100
"""The newest frames, which a page may still show when a person clicks: ten seconds at 10 Hz."""


class RecordingDesk:
    """What a recording has come to. Its bag is never edited: what is discarded is labelled a failure beside it.

    Args:
        bag: Where the recorder writes.
        wanted: Demonstrations to record.
    """

    page = "record.html"

    def __init__(self, bag: Path, wanted: int) -> None:
        self._bag, self._wanted = bag, wanted
        self._lock = threading.Lock()
        self._file = LabelFile(bag)
        self._labels = self._file.read()
        self._episodes: list[EpisodeSummary] = []
        self._frames: dict[FrameKey, Observation] = {}
        self._finished = False

    # From the graph.

    def observe(self, env_id: str, observation: Observation) -> None:
        """Take in what the cameras see now."""
        with self._lock:
            self._frames[FrameKey(env_id, observation.episode_id, observation.step)] = observation
            if len(self._frames) > REMEMBERED_FRAMES:
                del self._frames[next(iter(self._frames))]

    def end_episode(self, episode: EpisodeSummary) -> None:
        """Take in an episode that ended."""
        with self._lock:
            self._episodes.append(episode)

    def kept(self) -> int:
        """Count the demonstrations: episodes that succeeded and were not discarded, or were said to have succeeded."""
        with self._lock:
            labels = self._present_labels()
            return sum(_success(episode, labels) for episode in self._episodes)

    def finished(self) -> bool:
        """Whether the person said that these are the demonstrations."""
        return self._finished

    # From the page.

    def state(self) -> Mapping[str, Any]:
        """Return the progress, the episodes, and the newest frame: an episode's last one until the next begins."""
        with self._lock:
            labels = self._present_labels()
            key, seen = next(reversed(self._frames.items()), (None, None))
            return {
                "bag": str(self._bag),
                "wanted": self._wanted,
                "kept": sum(_success(episode, labels) for episode in self._episodes),
                "finished": self._finished,
                "cameras": [] if seen is None else list(seen.images),
                "frame": None if key is None else {**_named(key), "label": labels.frames.get(key)},
                "marked": labels.counts(),
                "episodes": [
                    {
                        "env": episode.env_id,
                        "episode": episode.episode_id,
                        "steps": episode.steps,
                        "seconds": round(episode.duration, 2),
                        "end": episode.end_reason,
                        "success": episode.success,
                        "label": labels.episodes.get((episode.env_id, episode.episode_id)),
                    }
                    for episode in self._episodes
                ],
            }

    def picture(self, path: str) -> bytes | None:
        """Return the image of "env/episode/step/camera", while that frame is remembered."""
        named = frame_and_camera(path)
        if named is None:
            return None
        key, camera = named
        with self._lock:
            seen = self._frames.get(key)
        return None if seen is None or camera not in seen.images else png(seen.images[camera])

    def click(self, what: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what was clicked.

        {"do": "keep" | "discard" | "undo", "env": ..., "episode": ...} judges an episode that ended;
        {"do": "success" | "failure", "env": ..., "episode": ..., "step": ...} marks the frame that the page shows;
        {"do": "finish"} ends the recording.
        """
        do = what.get("do")
        if do == "finish":
            if not self.kept():
                raise ConfigError("no demonstration is kept yet: Ctrl-C in the terminal ends without any")
            self._finished = True
            return self.state()
        with edit_labels(self._bag) as labels:
            if do in ("success", "failure"):
                labels.frames[self._remembered(what)] = do == "success"
            elif do in ("keep", "discard", "undo"):
                key = self._ended(what)
                if do == "undo":
                    labels.episodes.pop(key, None)
                else:
                    labels.episodes[key] = do == "keep"
            else:
                raise ConfigError(f"that click is not understood: {do!r}")
        return self.state()

    def _remembered(self, what: Mapping[str, Any]) -> FrameKey:
        try:
            key = FrameKey(str(what["env"]), int(what["episode"]), int(what["step"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError("that click names no frame: wait until one is shown") from error
        with self._lock:
            if key not in self._frames:
                raise ConfigError(
                    f"step {key.step} of episode {key.episode_id} is not remembered any more:"
                    " mark it with ./serl label when the recording has ended"
                )
        return key

    def _ended(self, what: Mapping[str, Any]) -> tuple[str, int]:
        with self._lock:
            episodes = list(self._episodes)
        for episode in episodes:
            if (episode.env_id, episode.episode_id) == (what.get("env"), what.get("episode")):
                return episode.env_id, episode.episode_id
        raise ConfigError("that episode has not ended yet")

    def _present_labels(self) -> Labels:
        """Return the labels, whoever gave them; damage of their file is told where somebody clicks."""
        with suppress(BagError):
            self._labels = self._file.read()
        return self._labels


def _named(key: FrameKey) -> dict[str, Any]:
    return {"env": key.env_id, "episode": key.episode_id, "step": key.step}


def _success(episode: EpisodeSummary, labels: Labels) -> bool:
    return labels.episodes.get((episode.env_id, episode.episode_id), episode.success)
