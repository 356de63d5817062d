# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What people say about a recording: success or failure of frames and of episodes, in a file of the bag.

    BAG/labels.json, or X.labels.json beside a single X.mcap:
    {"serl_labels": 1,
     "frames":   {"<env_id>": {"<episode_id>": {"<step>": true}}},
     "episodes": {"<env_id>": {"<episode_id>": false}}}

`step` is that of the observation, 0 for an episode's first; true is success. The bag itself is never edited: a
transition stays as it left the environment, and a person's word on an episode, which may come late, is put into
effect wherever transitions are read (`relabelled`).

Several processes may label one bag: each locks BAG/labels.json.lock while it changes the file (`edit_labels`).
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from serl_core.errors import BagError
from serl_core.interfaces import RewardFn
from serl_core.specs import EnvSpec
from serl_core.types import Observation, Transition
from serl_learner.bag.mcap_file import ReadReport
from serl_learner.bag.reader import read_transitions

VERSION = 1

HUMAN = "human"
"""Source of a reward that a person gave."""


class FrameKey(NamedTuple):
    """Names one observation wherever it is stored."""

    env_id: str
    episode_id: int
    step: int

    @property
    def episode(self) -> tuple[str, int]:
        """Name of its episode."""
        return self.env_id, self.episode_id


