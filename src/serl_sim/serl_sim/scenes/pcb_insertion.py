# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Insert a connector into a socket on a printed circuit board (paper V, "PCB board insertion")."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from serl_sim.kinematics import InverseKinematics
from serl_sim.scenes.arm import READY_POSTURE, add_arm, add_closed_fingers
from serl_sim.scenes.scene import Scene

PLUG_SIZE_M = (0.012, 0.004)  # cross section along x and y of the tcp frame
PLUG_LENGTH_M = 0.012
SOCKET_DEPTH_M = 0.010
CHAMFER_M = 0.001
WALL_M = 0.006  # thickness of the socket's walls at their foot
HOUSING_SIZE_M = (0.016, 0.008, 0.014)
TCP_IN_HAND_M = 0.128
HOME_HEIGHT_M = 0.08
TCP_SITE = "tcp"
PLUG_GEOM = "plug"
CAMERAS = ("wrist_1", "wrist_2")

# Collision masks: the plug meets the socket, the board and the table; nothing else, which keeps a step fast.
_PLUG_MASK = {"contype": 1, "conaffinity": 0}
_FIXED_MASK = {"contype": 0, "conaffinity": 1}
_NO_CONTACT = {"contype": 0, "conaffinity": 0}


@dataclass(frozen=True)
class PcbInsertionConfig:
    """Parameters of the scene.

    Attributes:
        clearance_m: width of the socket's opening minus that of the plug, in both directions, 0.00001 to
            0.005 [m]; a centred plug has half of it on each side.
        socket_position: p_BS, the centre of the socket's floor on the board's upper face, shape (3,) [m];
            this is where the connector's tip is when seated. x 0.3..0.7, y -0.3..0.3, z 0.01..0.3.
        socket_yaw: rotation of the socket about the base's z, in [-pi/4, pi/4] [rad].
        friction: sliding friction coefficient of plug on socket, board and table, in [0, 2] [-].
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


def specify(config: PcbInsertionConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or PcbInsertionConfig()
    spec = mujoco.MjSpec()
    spec.modelname = "pcb_insertion"
    spec.compiler.degree = False
    spec.option.timestep = 0.001
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    # A line search cut short leaves the contact unsolved, and a pressed plug then rattles: be generous, the
    # solver stops by itself when it has converged (4 iterations as a rule).
    spec.option.iterations = 50
    spec.option.ls_iterations = 50
    # Images are small and plain: no multisampling, no shadow map.
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    spec.visual.global_.offwidth = 640
    spec.visual.global_.offheight = 480
    spec.visual.map.znear = 0.005
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.4, 0.4, 0.4]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]

    hand = add_arm(spec)
    _add_connector(hand, config)
    _add_cameras(hand)
    _add_board_and_socket(spec, config)
    _add_surroundings(spec, config)
    return spec


def build(config: PcbInsertionConfig | None = None) -> Scene:
    """Compile the scene.

    Args:
        config: parameters; the defaults if None.

    Returns:
        The scene; its home posture holds the tcp 8 cm above the seated pose, tool pointing down.
    """
    config = config or PcbInsertionConfig()
    model = specify(config).compile()
    goal_position = np.array(config.socket_position, dtype=np.float64)
    goal_quaternion_xyzw = (
        Rotation.from_euler("z", config.socket_yaw) * Rotation.from_euler("x", math.pi)
    ).as_quat()
    above = goal_position + np.array([0, 0, HOME_HEIGHT_M])
    q_home = InverseKinematics(model, TCP_SITE).solve(above, goal_quaternion_xyzw, READY_POSTURE)
    for constant in (goal_position, goal_quaternion_xyzw, q_home):
        constant.setflags(write=False)
    return Scene(
        model=model,
        q_home=q_home,
        goal_position=goal_position,
        goal_quaternion_xyzw=goal_quaternion_xyzw,
        gripper_width=HOUSING_SIZE_M[1],
        tcp_site=TCP_SITE,
        tool_geoms=(PLUG_GEOM,),
        cameras=CAMERAS,
    )


def _contact(config: PcbInsertionConfig) -> dict[str, list[float]]:
    return {
        "friction": [config.friction, 0.005, 0.0001],
        "solref": [config.contact_time_constant, 1.0],
        "solimp": [0.95, 0.99, 0.0001, 0.5, 2],
    }


def _add_connector(hand: mujoco.MjsBody, config: PcbInsertionConfig) -> None:
    """The connector, welded into the closed gripper; the tcp E is its tip's centre, axes along the hand's."""
    add_closed_fingers(hand, HOUSING_SIZE_M[1], tip_z=TCP_IN_HAND_M - PLUG_LENGTH_M - 0.004)
    connector = hand.add_body(name="connector", pos=[0, 0, TCP_IN_HAND_M], gravcomp=1)
    connector.add_geom(
        name="housing",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5 * side for side in HOUSING_SIZE_M],
        pos=[0, 0, -PLUG_LENGTH_M - HOUSING_SIZE_M[2] / 2],
        mass=0.01,
        rgba=[0.1, 0.1, 0.12, 1],
        **_NO_CONTACT,
    )
    connector.add_geom(
        name=PLUG_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PLUG_SIZE_M[0] / 2, PLUG_SIZE_M[1] / 2, PLUG_LENGTH_M / 2],
        pos=[0, 0, -PLUG_LENGTH_M / 2],
        mass=0.005,
        rgba=[0.95, 0.75, 0.2, 1],
        **_PLUG_MASK,
        **_contact(config),
    )
    connector.add_site(name=TCP_SITE, size=[0.0005, 0, 0], group=4)


def _add_cameras(hand: mujoco.MjsBody) -> None:
    """Two wrist cameras on either side of the fingers, looking at a point just below the connector's tip."""
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


