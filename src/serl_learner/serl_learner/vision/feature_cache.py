# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Feature maps of a frozen backbone, computed once for every frame instead of once for every sample.

A frozen backbone answers the same image with the same features, so that replay can hold these in place of pixels.
Augmentation stays: of every frame some random shifts are kept, no two alike, and a sample draws one of them. Where all
that there are of `shift_padding` are kept, it draws as one does that shifts every sample anew.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections import OrderedDict
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from serl_learner.replay.joiner import Frame, Row
from serl_learner.vision import resnet10
from serl_learner.vision.augmentation import shift
from serl_learner.vision.backbone_file import Backbone
from serl_learner.vision.config import VisionConfig, VisionOptions

DTYPE = np.float16
_TOGETHER = 8  # frames a call: two compilations, for this many and for one
_REMEMBERED = 64  # frames; neighbouring rows share one

Key = tuple[str, int, int]


class FeatureCache:
    """Replaces the images of rows by feature maps.

    Shifts are drawn by the seed and the frame's place in its episode: whenever and in whatever order frames come,
    each gets the same.

    Args:
        options: Padding and number of shifts.
        config: Cameras and shapes of the feature maps.
        backbone: Frozen weights.
        seed: Seed of the shifts.
    """

    def __init__(self, options: VisionOptions, config: VisionConfig, backbone: Backbone, seed: int) -> None:
        self._padding = options.shift_padding
        self._places = 2 * options.shift_padding + 1  # where a shifted image may begin, along each side
        self._shifts = min(options.feature_shifts, self._places**2)
        self._cameras = tuple(camera for camera, _ in config.cameras)
        self._backbone = jax.device_put(backbone.leaves)
        self._seed = seed
        self._recent: OrderedDict[Key, Frame] = OrderedDict()
        self.shapes = {
            camera: (self._shifts, *config.feature_shape(shape)) for camera, shape in config.cameras
        }
        """Of what stands in place of an image: (shifts, height, width, channels) by camera."""

    def encode(self, rows: list[Row]) -> list[Row]:
        """Return rows with float16 feature maps in place of images, see `shapes`."""
        found: dict[Key, Frame] = dict(self._recent)
        missing: dict[Key, Frame] = {}
        for row in rows:
            for key, frame in _frames(row):
                if key not in found:
                    missing[key] = frame
        keys = list(missing)
        whole = len(keys) - len(keys) % _TOGETHER
        parts = [keys[i : i + _TOGETHER] for i in range(0, whole, _TOGETHER)] + [
            [key] for key in keys[whole:]
        ]
        for part in parts:
            for key, frame in self._compute(part, [missing[key] for key in part]).items():
                found[key] = self._recent[key] = frame
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return [
            dataclasses.replace(row, frame=found[key], next_frame=found[next_key])
            for row in rows
            for (key, _), (next_key, _) in [_frames(row)]
        ]

    def _compute(self, keys: list[Key], frames: list[Frame]) -> dict[Key, Frame]:
        maps = {}
        for camera in self._cameras:
            images = np.stack([frame.images[camera] for frame in frames])
            corners = np.stack([self._corners(camera, key) for key in keys])
            maps[camera] = np.asarray(_shifted_features(self._backbone, images, corners, self._padding))
        return {
            key: dataclasses.replace(frame, images={camera: maps[camera][i] for camera in self._cameras})
            for i, (key, frame) in enumerate(zip(keys, frames, strict=True))
        }

    def _corners(self, camera: str, key: Key) -> np.ndarray:
        env_id, episode, step = key
        entropy = (self._seed, zlib.crc32(env_id.encode()), episode, step, zlib.crc32(camera.encode()))
        chosen = np.random.default_rng(entropy).choice(self._places**2, self._shifts, replace=False)
        return np.stack(np.divmod(chosen, self._places), axis=-1).astype(np.int32)


def _frames(row: Row) -> tuple[tuple[Key, Frame], tuple[Key, Frame]]:
    return ((*row.episode, row.step), row.frame), ((*row.episode, row.step + 1), row.next_frame)


@partial(jax.jit, static_argnums=3)
def _shifted_features(
    backbone: resnet10.Leaves, images: jax.Array, corners: jax.Array, padding: int
) -> jax.Array:
    """Return (frames, shifts, height, width, channels) for images (frames, ...) and corners (frames, shifts, 2)."""
    frames, shifts, _ = corners.shape
    repeated = jnp.repeat(images, shifts, axis=0)
    maps = resnet10.features(backbone, shift(repeated, corners.reshape(-1, 2), padding))
    return maps.reshape(frames, shifts, *maps.shape[1:]).astype(DTYPE)
