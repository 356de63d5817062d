# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Press a deformable cable into a clip (SERL, Section V "Cable routing"; HIL-SERL, supplement A.4).

The cable is a chain of capsules with stiff, damped joints, which the gripper holds at one end. What lies in the
clip is bent away from the gripper by the clip's jaws, so that the tool's pose alone does not tell where it is.
"""

from __future__ import annotations

import itertools
import math

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from serl_sim.scenes import workcell
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig, Wall

CABLE_RADIUS_M = 0.0025
SEGMENT_M = 0.010
SEGMENTS = 8
BENDING_STIFFNESS = 0.15  # of each joint [Nm/rad]: 10 N at the clip bend the cable by some centimetres
BENDING_DAMPING = 0.003  # [Nm s/rad]
SEGMENT_KG = 0.001
REACH_M = 0.045  # from the gripper to the clip's middle
CLIP_DEPTH_M = 0.012
CLIP_LENGTH_M = 0.014
CHAMFER_M = 0.003
JAW_M = 0.006


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("cable_routing", config)
    held = workcell.add_held_part(hand, "held", 2 * CABLE_RADIUS_M, finger_tip_z=TCP_IN_HAND_M + 0.004)
    look = {"rgba": [0.85, 0.15, 0.1, 1], **workcell.PART_MASK, **config.contact()}
    body = held
    for number in range(SEGMENTS):
        body = body.add_body(name=f"cable{number}", pos=[SEGMENT_M if number else 0.0, 0, 0], gravcomp=1)
        for axis, direction in (("y", [0, 1, 0]), ("z", [0, 0, 1])):
            body.add_joint(
                name=f"cable{number}_{axis}",
                type=mujoco.mjtJoint.mjJNT_HINGE,
                axis=direction,
                stiffness=BENDING_STIFFNESS,
                damping=BENDING_DAMPING,
                armature=1e-6,
            )
        body.add_geom(
            name=f"cable{number}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=[0, 0, 0, SEGMENT_M, 0, 0],
            size=[CABLE_RADIUS_M, 0, 0],
            mass=SEGMENT_KG,
            **look,
        )
    board = workcell.add_board(spec, config, colour=(0.2, 0.22, 0.25, 1.0))
    inner = CABLE_RADIUS_M + config.clearance_m / 2
    jaws = [
        Wall(name, yaw, inner, CLIP_LENGTH_M / 2, CLIP_DEPTH_M, JAW_M, CHAMFER_M)
        for name, yaw in (("jaw_py", math.pi / 2), ("jaw_ny", -math.pi / 2))
    ]
    workcell.add_walls(board, jaws, config, colour=(0.95, 0.9, 0.2, 1))
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None.

    The goal is the gripper beside the clip, with a straight cable on the clip's floor.
    """
    config = config or SceneConfig()
    spec = specify(config)
    names = [f"cable{number}" for number in range(SEGMENTS)]
    R_BS = Rotation.from_euler("z", config.socket_yaw)

    def part_offset(model: mujoco.MjModel, data: mujoco.MjData) -> NDArray[np.float64]:
        """Where the cable crosses the clip's middle, from where it lies when seated."""
        bodies = [model.body(name).id for name in names]
        end = data.xpos[bodies[-1]] + data.xmat[bodies[-1]].reshape(3, 3)[:, 0] * SEGMENT_M
        joints = np.vstack([data.xpos[bodies], end]) - config.socket_position
        return crossing(R_BS.inv().apply(joints)) - [0.0, 0.0, CABLE_RADIUS_M]

    return workcell.finish(
        spec,
        config,
        2 * CABLE_RADIUS_M,
        names,
        goal_in_socket=(-REACH_M, 0.0, CABLE_RADIUS_M),
        part_offset=part_offset,
    )


def crossing(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where a polyline (n, 3) crosses the plane x = 0 first; its point nearest to the plane if it does not."""
    for a, b in itertools.pairwise(points):
        if min(a[0], b[0]) <= 0.0 <= max(a[0], b[0]) and a[0] != b[0]:
            return a + (b - a) * (a[0] / (a[0] - b[0]))
    return points[np.argmin(np.abs(points[:, 0]))]
