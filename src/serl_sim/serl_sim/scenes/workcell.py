# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the scenes share: the arm over a table, a board on it, a part in the closed gripper, two wrist cameras.

S is the frame of the place where the part belongs: its origin on the board's upper face, z up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from serl_sim.kinematics import InverseKinematics
from serl_sim.scenes.arm import READY_POSTURE, add_arm, add_closed_fingers
from serl_sim.scenes.scene import Scene

TCP_IN_HAND_M = 0.128
HOME_HEIGHT_M = 0.08
TCP_SITE = "tcp"
CAMERAS = ("wrist_1", "wrist_2")

# Collision masks: the part meets the board and what is on it, and the table; nothing else, which keeps a step fast.
PART_MASK = {"contype": 1, "conaffinity": 0}
FIXED_MASK = {"contype": 0, "conaffinity": 1}
NO_CONTACT = {"contype": 0, "conaffinity": 0}

IVORY = (0.85, 0.85, 0.82, 1.0)
BLACK = (0.08, 0.08, 0.09, 1.0)


@dataclass(frozen=True)
class SceneConfig:
    """Parameters of a scene.

    Attributes:
        clearance_m: width of the opening minus that of the part, in every direction, 0.00001 to 0.005 [m]; a
            centred part has half of it on each side.
        socket_position: p_BS, the centre of the opening's floor, shape (3,) [m]. x 0.3..0.7, y -0.3..0.3,
            z 0.01..0.3.
        socket_yaw: rotation of S about the base's z, in [-pi/4, pi/4] [rad].
        friction: sliding friction coefficient of the part on everything, in [0, 2] [-].
        contact_time_constant: how fast a penetration is driven out, in [0.002, 0.02] [s] (MuJoCo `solref`);
            twice the 1 ms step is the stiffest that stays stable.

    Raises:
        ValueError: a one-line message naming the parameter, when one is not finite or out of its range.
    """

    clearance_m: float = 0.0003
    socket_position: tuple[float, float, float] = (0.5, 0.0, 0.05)
    socket_yaw: float = 0.0
    friction: float = 0.3
    contact_time_constant: float = 0.004

    def __post_init__(self) -> None:
        if len(self.socket_position) != 3:
            raise ValueError(f"socket_position needs 3 numbers [m], got {len(self.socket_position)}")
        x, y, z = self.socket_position
        for name, value, low, high, unit in (
            ("clearance_m", self.clearance_m, 1e-5, 0.005, "m"),
            ("socket_position x", x, 0.3, 0.7, "m"),
            ("socket_position y", y, -0.3, 0.3, "m"),
            ("socket_position z", z, 0.01, 0.3, "m"),
            ("socket_yaw", self.socket_yaw, -math.pi / 4, math.pi / 4, "rad"),
            ("friction", self.friction, 0.0, 2.0, "-"),
            ("contact_time_constant", self.contact_time_constant, 0.002, 0.02, "s"),
        ):
            if not (isinstance(value, (int, float)) and low <= value <= high):
                raise ValueError(f"{name} must be between {low:g} and {high:g} [{unit}], got {value!r}")

    def contact(self) -> dict[str, list[float]]:
        """Return the geom attributes of whatever may touch."""
        return {
            "friction": [self.friction, 0.005, 0.0001],
            "solref": [self.contact_time_constant, 1.0],
            "solimp": [0.95, 0.99, 0.0001, 0.5, 2],
        }