def _add_board_and_socket(spec: mujoco.MjSpec, config: PcbInsertionConfig) -> None:
    """The board on its fixture, and four chamfered walls round an opening; S: z up, x along the long side.

    Each wall is three boxes: the straight lower part, a slab tilted by 45 degrees whose upper face is the
    lead-in, and the flat rim outside of it.
    """
    x, y, z = config.socket_position
    board = spec.worldbody.add_body(
        name="board",
        pos=[x, y, z],
        quat=[math.cos(config.socket_yaw / 2), 0, 0, math.sin(config.socket_yaw / 2)],
    )
    contact = _contact(config)
    board.add_geom(
        name="board",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.08, 0.06, z / 2],
        pos=[0, 0, -z / 2],
        rgba=[0.05, 0.35, 0.15, 1],
        **_FIXED_MASK,
        **contact,
    )
    for number, (px, py, sx, sy, height, colour) in enumerate(
        (
            (0.045, 0.03, 0.012, 0.012, 0.002, (0.08, 0.08, 0.09, 1)),
            (-0.05, -0.035, 0.015, 0.008, 0.002, (0.08, 0.08, 0.09, 1)),
            (-0.045, 0.035, 0.005, 0.005, 0.006, (0.6, 0.6, 0.65, 1)),
            (0.05, -0.035, 0.004, 0.012, 0.004, (0.75, 0.7, 0.6, 1)),
        )
    ):
        board.add_geom(
            name=f"part{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[sx, sy, height / 2],
            pos=[px, py, height / 2],
            rgba=colour,
            **_NO_CONTACT,
        )

    inner_x, inner_y = ((side + config.clearance_m) / 2 for side in PLUG_SIZE_M)
    outer_x, outer_y = inner_x + WALL_M, inner_y + WALL_M
    # (name, yaw of the wall's outward direction, inner distance, half of the wall's length)
    for name, yaw, inner, half_length in (
        ("wall_px", 0.0, inner_x, outer_y),
        ("wall_py", math.pi / 2, inner_y, outer_x),
        ("wall_nx", math.pi, inner_x, outer_y),
        ("wall_ny", -math.pi / 2, inner_y, outer_x),
    ):
        R_SW = Rotation.from_euler("z", yaw)
        for part, centre, half_size, tilt in _wall_boxes(inner, half_length):
            orientation = R_SW * Rotation.from_euler("y", tilt)
            board.add_geom(
                name=f"{name}_{part}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=half_size,
                pos=R_SW.apply(centre),
                quat=np.roll(orientation.as_quat(), 1),
                rgba=[0.85, 0.85, 0.82, 1],
                **_FIXED_MASK,
                **contact,
            )


def _wall_boxes(
    inner: float, half_length: float
) -> list[tuple[str, tuple[float, float, float], tuple[float, float, float], float]]:
    """Name, centre, half sizes and tilt about y of the boxes of a wall whose outward direction is x."""
    shoulder = SOCKET_DEPTH_M - CHAMFER_M
    slab_length = CHAMFER_M * math.sqrt(2)
    slab_half = (slab_length / 2, half_length, slab_length / 2)
    # The slab's upper face runs from (inner, shoulder) to (inner + chamfer, depth); its centre is below
    # that face.
    slab_centre = (inner + CHAMFER_M, 0.0, shoulder)
    return [
        ("foot", (inner + WALL_M / 2, 0.0, shoulder / 2), (WALL_M / 2, half_length, shoulder / 2), 0.0),
        ("lead_in", slab_centre, slab_half, -math.pi / 4),
        (
            "rim",
            (inner + (WALL_M + CHAMFER_M) / 2, 0.0, SOCKET_DEPTH_M - CHAMFER_M / 2),
            ((WALL_M - CHAMFER_M) / 2, half_length, CHAMFER_M / 2),
            0.0,
        ),
    ]


def _add_surroundings(spec: mujoco.MjSpec, config: PcbInsertionConfig) -> None:
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[1.0, 1.0, 0.05],
        rgba=[0.55, 0.5, 0.45, 1],
        **_FIXED_MASK,
        **_contact(config),
    )
    spec.worldbody.add_light(
        pos=[0.3, -0.5, 1.5], dir=[0.1, 0.3, -1.0], diffuse=[0.5, 0.5, 0.5], castshadow=False
    )
