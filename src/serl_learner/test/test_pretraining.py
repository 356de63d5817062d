# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A ResNet-10 that is trained to tell where something is: what it learns, and what becomes of its weights."""

import numpy as np
import pytest

from serl_core.errors import ConfigError
from serl_learner.agents.config import RLPDConfig
from serl_learner.vision.backbone_file import backbone_bytes, load_backbone
from serl_learner.vision.config import PretrainingConfig
from serl_learner.vision.pretraining import pretrain

SIDE = 16
SCALE = np.array([0.5, 2.0])
CONFIG = PretrainingConfig(
    filters=(4, 4, 8, 8), scenes=600, updates=120, batch_size=16, learning_rate=5e-3, shift_padding=0
)


def squares(count):
    """Two cameras that see a bright square, one of them mirrored, and where it is."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, SIDE - 5, (count, 2))
    left = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    for image, (row, column) in zip(left, corners, strict=True):
        image[row : row + 5, column : column + 5] = (250, 200, 30)
    poses = (corners / (SIDE - 5) - 0.5) * SCALE
    return {"right": left[:, :, ::-1].copy(), "left": left}, poses


@pytest.fixture(scope="module")
def trained():
    said = []
    images, poses = squares(CONFIG.scenes)
    result = pretrain(CONFIG, images, poses, SCALE, 3, "task squares", lambda *line: said.append(line))
    return result, said, poses


def test_the_loss_falls_and_scenes_held_out_are_told_better_than_by_their_median(trained):
    result, _, poses = trained
    assert np.mean(result.losses[-10:]) < 0.6 * np.mean(result.losses[:5])
    guess = np.median(np.abs(poses - np.median(poses, 0)), 0)
    assert (result.errors / guess).mean() < 0.9, "in the poses' own units"


def test_progress_is_told_to_the_end(trained):
    _, said, _ = trained
    assert said[0][0].startswith("1 of 120 updates, loss ") and said[-1][1] == 1.0


def test_the_file_is_what_resnet10_weights_takes(trained, tmp_path):
    result, _, _ = trained
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(backbone_bytes(result.backbone))
    loaded = load_backbone(path)
    assert loaded.filters == CONFIG.filters
    assert (loaded.digest, loaded.origin) == (result.backbone.digest, "task squares")
    assert RLPDConfig(encoder="resnet10", resnet10_weights=str(path)).resnet10_weights == str(path)


def test_filters_must_suit_the_groups_of_the_normalisation():
    with pytest.raises(ConfigError, match="multiples of 4"):
        PretrainingConfig(filters=(4, 6, 8, 8))