@dataclass(frozen=True)
class Wall:
    """One wall round an opening, of three boxes: the straight foot, a slab tilted by 45 degrees whose upper face is
    the lead-in, and the flat rim outside of it.

    Attributes:
        name: Its boxes are called <name>_foot, <name>_lead_in and <name>_rim.
        yaw: Of the outward direction, about S's z [rad].
        inner: Distance of its inner face from S's z axis [m].
        half_length: [m].
        height: Of the rim over S's origin [m].
        thickness: At its foot [m].
        chamfer: Width and height of the lead-in [m].
    """

    name: str
    yaw: float
    inner: float
    half_length: float
    height: float
    thickness: float = 0.006
    chamfer: float = 0.001

    def boxes(self) -> list[tuple[str, tuple[float, float, float], tuple[float, float, float], float]]:
        """Name, centre, half sizes and tilt about y of the boxes, were the wall's outward direction x."""
        shoulder = self.height - self.chamfer
        slab_length = self.chamfer * math.sqrt(2)
        return [
            (
                "foot",
                (self.inner + self.thickness / 2, 0.0, shoulder / 2),
                (self.thickness / 2, self.half_length, shoulder / 2),
                0.0,
            ),
            # Its upper face runs from (inner, shoulder) to (inner + chamfer, height); its centre is below that face.
            (
                "lead_in",
                (self.inner + self.chamfer, 0.0, shoulder),
                (slab_length / 2, self.half_length, slab_length / 2),
                -math.pi / 4,
            ),
            (
                "rim",
                (self.inner + (self.thickness + self.chamfer) / 2, 0.0, self.height - self.chamfer / 2),
                ((self.thickness - self.chamfer) / 2, self.half_length, self.chamfer / 2),
                0.0,
            ),
        ]


def begin(name: str, config: SceneConfig) -> tuple[mujoco.MjSpec, mujoco.MjsBody]:
    """Start a scene: options, arm, cameras, table and light; return it with the hand's body."""
    spec = mujoco.MjSpec()
    spec.modelname = name
    spec.compiler.degree = False
    spec.option.timestep = 0.001
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    # A line search cut short leaves the contact unsolved, and a pressed part then rattles: be generous, the
    # solver stops by itself when it has converged (4 iterations as a rule).
    spec.option.iterations = 50
    spec.option.ls_iterations = 50
    # Images are small and plain: no multisampling, no shadow map.
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    # Round shapes are links of the arm, at the pictures' edge if at all: coarse ones draw in two thirds of the time.
    spec.visual.quality.numslices = 12
    spec.visual.quality.numstacks = 8
    spec.visual.global_.offwidth = 640
    spec.visual.global_.offheight = 480
    spec.visual.map.znear = 0.005
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.4, 0.4, 0.4]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    hand = add_arm(spec)
    _add_cameras(hand)
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[1.0, 1.0, 0.05],
        rgba=[0.55, 0.5, 0.45, 1],
        **FIXED_MASK,
        **config.contact(),
    )
    spec.worldbody.add_light(
        pos=[0.3, -0.5, 1.5], dir=[0.1, 0.3, -1.0], diffuse=[0.5, 0.5, 0.5], castshadow=False
    )
    return spec, hand


def add_held_part(hand: mujoco.MjsBody, name: str, width: float, finger_tip_z: float) -> mujoco.MjsBody:
    """Add a body whose frame is the tcp E, axes along the hand's, held between two closed fingers `width` [m] apart."""
    add_closed_fingers(hand, width, tip_z=finger_tip_z)
    part = hand.add_body(name=name, pos=[0, 0, TCP_IN_HAND_M], gravcomp=1)
    add_tcp(part)
    return part


def add_tcp(body: mujoco.MjsBody, z: float = 0.0) -> None:
    """Mark the tcp E on a body, axes along its own, at `z` [m]."""
    body.add_site(name=TCP_SITE, pos=[0, 0, z], size=[0.0005, 0, 0], group=4)


def add_board(
    spec: mujoco.MjSpec,
    config: SceneConfig,
    colour: Sequence[float] = (0.05, 0.35, 0.15, 1.0),
    components: Sequence[tuple[float, float, float, float, float, Sequence[float]]] = (),
) -> mujoco.MjsBody:
    """Add a board on its fixture; its body's frame is S.

    Args:
        spec: The scene.
        config: Where S is.
        colour: Of the board, rgba.
        components: What else is on it and is only seen: x, y, half sizes in x and y, height [m], rgba.
    """
    x, y, z = config.socket_position
    board = spec.worldbody.add_body(
        name="board",
        pos=[x, y, z],
        quat=[math.cos(config.socket_yaw / 2), 0, 0, math.sin(config.socket_yaw / 2)],
    )
    board.add_geom(
        name="board",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.08, 0.06, z / 2],
        pos=[0, 0, -z / 2],
        rgba=colour,
        **FIXED_MASK,
        **config.contact(),
    )
    for number, (px, py, sx, sy, height, rgba) in enumerate(components):
        board.add_geom(
            name=f"part{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[sx, sy, height / 2],
            pos=[px, py, height / 2],
            rgba=rgba,
            **NO_CONTACT,
        )
    return board


