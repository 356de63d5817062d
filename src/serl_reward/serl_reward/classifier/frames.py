# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Labelled frames out of bags, and which of them training must not see."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serl_core.errors import ConfigError, SchemaError, suggest
from serl_learner.bag.labels import FrameKey, observations, read_labels

Episode = tuple[str, int]


@dataclass(frozen=True)
class LabelledFrames:
    """Images with verdicts, n of them.

    Attributes:
        images: uint8 (n, H, W, 3) by camera.
        success: bool (n,).
        keys: Which observation each is.
        bags: Which bag each comes from.
    """

    images: dict[str, np.ndarray]
    success: np.ndarray
    keys: tuple[FrameKey, ...]
    bags: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def episodes(self) -> list[Episode]:
        """The episode of each frame."""
        return [key.episode for key in self.keys]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """(H, W, 3) by camera."""
        return {camera: pixels.shape[1:] for camera, pixels in self.images.items()}

    def where(self, chosen: np.ndarray) -> LabelledFrames:
        """Return the frames that a mask (n,) or indices choose."""
        indices = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return LabelledFrames(
            {camera: pixels[indices] for camera, pixels in self.images.items()},
            self.success[indices],
            tuple(self.keys[i] for i in indices),
            tuple(self.bags[i] for i in indices),
        )


def read_labelled(
    bags: Sequence[str | Path],
    cameras: Sequence[str] = (),
    positives: int = 0,
    negatives: int = 0,
    seed: int = 0,
) -> LabelledFrames:
    """Read the labelled frames of bags.

    Args:
        bags: Recordings, each with labels (`serl_learner.bag.labels`).
        cameras: Those to take, in this order; empty: all that there are.
        positives, negatives: Most frames of each class, drawn evenly over the episodes; 0: all.
        seed: Of the draw.

    ConfigError for a bag without labels, labels of no frame of the bag, or a camera that it lacks; SchemaError for
    images of several sizes; BagError for what is no bag.
    """
    if not bags:
        raise ConfigError("no bag of labelled frames is given")
    by_bag = [read_labels(bag).frames for bag in bags]
    for bag, own in zip(bags, by_bag, strict=True):
        if not own:
            raise ConfigError(f"{bag} has no labels: mark its frames with ./serl label {bag}")
    labels = {key: success for own in by_bag for key, success in own.items()}
    chosen = _drawn(labels, positives, negatives, seed)
    images: dict[str, list[np.ndarray]] = {camera: [] for camera in cameras}
    keys: list[FrameKey] = []
    origins: list[str] = []
    for bag, own in zip(bags, by_bag, strict=True):
        found = False
        for key, observation in observations(bag):
            found = found or key in own
            if key not in chosen or key not in own:
                continue
            chosen.discard(key)  # a copy of it in another bag counts once
            if not cameras:
                cameras = tuple(observation.images)
                images = {camera: [] for camera in cameras}
            for camera in cameras:
                images[camera].append(_picture(observation.images, camera, images[camera], bag))
            keys.append(key)
            origins.append(str(bag))
        if not found:
            raise ConfigError(
                f"{bag}: none of its {len(own)} labels names a frame of it; was it recorded anew?"
            )
    if not cameras:
        raise ConfigError(f"{', '.join(map(str, bags))}: no images; record with cameras (obs=image)")
    return LabelledFrames(
        {camera: np.stack(pixels) for camera, pixels in images.items()},
        np.array([labels[key] for key in keys]),
        tuple(keys),
        tuple(origins),
    )


def joined(parts: Sequence[LabelledFrames]) -> LabelledFrames:
    """Return the frames of all parts, each frame once as the first part has it; SchemaError for several sizes."""
    for part in parts[1:]:
        for camera, shape in parts[0].shapes.items():
            if part.shapes[camera] != shape:
                raise SchemaError(
                    f"{part.bags[0]}: {camera} is {_size(part.shapes[camera])}, elsewhere {_size(shape)}"
                )
    known: set[FrameKey] = set()
    kept = []
    for part in parts:
        kept.append(part.where(np.array([key not in known for key in part.keys])))
        known.update(part.keys)
    return LabelledFrames(
        {camera: np.concatenate([part.images[camera] for part in kept]) for camera in parts[0].images},
        np.concatenate([part.success for part in kept]),
        tuple(key for part in kept for key in part.keys),
        tuple(bag for part in kept for bag in part.bags),
    )


