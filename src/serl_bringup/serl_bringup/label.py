# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What `./serl label` does: success and failure for the frames of a bag, by a person or by a task's reward."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from pathlib import Path

from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.page.labelling import LabellingDesk
from serl_bringup.page.server import PageServer
from serl_bringup.tasks import load_task
from serl_core.errors import ConfigError
from serl_learner.bag.labels import Labels, edit_labels, label_by_reward, labels_path, read_labels
from serl_learner.bag.reader import read_spec
from serl_learner.recording import read_episodes
from serl_reward.assembly import make_reward


def label_by_hand(bag: Path, port: int, note: Callable[[str], None]) -> str:
    """Serve the page until Ctrl-C; return what is labelled then. Every click is on the disk at once."""
    desk = LabellingDesk(bag, note)
    with PageServer(desk, port) as server:
        note(f"open {server.address} in a browser; Ctrl-C here when done")
        with suppress(KeyboardInterrupt):
            signal.pause()
    return f"{labels_path(bag)}: {desk.summary()}"


def label_episode(bag: Path, success: bool, episode_id: int | None = None) -> str:
    """Put a person's word on an episode of a recording, which may still be going on; return what was said of which.

    A learner that writes the bag heeds it within a second; everything else heeds it where it reads the bag.

    Args:
        bag: Recording.
        success: The word.
        episode_id: Which, of the environment that ended one of this number last; None: the last that ended.

    ConfigError where no such episode has ended.
    """
    ended = [(each.env_id, each.episode_id) for each in read_episodes(bag)]
    named = [each for each in ended if episode_id in (None, each[1])]
    if not named:
        wanted = "" if episode_id is None else f" {episode_id}"
        raise ConfigError(f"{bag} has no episode{wanted} that ended; it has {len(ended)}")
    with edit_labels(bag) as labels:
        labels.episodes[named[-1]] = success
    return f"{labels_path(bag)}: episode {named[-1][1]} of {named[-1][0]} is a {'success' if success else 'failure'}"


def label_by_ground_truth(
    bag: Path, reward: str = "", settings: Sequence[str] = (), replace: bool = False
) -> str:
    """Label every frame of a bag by a reward that needs no camera; return what is labelled then.

    Args:
        bag: Recording of a task, with the state arrays that the reward reads.
        reward: "module:Class"; "": the task's own.
        settings: "key=value" over the task's parameters, such as a tolerance stricter than the evaluation's.
        replace: Put them in the place of frames that are labelled; what was said of episodes stays in any case.

    ConfigError where frames are labelled already and shall stay, or the reward is itself learned from images.
    """
    _refuse_labelled(bag, {} if replace else read_labels(bag).frames)
    spec = read_spec(bag)
    if spec is None:
        raise ConfigError(f"{bag} does not say which task it is of: record it with ./serl demos or run")
    task = load_task(spec.task, [*settings, *([f"env.reward={reward}"] if reward else [])], SCHEMAS)
    name = task.parameters["env"]["reward"]
    made = make_reward(name, lambda cls: task.config("env", cls))
    if made.cameras:
        raise ConfigError(
            f"{name} is itself a verdict on images: name a ground truth with --reward MODULE:CLASS"
        )
    frames = label_by_reward(bag, made).frames
    with edit_labels(bag) as labels:
        _refuse_labelled(bag, {} if replace else labels.frames)  # somebody may have begun meanwhile
        labels.frames.clear()
        labels.frames.update(frames)
    counts = Labels(frames).counts()
    return f"{labels_path(bag)}: {counts['success']} frames of success, {counts['failure']} of failure"


def _refuse_labelled(bag: Path, frames: Sized) -> None:
    if frames:
        raise ConfigError(
            f"{bag} has {len(frames)} labelled frames already: --replace makes others in their place"
        )