def add_walls(
    board: mujoco.MjsBody, walls: Sequence[Wall], config: SceneConfig, colour: Sequence[float] = IVORY
) -> None:
    """Add walls round an opening on the board."""
    for wall in walls:
        R_SW = Rotation.from_euler("z", wall.yaw)
        for part, centre, half_size, tilt in wall.boxes():
            orientation = R_SW * Rotation.from_euler("y", tilt)
            board.add_geom(
                name=f"{wall.name}_{part}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=half_size,
                pos=R_SW.apply(centre),
                quat=np.roll(orientation.as_quat(), 1),
                rgba=colour,
                **FIXED_MASK,
                **config.contact(),
            )


def rectangle(
    size: Sequence[float], config: SceneConfig, height: float, thickness: float, chamfer: float
) -> list[Wall]:
    """Return the four walls of an opening for a part of that size along x and y [m]."""
    inner_x, inner_y = ((side + config.clearance_m) / 2 for side in size)
    outer_x, outer_y = inner_x + thickness, inner_y + thickness
    return [
        Wall(name, yaw, inner, half_length, height, thickness, chamfer)
        for name, yaw, inner, half_length in (
            ("wall_px", 0.0, inner_x, outer_y),
            ("wall_py", math.pi / 2, inner_y, outer_x),
            ("wall_nx", math.pi, inner_x, outer_y),
            ("wall_ny", -math.pi / 2, inner_y, outer_x),
        )
    ]


def finish(
    spec: mujoco.MjSpec,
    config: SceneConfig,
    gripper_width: float,
    tool_geoms: Sequence[str],
    goal_in_socket: Sequence[float] = (0.0, 0.0, 0.0),
    part_offset: Callable[[mujoco.MjModel, mujoco.MjData], NDArray[np.float64]] | None = None,
) -> Scene:
    """Compile a scene; its home posture holds the tcp 8 cm above the goal, tool pointing down.

    Args:
        spec: The scene.
        config: Its parameters.
        gripper_width: See `Scene`.
        tool_geoms: See `Scene`.
        goal_in_socket: p_SG, the tcp when the task is done, shape (3,) [m].
        part_offset: See `Scene`; None: the tcp from its goal, for a part that the gripper holds rigidly.
    """
    model = spec.compile()
    R_BS = Rotation.from_euler("z", config.socket_yaw)
    goal_position = np.array(config.socket_position, dtype=np.float64) + R_BS.apply(goal_in_socket)
    goal_quaternion_xyzw = (R_BS * Rotation.from_euler("x", math.pi)).as_quat()
    above = goal_position + np.array([0, 0, HOME_HEIGHT_M])
    q_home = InverseKinematics(model, TCP_SITE).solve(above, goal_quaternion_xyzw, READY_POSTURE)
    for constant in (goal_position, goal_quaternion_xyzw, q_home):
        constant.setflags(write=False)

    def tcp_offset(_: mujoco.MjModel, data: mujoco.MjData) -> NDArray[np.float64]:
        return R_BS.inv().apply(data.site(TCP_SITE).xpos - goal_position)

    return Scene(
        model=model,
        q_home=q_home,
        goal_position=goal_position,
        goal_quaternion_xyzw=goal_quaternion_xyzw,
        gripper_width=gripper_width,
        tcp_site=TCP_SITE,
        tool_geoms=tuple(tool_geoms),
        cameras=CAMERAS,
        part_offset=part_offset or tcp_offset,
    )


def _add_cameras(hand: mujoco.MjsBody) -> None:
    """Two wrist cameras on either side of the fingers, looking at a point just below the part's tip."""
    target = np.array([0.0, 0.0, TCP_IN_HAND_M + 0.005])
    for name, eye in zip(CAMERAS, ((0.075, 0.035, 0.06), (-0.075, -0.035, 0.06)), strict=True):
        hand.add_camera(name=name, pos=eye, quat=_look_at(np.array(eye), target), fovy=50)


def _look_at(eye: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orientation (wxyz) of a camera (looks along -z, y is up in the image), the fingers upright."""
    backward = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, -1.0], backward)
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(backward, right), backward])
    return np.roll(Rotation.from_matrix(matrix).as_quat(), 1)