def check_classes(success: np.ndarray, what: str) -> None:
    """Raise ConfigError unless both successes and failures occur."""
    if success.all() or not success.any():
        kind, other = (
            ("successes", "failures") if success.size and success.all() else ("failures", "successes")
        )
        raise ConfigError(
            f"{what}: all {success.size} labels are {kind}; label {other} too, a classifier needs both"
        )


def split_by_episode(
    episodes: Sequence[Episode],
    success: np.ndarray,
    fraction: float,
    seed: int,
    earlier: Collection[Episode] = (),
    earlier_held_out: Collection[Episode] = (),
) -> np.ndarray:
    """Return a mask (n,) of held-out frames; an episode is held out as a whole or not at all.

    Neighbouring frames of an episode are nearly equal: a split by frame would test on what was trained on.
    Episodes with and without success are split apart, each in an order that only `seed` and their names decide.

    Args:
        episodes: The episode of each frame.
        success: bool (n,).
        fraction: Share of the episodes to hold out, rounded up.
        seed: Of the order.
        earlier: Episodes of an earlier round; they stay on the side on which they were.
        earlier_held_out: Those of them that were held out.

    ConfigError if one side would lack a class.
    """
    successful = {episode for episode, label in zip(episodes, success, strict=True) if label}
    held_out = set(earlier_held_out)
    fresh = sorted(set(episodes) - set(earlier), key=lambda episode: _rank(seed, episode))
    for group in ([e for e in fresh if e in successful], [e for e in fresh if e not in successful]):
        held_out.update(group[: min(int(np.ceil(fraction * len(group))), len(group) - 1)])
    mask = np.array([episode in held_out for episode in episodes])
    for label, name in ((True, "successes"), (False, "failures")):
        sides = mask[success == label]
        if sides.all() or not sides.any():
            raise ConfigError(
                f"{name} occur on one side of the held-out split only, which is by episode:"
                f" label {name} in at least two episodes"
            )
    return mask


def _rank(seed: int, episode: Episode) -> str:
    return hashlib.sha256(f"{seed}:{episode[0]}:{episode[1]}".encode()).hexdigest()


def _drawn(labels: dict[FrameKey, bool], positives: int, negatives: int, seed: int) -> set[FrameKey]:
    rng = np.random.default_rng(seed)
    chosen: set[FrameKey] = set()
    for label, most in ((True, positives), (False, negatives)):
        keys = sorted(key for key, success in labels.items() if success is label)
        chosen.update(_spread(keys, rng)[: most or None])
    return chosen


def _spread(keys: Iterable[FrameKey], rng: np.random.Generator) -> list[FrameKey]:
    """Return the keys in such an order that every beginning of it takes evenly from all episodes."""
    by_episode: dict[Episode, list[FrameKey]] = defaultdict(list)
    for key in keys:
        by_episode[key.episode].append(key)
    ranked = []
    for own in by_episode.values():
        ranked += [(place, rng.random(), own[i]) for place, i in enumerate(rng.permutation(len(own)))]
    return [key for _, _, key in sorted(ranked)]


def _picture(
    images: dict[str, np.ndarray], camera: str, known: list[np.ndarray], bag: str | Path
) -> np.ndarray:
    if camera not in images:
        listing = ", ".join(sorted(images)) or "none"
        raise ConfigError(f"{bag} has no camera {camera!r}{suggest(camera, images)}; it has {listing}")
    pixels = images[camera]
    if known and pixels.shape != known[0].shape:
        raise SchemaError(f"{bag}: {camera} is {_size(pixels.shape)}, elsewhere {_size(known[0].shape)}")
    return pixels


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
