# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How long a verdict and a training take, with two cameras of 128 x 128 and a data set of the default size."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import Any

import numpy as np

from serl_learner.bag.labels import FrameKey
from serl_learner.vision.backbone_file import leaf_shapes, make_backbone
from serl_reward.classifier.calibration import Calibration
from serl_reward.classifier.classifier_training import train
from serl_reward.classifier.config import TrainingConfig
from serl_reward.classifier.frames import LabelledFrames, split_by_episode
from serl_reward.classifier.image_classifier import ImageClassifier, NetworkConfig

CAMERAS = ("wrist_1", "wrist_2")
SIZE = 128
RESNET10 = (64, 128, 256, 512)


def benchmark_classifier(calls: int = 300, config: TrainingConfig | None = None) -> dict[str, Any]:
    """Measure training on synthetic frames, then verdicts one by one.

    Args:
        calls: Verdicts timed for each encoder.
        config: Settings of the training; None: the defaults.

    Returns:
        "training_s" with reading excluded, "held_out_accuracy" on the toy task, and for the trained classifier
        ("small") and a ResNet-10 of random weights the latency of a verdict: "_p50_ms", "_p99_ms".
    """
    config = config or TrainingConfig()
    frames = synthetic_frames(config.positives, config.negatives, config.seed)
    held_out = split_by_episode(frames.episodes, frames.success, config.held_out, config.seed)
    result = train(frames, held_out, config, lambda _: None)
    small = _latencies(result.classifier, frames, calls)
    resnet = _latencies(_resnet_classifier(config), frames, calls)
    return {
        "training_s": result.seconds,
        "training_frames": int(np.count_nonzero(~held_out)),
        "held_out_accuracy": result.scores.accuracy,
        **{f"small_{name}": value for name, value in small.items()},
        **{f"resnet10_{name}": value for name, value in resnet.items()},
        "cores": os.cpu_count(),
        "settings": dataclasses.asdict(config),
    }


def synthetic_frames(positives: int, negatives: int, seed: int) -> LabelledFrames:
    """Return frames of a toy task of ten episodes: a plug over a slot, inserted or not, seen by two cameras."""
    rng = np.random.default_rng(seed)
    success = np.repeat([True, False], [positives, negatives])
    images = {camera: np.stack([_picture(rng, bool(s)) for s in success]) for camera in CAMERAS}
    keys = tuple(FrameKey("bench", i % 10, i // 10) for i in range(len(success)))
    return LabelledFrames(images, success, keys, ("bench",) * len(keys))


def _picture(rng: np.random.Generator, success: bool) -> np.ndarray:
    pixels = rng.integers(60, 100, (SIZE, SIZE, 3), np.uint8)
    row, column = 80 + rng.integers(-4, 5), 64 + rng.integers(-4, 5)
    pixels[row - 3 : row + 3, column - 20 : column + 20] = 20  # the slot
    off = (0, 0) if success else (-int(rng.integers(5, 50)), int(rng.integers(-25, 26)))
    top, left = max(0, row - 40 + off[0]), column - 18 + off[1]
    pixels[top : row + off[0], left : left + 36] = rng.integers(150, 255, 3, np.uint8)  # the plug
    return pixels


def _resnet_classifier(config: TrainingConfig) -> ImageClassifier:
    """Return an untrained classifier over a ResNet-10 of random weights: only its speed is of interest."""
    rng = np.random.default_rng(0)

    def random(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        return {name: 0.05 * rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}

    backbone = make_backbone(random(leaf_shapes(RESNET10)), "bench")
    shapes = dict.fromkeys(CAMERAS, (SIZE, SIZE, 3))
    network = NetworkConfig.of(shapes, config.filters, config.hidden_size, backbone)
    return ImageClassifier(network, random(network.leaf_shapes()), Calibration(), 0.5, backbone=backbone)


def _latencies(classifier: ImageClassifier, frames: LabelledFrames, calls: int) -> dict[str, float]:
    classifier.warm_up()
    seconds = []
    for i in range(calls):
        frame = {camera: pixels[i % len(frames)] for camera, pixels in frames.images.items()}
        began = time.perf_counter()
        classifier.probability(frame)
        seconds.append(time.perf_counter() - began)
    p50, p99 = 1e3 * np.percentile(seconds, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}
