# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A task with two tiny cameras, and a ResNet-10 with few filters."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from learner_cases import SMALL, SPEC

from serl_core.specs import ArraySpec
from serl_learner.agents.config import RLPDConfig
from serl_learner.vision.backbone_file import Backbone, backbone_bytes, leaf_shapes, make_backbone

SIDE = 16
CAMERAS = ("left", "wrist")
SPEC_IMAGES = dataclasses.replace(
    SPEC,
    images=tuple(ArraySpec(name, (SIDE, SIDE, 3), "uint8", "rgb") for name in reversed(CAMERAS)),
    policy_keys=("position", *CAMERAS),
)
VISION = {"small_filters": (4, 6), "spatial_embeddings": 2, "bottleneck_size": 8, "proprio_size": 5}
FROM_SCRATCH = dataclasses.replace(SMALL, hidden_sizes=(16,), ensemble_size=2, **VISION)
FILTERS = (4, 4, 8, 12)


def backbone(seed: int = 0) -> Backbone:
    """Random frozen weights."""
    rng = np.random.default_rng(seed)
    leaves = {
        name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in leaf_shapes(FILTERS).items()
    }
    return make_backbone(leaves, "a test")


def frozen(folder: Path) -> RLPDConfig:
    """Settings of an agent on a ResNet-10 whose file this writes into `folder`."""
    path = folder / "resnet10.safetensors"
    path.write_bytes(backbone_bytes(backbone()))
    return dataclasses.replace(FROM_SCRATCH, encoder="resnet10", resnet10_weights=str(path))


def image_batches(updates: int, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Images of noise for `SPEC_IMAGES`, for both observations of every row."""
    rng = np.random.default_rng(seed)
    return {
        prefix + camera: rng.integers(0, 256, (updates, batch, SIDE, SIDE, 3), np.uint8)
        for camera in CAMERAS
        for prefix in ("", "next_")
    }
