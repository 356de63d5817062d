# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What every consumer of a scene may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from serl_sim.kinematics import ARM_JOINTS


@dataclass(frozen=True)
class Scene:
    """A compiled scene with the facts that a task needs; all poses are in the arm's base frame B.

    Attributes:
        model: the MuJoCo model; its first seven joints are the arm, its first seven actuators their torques
            [Nm]. Those that follow close the fingers of a gripper that moves, open at 0.
        q_home: joint positions to start from, shape (7,) [rad]; the tool points down above the goal.
        goal_position: p_BG, the tcp position when the task is done, shape (3,) [m].
        goal_quaternion_xyzw: R_BG as a unit quaternion, shape (4,).
        gripper_width: distance of the two fingers [m]: of a gripper that moves, when it is open, of another one,
            which is closed on its tool, for good.
        tcp_site: name of the site E whose pose is the tcp pose (z points out of the tool).
        tool_geoms: names of the geoms whose contacts make the measured wrench.
        cameras: names of the wrist cameras.
        part_offset: from the state of model and data (`mj_kinematics` done) how far the part is from where it
            belongs, shape (3,) [m], on the axes of the goal's place S (z up); zero when the task is done.
    """

    model: mujoco.MjModel
    q_home: NDArray[np.float64]
    goal_position: NDArray[np.float64]
    goal_quaternion_xyzw: NDArray[np.float64]
    gripper_width: float
    tcp_site: str
    tool_geoms: tuple[str, ...]
    cameras: tuple[str, ...]
    part_offset: Callable[[mujoco.MjModel, mujoco.MjData], NDArray[np.float64]]

    @property
    def has_gripper(self) -> bool:
        """Whether there is a gripper that opens and closes."""
        return self.model.nu > ARM_JOINTS

    def model_bytes(self) -> bytes:
        """The model in MuJoCo's binary form (MJB), to be loaded by the same MuJoCo version elsewhere."""
        buffer = np.empty(mujoco.mj_sizeModel(self.model), dtype=np.uint8)
        mujoco.mj_saveModel(self.model, None, buffer)
        return buffer.tobytes()