@dataclass
class Labels:
    """Success (True) or failure (False) of frames and of whole episodes; what is not in here has no label."""

    frames: dict[FrameKey, bool] = field(default_factory=dict)
    episodes: dict[tuple[str, int], bool] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return how many frames are a "success" and how many a "failure"."""
        successes = sum(self.frames.values())
        return {"success": successes, "failure": len(self.frames) - successes}

    def to_json(self) -> str:
        """Serialise, sorted, so that equal labels are equal files."""
        frames: dict[str, dict[str, dict[str, bool]]] = {}
        for key, success in sorted(self.frames.items()):
            frames.setdefault(key.env_id, {}).setdefault(str(key.episode_id), {})[str(key.step)] = success
        episodes: dict[str, dict[str, bool]] = {}
        for (env_id, episode_id), success in sorted(self.episodes.items()):
            episodes.setdefault(env_id, {})[str(episode_id)] = success
        return json.dumps({"serl_labels": VERSION, "frames": frames, "episodes": episodes}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Labels:
        """Read what `to_json` wrote; ValueError if it is something else."""
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("serl_labels") != VERSION:
            raise ValueError(f'expected "serl_labels": {VERSION}')
        labels = cls()
        try:
            for env_id, episodes in document.get("frames", {}).items():
                for episode_id, steps in episodes.items():
                    for step, success in steps.items():
                        labels.frames[FrameKey(env_id, int(episode_id), int(step))] = _verdict(success)
            for env_id, episodes in document.get("episodes", {}).items():
                for episode_id, success in episodes.items():
                    labels.episodes[(env_id, int(episode_id))] = _verdict(success)
        except AttributeError as error:
            raise ValueError("frames and episodes must be objects by env_id, episode and step") from error
        return labels


def labels_path(bag: str | Path) -> Path:
    """Return where the labels of a bag folder, or of a single file of one, are kept."""
    bag = Path(bag)
    return bag.with_suffix(".labels.json") if bag.suffix in (".mcap", ".db3") else bag / "labels.json"


def read_labels(bag: str | Path) -> Labels:
    """Return the labels of a bag, none where it has no file of them; BagError for a damaged file."""
    path = labels_path(bag)
    try:
        return Labels.from_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return Labels()
    except (OSError, ValueError) as error:
        raise BagError(f"{path} is no file of labels: {error}") from error


class LabelFile:
    """The labels of a bag that people go on labelling, read again only when they changed."""

    def __init__(self, bag: str | Path) -> None:
        self._bag = bag
        self._stamp: tuple[int, int, int] | None = None
        self._labels = Labels()

    def read(self) -> Labels:
        """Return the present labels; BagError once for each damaged state of the file, then what was before it."""
        try:
            found = labels_path(self._bag).stat()
            # The time alone does not tell apart two files that were written within one tick of the kernel's clock.
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp = stamp
            self._labels = read_labels(self._bag)
        return self._labels


def write_labels(bag: str | Path, labels: Labels) -> Path:
    """Replace the labels of a bag at once, so that a reader never sees half of them; return their file.

    What others said is gone: where several may label one bag, `edit_labels` keeps it.
    """
    path = labels_path(bag)
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(labels.to_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise BagError(f"cannot write {path}: {error.strerror}") from error
    return path


@contextmanager
def edit_labels(bag: str | Path) -> Iterator[Labels]:
    """Give the present labels of a bag, to be changed in place; they are on the disk when the block is left.

    Nobody else can edit them meanwhile, in this process or in another; a block that raises changes nothing.
    BagError where the file is damaged or cannot be written.
    """
    path = labels_path(bag)
    try:
        lock = open(path.with_name(path.name + ".lock"), "w")  # noqa: SIM115 closed below, which unlocks it
    except OSError as error:
        raise BagError(f"cannot write {path}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        labels = read_labels(bag)
        yield labels
        write_labels(bag, labels)


def observations(bag: str | Path) -> Iterator[tuple[FrameKey, Observation]]:
    """Yield each observation of a bag once, in the order of writing; BagError if it is no bag.

    Episodes of one environment come one after the other; observations that a resend repeats are left out.
    """
    seen: set[FrameKey] = set()
    for transition in read_transitions(bag):
        for observation in (transition.first_observation, transition.next_observation):
            if observation is None:
                continue
            key = FrameKey(transition.env_id, observation.episode_id, observation.step)
            if key not in seen:
                seen.add(key)
                yield key, observation


def label_by_reward(bag: str | Path, reward: RewardFn) -> Labels:
    """Label every frame of a bag by what a reward says of it: ground truth for a simulated task's classifier.

    Args:
        bag: Recording whose observations hold what `reward` reads.
        reward: E.g. a PoseReward; reset at the start of every episode.
    """
    labels = Labels()
    episode = None
    for key, observation in observations(bag):
        if key.episode != episode:
            episode = key.episode
            reward.reset()
        labels.frames[key] = reward(observation.state, observation.images).success
    return labels


def judged_by_human(transition: Transition, success: bool) -> Transition:
    """Return an episode's last transition as a person judged the episode.

    Success is the task's true end: reward 1, discount 0. Failure is none: reward 0, and the return beyond is
    bootstrapped (discount 1) even if another reward had called it a success. Other transitions stay as they are.
    """
    if not transition.last:
        return transition
    reward, discount = human_reward(success)
    return dataclasses.replace(
        transition, reward=reward, reward_source=HUMAN, discount=discount, success=success
    )


def human_reward(success: bool) -> tuple[float, float]:
    """Return reward and discount of the last step of an episode that a person judged; see `judged_by_human`."""
    return (1.0, 0.0) if success else (0.0, 1.0)


def relabelled(
    transitions: Iterable[Transition], episodes: Mapping[tuple[str, int], bool]
) -> Iterator[Transition]:
    """Yield transitions in their order, those of labelled episodes as people judged them.

    Args:
        transitions: Of any number of environments.
        episodes: Success by (env_id, episode_id), as `Labels.episodes` holds it.
    """
    for transition in transitions:
        verdict = episodes.get((transition.env_id, transition.episode_id))
        yield transition if verdict is None else judged_by_human(transition, verdict)


def read_labelled_transitions(
    bag: str | Path, spec: EnvSpec | None = None, report: ReadReport | None = None
) -> Iterator[Transition]:
    """Yield the transitions of a bag as `read_transitions` does, labelled episodes as people judged them."""
    return relabelled(read_transitions(bag, spec, report), read_labels(bag).episodes)


def _verdict(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"a label must be true or false, got {value!r}")
    return value
