# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Pictures of a scene with the tcp at random poses inside a task's safety box, and where the goal is in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.spatial.transform import Rotation

from serl_env_node.config import EnvConfig
from serl_env_node.frames import Pose

NEAREST = 0.03
"""Share of the box that the closest scenes come from."""


@runtime_checkable
class PosableArm(Protocol):
    """A simulated arm whose cameras can be shown at any pose, such as `SimulatedArm`."""

    goal: Pose

    def images_at(self, X_BE: Pose) -> Mapping[str, np.ndarray]:
        """Return what the cameras would see, uint8 (height, width, 3), with the tcp at a pose."""


def posed_scenes(
    arm: PosableArm, config: EnvConfig, count: int, seed: int, note: Callable[[int], None] = lambda done: None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Render scenes, more of them the closer the tcp is to the goal.

    Lateral distance, height and rotation are each uniform in a share of the safety box, and the shares are
    log-uniform: a millimetre matters at the socket, where a uniform draw would hardly come. Poses are set, not
    reached: the tool may overlap what it would touch.

    Args:
        arm: Who renders.
        config: Of the environment, for the box around the goal.
        count: Scenes.
        seed: Of the poses.
        note: Told how many are done.

    Returns:
        Images uint8 (count, height, width, 3) by camera, and the goal in the tcp frame (count, 6): position [m] and
        rotation vector [rad].
    """
    rng = np.random.default_rng(seed)
    images: dict[str, list[np.ndarray]] = {}
    poses = np.empty((count, 6), np.float32)
    for i in range(count):
        lateral, height, rotation = np.exp(rng.uniform(np.log(NEAREST), 0.0, 3))
        offset = rng.uniform(config.box_low, config.box_high) * [lateral, lateral, height]
        axis = rng.standard_normal(3)
        angle = config.box_rotation * rotation * rng.uniform()
        turn = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis))
        X_BE = Pose(arm.goal.position + offset, arm.goal.rotation * turn)
        for camera, image in arm.images_at(X_BE).items():
            images.setdefault(camera, []).append(image)
        poses[i] = (X_BE.inverse() * arm.goal).vector()
        note(i + 1)
    return {camera: np.stack(pictures) for camera, pictures in images.items()}, poses
