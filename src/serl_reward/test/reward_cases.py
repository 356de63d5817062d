# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Recordings of a toy task with cameras: success is a bright square in the middle of the picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message

from serl_core import codec
from serl_core.specs import ArraySpec, EnvSpec, env_spec_to_json
from serl_core.types import Observation, Source, Transition
from serl_learner.bag import BagWriter
from serl_learner.bag.labels import FrameKey, Labels, write_labels
from serl_reward.classifier.frames import LabelledFrames

SIZE = 24
CAMERAS = ("wrist_1", "wrist_2")


def spec(cameras: tuple[str, ...] = CAMERAS, size: int = SIZE) -> EnvSpec:
    """Return the toy task's specification."""
    images = tuple(ArraySpec(name, (size, size, 3), "uint8", "rgb") for name in cameras)
    state = (ArraySpec("goal_pose", (6,), unit="goal in tcp frame: m, rotation vector rad"),)
    return EnvSpec("toy", state, images, 2, "none", ("goal_pose",), 0.1, 100)


def picture(rng: np.random.Generator, success: bool, size: int = SIZE) -> np.ndarray:
    """Return a noisy picture with a bright square: in the middle, or well off it."""
    pixels = rng.integers(0, 60, (size, size, 3), np.uint8)
    side, middle = size // 4, size // 2 - size // 8
    corner = np.array([middle, middle])
    if not success:
        angle = rng.uniform(0, 2 * np.pi)
        corner = corner + np.round(
            rng.uniform(0.25, 0.36) * size * np.array([np.sin(angle), np.cos(angle)])
        ).astype(int)
    row, column = corner + rng.integers(-1, 2, 2)
    pixels[row : row + side, column : column + side] = rng.integers(150, 256, 3, np.uint8)
    return pixels


def observation(of: EnvSpec, episode: int, step: int, success: bool) -> Observation:
    """Return the toy task's observation; its pose says what its pictures show."""
    images = {}
    for i, camera in enumerate(of.images):
        images[camera.name] = picture(np.random.default_rng([episode, step, i]), success, camera.shape[0])
    goal = np.array([0.0 if success else 0.05, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32)
    return Observation(episode, step, 0.1 * step, {"goal_pose": goal}, images)


def episode(
    of: EnvSpec, number: int, verdicts: Iterable[bool], env_id: str = "toy-1", first_sequence: int = 1
) -> list[Transition]:
    """Return an episode whose observations, from the first on, show what `verdicts` says."""
    seen = [observation(of, number, step, success) for step, success in enumerate(verdicts)]
    last = len(seen) - 2
    return [
        Transition(
            task=of.task,
            env_id=env_id,
            sequence=first_sequence + step,
            episode_id=number,
            step=step,
            policy_version=0,
            source=Source.HUMAN,
            source_detail="toy",
            action=np.zeros(of.action_size, np.float32),
            reward=0.0,
            reward_source="none",
            discount=1.0,
            last=step == last,
            success=False,
            next_observation=following,
            first_observation=seen[0] if step == 0 else None,
        )
        for step, following in enumerate(seen[1:])
    ]


def record(path: Path, transitions: Iterable[Transition], of: EnvSpec) -> Path:
    """Write transitions to a bag."""
    topics = {"/transition": ("serl_msgs/msg/Transition", False)}
    with BagWriter(path, topics, {"env_spec": env_spec_to_json(of), "task": of.task}) as bag:
        for transition in transitions:
            bag.write(
                "/transition", transition.sequence, serialize_message(codec.to_transition(of, transition))
            )
    return path


def labelled_bag(
    path: Path,
    episodes: int = 6,
    failures: int = 14,
    successes: int = 6,
    env_id: str = "toy-1",
    of: EnvSpec | None = None,
    wrong: Iterable[FrameKey] = (),
) -> Path:
    """Write a bag of episodes that fail first and succeed then, with labels, those of `wrong` turned round."""
    of = of or spec()
    verdicts = [False] * failures + [True] * successes
    transitions: list[Transition] = []
    labels = Labels()
    for number in range(episodes):
        transitions += episode(of, number, verdicts, env_id, len(transitions) + 1)
        labels.frames.update({FrameKey(env_id, number, step): v for step, v in enumerate(verdicts)})
    for key in wrong:
        labels.frames[key] = not labels.frames[key]
    record(path, transitions, of)
    write_labels(path, labels)
    return path


def toy_frames(
    rng: np.random.Generator, episodes: int, per_episode: int, successes: int, size: int = SIZE
) -> LabelledFrames:
    """Return labelled frames of both cameras without a bag; the last `successes` of each episode succeed."""
    success = np.tile(np.arange(per_episode) >= per_episode - successes, episodes)
    images = {c: np.stack([picture(rng, bool(s), size) for s in success]) for c in CAMERAS}
    keys = tuple(FrameKey("toy-1", e, t) for e in range(episodes) for t in range(per_episode))
    return LabelledFrames(images, success, keys, ("toy",) * len(keys))
