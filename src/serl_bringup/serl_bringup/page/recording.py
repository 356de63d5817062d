# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The desk at which a person records: cameras live, episodes to keep or to discard, frames to mark."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serl_core.errors import ConfigError
from serl_core.pictures import png
from serl_core.types import EpisodeSummary, Observation
from serl_learner.bag.labels import FrameKey, Labels, read_labels, write_labels


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
        self._labels = read_labels(bag) if bag.is_dir() else Labels()
        self._episodes: list[EpisodeSummary] = []
        self._observation: Observation | None = None
        self._env_id = ""

    # From the graph.

    def observe(self, env_id: str, observation: Observation) -> None:
        """Take in what the cameras see now."""
        with self._lock:
            self._env_id, self._observation = env_id, observation

    def end_episode(self, episode: EpisodeSummary) -> None:
        """Take in an episode that ended."""
        with self._lock:
            self._episodes.append(episode)

    def kept(self) -> int:
        """Count the demonstrations: episodes that succeeded and were not discarded, or were said to have succeeded."""
        with self._lock:
            return sum(self._success(episode) for episode in self._episodes)

    # From the page.

    def state(self) -> Mapping[str, Any]:
        """Return the progress, the episodes, and which observation the pictures are of."""
        with self._lock:
            seen = self._observation
            marks = list(self._labels.frames.values())
            return {
                "bag": str(self._bag),
                "wanted": self._wanted,
                "kept": sum(self._success(episode) for episode in self._episodes),
                "cameras": [] if seen is None else list(seen.images),
                "episode": None if seen is None else seen.episode_id,
                "step": None if seen is None else seen.step,
                "marked": {"success": sum(marks), "failure": len(marks) - sum(marks)},
                "episodes": [
                    {
                        "env": episode.env_id,
                        "episode": episode.episode_id,
                        "steps": episode.steps,
                        "seconds": round(episode.duration, 2),
                        "end": episode.end_reason,
                        "success": episode.success,
                        "label": self._labels.episodes.get((episode.env_id, episode.episode_id)),
                    }
                    for episode in self._episodes
                ],
            }

    def picture(self, path: str) -> bytes | None:
        """Return what the camera of that name sees now."""
        seen = self._observation
        if seen is None or path not in seen.images:
            return None
        return png(seen.images[path])

    def click(self, what: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what was clicked.

        {"do": "keep" | "discard" | "undo", "env": ..., "episode": ...} judges an episode that ended;
        {"do": "success" | "failure"} marks the frame that the cameras show.
        """
        do = what.get("do")
        with self._lock:
            labels = Labels(dict(self._labels.frames), dict(self._labels.episodes))
            if do in ("success", "failure"):
                if self._observation is None:
                    raise ConfigError("there is no frame to mark yet")
                seen = self._observation
                labels.frames[FrameKey(self._env_id, seen.episode_id, seen.step)] = do == "success"
            elif do in ("keep", "discard", "undo"):
                key = self._ended(what)
                if do == "undo":
                    labels.episodes.pop(key, None)
                else:
                    labels.episodes[key] = do == "keep"
            else:
                raise ConfigError(f"that click is not understood: {do!r}")
            write_labels(self._bag, labels)
            self._labels = labels
        return self.state()

    def _ended(self, what: Mapping[str, Any]) -> tuple[str, int]:
        for episode in self._episodes:
            if (episode.env_id, episode.episode_id) == (what.get("env"), what.get("episode")):
                return episode.env_id, episode.episode_id
        raise ConfigError("that episode has not ended yet")

    def _success(self, episode: EpisodeSummary) -> bool:
        return self._labels.episodes.get((episode.env_id, episode.episode_id), episode.success)
