# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A task's own image backbone: rendered scenes in, a file of weights out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serl_bringup.progress import RunStatus
from serl_bringup.tasks import Task
from serl_core.errors import ConfigError
from serl_core.plugins import load
from serl_env_node.arm_environment import state_specs
from serl_env_node.config import EnvConfig
from serl_learner.vision.backbone_file import backbone_bytes
from serl_learner.vision.config import PretrainingConfig

STAGE = "pre-training"
_SHOWN_EVERY = 50  # scenes


def pretrain_backbone(
    task: Task, path: Path, seed: int, report: Callable[[RunStatus], None]
) -> dict[str, Any]:
    """Train a ResNet-10 on scenes of a task and write it, in one piece, as safetensors.

    Args:
        task: Its `pretrain` node says how, its `env` node what; ConfigError unless its arm is one that can be posed.
        path: File to write.
        seed: Of scenes and weights.
        report: Told about progress.

    Returns:
        Facts for a summary: digest, origin, seconds, scenes, loss before and after, median errors [m] and [rad].
    """
    from serl_learner.vision.pretraining import pretrain
    from serl_sim.posed_scenes import PosableArm, posed_scenes

    config = task.config("pretrain", PretrainingConfig)
    env = task.config("env", EnvConfig)
    arm_class = load(env.arm, "arm") if env.arm else None
    arm = arm_class.from_parameters(task.config("env", arm_class.Config)) if arm_class else None
    if not isinstance(arm, PosableArm):
        raise ConfigError(
            f"task {task.name} has no simulated scene to pre-train on: set learner.resnet10_weights to a file,"
            " or learner.encoder=small"
        )
    began = time.monotonic()

    def show(text: str, fraction: float) -> None:
        elapsed = time.monotonic() - began
        left = elapsed * (1.0 / fraction - 1.0)
        report(RunStatus(stage=STAGE, elapsed_s=elapsed, time_left_s=left, fraction=fraction, health=text))

    def rendered(done: int) -> None:
        if done % _SHOWN_EVERY == 0 or done == config.scenes:
            show(f"{done} of {config.scenes} scenes rendered", 0.2 * done / config.scenes)

    images, poses = posed_scenes(arm, env, config.scenes, seed, rendered)
    arm.close()
    scale = next(np.broadcast_to(a.scale, a.shape) for a in state_specs(env) if a.name == "goal_pose")
    trained = pretrain(
        config,
        images,
        poses,
        scale,
        seed,
        f"task {env.task}",
        lambda text, fraction: show(text, 0.2 + 0.8 * fraction),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(backbone_bytes(trained.backbone))
    os.replace(unfinished, path)
    return {
        "file": str(path),
        "digest": trained.backbone.digest,
        "origin": trained.backbone.origin,
        "filters": list(config.filters),
        "scenes": config.scenes,
        "updates": config.updates,
        "seconds": time.monotonic() - began,
        "loss_first": trained.losses[0],
        "loss_last": float(np.mean(trained.losses[-20:])),
        "median_error_m": trained.errors[:3].tolist(),
        "median_error_rad": trained.errors[3:].tolist(),
    }
