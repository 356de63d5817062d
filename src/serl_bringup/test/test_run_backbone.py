# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The backbone of a run: which one it is, and that learner and actor are given the same."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
from rich.console import Console
from scipy.spatial.transform import Rotation

from serl_bringup import pipeline
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.progress import Progress
from serl_bringup.run_folder import RunFolder
from serl_bringup.tasks import load_task
from serl_core.errors import ConfigError
from serl_env_node.frames import Pose
from serl_learner.vision.backbone_file import load_backbone


@dataclass(frozen=True)
class FlatArmConfig:
    """Has no settings."""


class FlatArm:
    """An arm of which only the pictures matter: their brightness is its height."""

    Config = FlatArmConfig

    def __init__(self):
        self.goal = Pose(np.zeros(3), Rotation.identity())

    @classmethod
    def from_parameters(cls, config):
        return cls()

    def images_at(self, X_BE):
        brightness = np.uint8(np.clip(255 * X_BE.position[2] / 0.1, 0, 255))
        return {name: np.full((16, 16, 3), brightness, np.uint8) for name in ("wrist_1", "wrist_2")}

    def close(self):
        pass


SMALL = ("pretrain.filters=[4,4,4,4]", "pretrain.scenes=20", "pretrain.updates=2", "pretrain.batch_size=4")


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A function from settings to the task with its backbone, and what the summary says about it."""
    monkeypatch.chdir(tmp_path)
    shown = io.StringIO()

    def prepare(*settings, node="learner", resume=False):
        task = load_task("pcb_insertion", [f"arm={__name__}:FlatArm", *SMALL, *settings], SCHEMAS)
        with (
            RunFolder.create(tmp_path / "run", "pcb_insertion", resume=resume) as folder,
            Progress(Console(file=shown, width=200)) as progress,
        ):
            return *pipeline._with_backbone(task, node, folder, 0, progress), folder, shown.getvalue()

    return prepare


def test_a_run_from_images_trains_its_backbone_once_and_both_sides_get_it(prepared):
    task, facts, folder, shown = prepared("obs=image")
    assert (facts["encoder"], facts["origin"]) == ("resnet10", "task pcb_insertion")
    assert facts["digest"] == load_backbone(folder.backbone).digest
    for node in ("learner", "actor"):
        assert task.parameters[node]["resnet10_weights"] == str(folder.backbone)
    assert "pre-training" in shown and "scenes rendered" in shown
    *_, again = prepared("obs=image", resume=True)[:2]
    assert again == facts


def test_a_file_that_is_named_is_taken(prepared, tmp_path):
    _, made, folder, _ = prepared("obs=image", node="bc")
    file = folder.backbone.rename(tmp_path / "mine.safetensors")
    (tmp_path / "run").rename(tmp_path / "earlier")
    task, facts, folder, _ = prepared("obs=image", f"learner.resnet10_weights={file}")
    assert facts["digest"] == made["digest"] and "pretrain_seconds" not in facts
    assert not folder.backbone.exists() and task.parameters["actor"]["resnet10_weights"] == str(file)


@pytest.mark.parametrize(
    ("settings", "encoder"), [((), "none"), (("obs=image", "learner.encoder=small"), "small")]
)
def test_a_run_that_needs_no_backbone_says_so(prepared, settings, encoder):
    _, facts, folder, _ = prepared(*settings)
    assert facts == {"encoder": encoder} and not folder.backbone.exists()


def test_an_arm_that_cannot_be_posed_is_told_what_to_do(prepared, monkeypatch):
    monkeypatch.delattr(FlatArm, "images_at")
    with pytest.raises(ConfigError, match="set learner.resnet10_weights"):
        prepared("obs=image")
