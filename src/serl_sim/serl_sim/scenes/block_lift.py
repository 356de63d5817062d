# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Grasp a block on the board and lift it: the smallest task that needs a gripper (HIL-SERL, 3.3, gripper control)."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from serl_sim.scenes import workcell
from serl_sim.scenes.arm import FINGERS, add_fingers
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig

BLOCK_M = (0.024, 0.024, 0.030)
BLOCK_KG = 0.04
OPEN_M = 0.08
GRIP_N = 20.0
FINGER_BELOW_TCP_M = 0.008
GRASP_HEIGHT_M = 0.016
"""Of the tcp over the board when the block is grasped."""
LIFT_M = 0.05

# The block meets the board and the fingers; these meet both, and not each other.
_BLOCK_MASK = {"contype": 1, "conaffinity": 2}
_FINGER_MASK = {"contype": 3, "conaffinity": 0}


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("block_lift", config)
    tip_z = TCP_IN_HAND_M + FINGER_BELOW_TCP_M
    add_fingers(spec, hand, OPEN_M, tip_z, GRIP_N, **_FINGER_MASK, **config.contact())
    workcell.add_tcp(hand, TCP_IN_HAND_M)
    workcell.add_board(spec, config, colour=(0.2, 0.22, 0.25, 1.0))
    x, y, z = config.socket_position
    yaw = Rotation.from_euler("z", config.socket_yaw)
    block = spec.worldbody.add_body(
        name="block", pos=[x, y, z + BLOCK_M[2] / 2], quat=np.roll(yaw.as_quat(), 1)
    )
    block.add_freejoint(name="block")
    block.add_geom(
        name="block",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[side / 2 for side in BLOCK_M],
        mass=BLOCK_KG,
        rgba=[0.85, 0.2, 0.15, 1],
        **_BLOCK_MASK,
        **config.contact(),
    )
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None.

    The goal is the tcp where the block is grasped. The block belongs `LIFT_M` above the place where it stands.
    """
    config = config or SceneConfig()
    R_BS = Rotation.from_euler("z", config.socket_yaw)
    x, y, z = config.socket_position
    lifted = np.array([x, y, z + BLOCK_M[2] / 2 + LIFT_M])

    def part_offset(_: mujoco.MjModel, data: mujoco.MjData) -> NDArray[np.float64]:
        return R_BS.inv().apply(data.body("block").xpos - lifted)

    return workcell.finish(
        specify(config),
        config,
        OPEN_M,
        FINGERS,
        goal_in_socket=(0.0, 0.0, GRASP_HEIGHT_M),
        part_offset=part_offset,
    )
