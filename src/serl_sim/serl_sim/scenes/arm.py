# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A seven-joint torque-controlled arm like the Franka FR3, made of plain shapes.

Kinematics, joint limits and torque limits: Franka Robotics, FR3 data sheet (modified Denavit-Hartenberg
parameters after Craig). Inertias: C. Gaz et al., "Dynamic Identification of the Franka Emika Panda Robot With
Retrieval of Feasible Parameters Using Penalty-Based Optimization", IEEE RA-L 4(4), 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco

#: Transform from the flange to the hand, as Franka mounts it: turned by -45 degrees about z.
HAND_YAW = -math.pi / 4
#: The posture from which inverse kinematics starts [rad]: elbow up, tool down.
READY_POSTURE = (0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4)
FLANGE_OFFSET_M = 0.107
#: Names of the fingers' bodies, geoms and, where they move, joints and actuators.
FINGERS = ("left_finger", "right_finger")
_SIDES = (1, -1)  # of the hand's y, on which they are

_WHITE = (0.92, 0.93, 0.95, 1.0)
_GREY = (0.35, 0.36, 0.38, 1.0)


@dataclass(frozen=True)
class _Joint:
    """One row of the data sheet: a, d [m], alpha [rad] (Craig), limits [rad], [rad/s], [Nm]; then its link."""

    a: float
    d: float
    alpha: float
    lower: float
    upper: float
    velocity: float
    torque: float
    armature: float  # [kg m^2]
    damping: float  # [Nm s/rad]
    mass: float  # [kg]
    com: tuple[float, float, float]  # in the link frame [m]
    # xx yy zz xy xz yz about the centre of mass [kg m^2]
    inertia: tuple[float, float, float, float, float, float]
    # Capsules of the link's look: start, end, radius [m] in the link frame.
    shapes: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...]


_QUARTER = math.pi / 2
# fmt: off
_JOINTS = (
    _Joint(0.0, 0.333, 0.0, -2.7437, 2.7437, 2.62, 87.0, 0.1, 0.5, 4.970684, (0.003875, 0.002081, -0.04762),
           (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169),
           (((0, 0, -0.19), (0, 0, -0.06), 0.07), ((0, -0.05, 0), (0, 0.05, 0), 0.07))),
    _Joint(0.0, 0.0, -_QUARTER, -1.7837, 1.7837, 2.62, 87.0, 0.1, 0.5, 0.646926, (-0.003141, -0.02872, 0.003495),
           (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704),
           (((0, -0.18, 0), (0, -0.05, 0), 0.065),)),
    _Joint(0.0, 0.316, _QUARTER, -2.9007, 2.9007, 2.62, 87.0, 0.1, 0.5, 3.228604, (0.027518, 0.039252, -0.066502),
           (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805),
           (((0, 0, -0.12), (0, 0, -0.03), 0.06), ((0.0825, -0.04, 0), (0.0825, 0.04, 0), 0.06))),
    _Joint(0.0825, 0.0, _QUARTER, -3.0421, -0.1518, 2.62, 87.0, 0.1, 0.5, 3.587895, (-0.05317, 0.104419, 0.027454),
           (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
           (((-0.0825, 0.08, 0), (-0.0825, 0.13, 0), 0.058),)),
    _Joint(-0.0825, 0.384, -_QUARTER, -2.8065, 2.8065, 5.26, 12.0, 0.05, 0.2, 1.225946,
           (-0.011953, 0.041065, -0.038437),
           (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
           (((0, 0, -0.26), (0, 0, -0.2), 0.055), ((0, 0.07, -0.16), (0, 0.06, 0.0), 0.04))),
    _Joint(0.0, 0.0, _QUARTER, 0.5445, 4.5169, 4.18, 12.0, 0.05, 0.2, 1.666555, (0.060149, -0.014117, -0.010517),
           (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
           (((0, 0, -0.03), (0, 0, 0.04), 0.05), ((0.088, 0, 0), (0.088, 0.03, 0), 0.045))),
    _Joint(0.088, 0.0, _QUARTER, -3.0159, 3.0159, 5.26, 12.0, 0.05, 0.2, 0.735522, (0.010517, -0.004252, 0.061597),
           (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
           (((0, 0, 0.02), (0, 0, 0.06), 0.045),)),
)
# fmt: on

#: Largest speed of each joint [rad/s]; MuJoCo knows no such limit, a robot description does.
JOINT_SPEEDS = tuple(joint.velocity for joint in _JOINTS)


def add_arm(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Add the arm with its base frame B at the world origin, its hand, and one torque actuator per joint.

    Args:
        spec: the scene; must be empty of joints, so that the arm's come first.

    Returns:
        The hand's body (frame: z out of the flange, fingers close along y), to mount tools and cameras on.
    """
    parent = spec.worldbody
    parent.add_geom(
        name="arm_base",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[0.08, 0.07, 0],
        pos=[0, 0, 0.07],
        rgba=_WHITE,
        contype=0,
        conaffinity=0,
    )
    for number, joint in enumerate(_JOINTS, start=1):
        sine, cosine = math.sin(joint.alpha), math.cos(joint.alpha)
        body = parent.add_body(
            name=f"link{number}",
            pos=[joint.a, -sine * joint.d, cosine * joint.d],
            quat=[math.cos(joint.alpha / 2), math.sin(joint.alpha / 2), 0, 0],
            mass=joint.mass,
            ipos=joint.com,
            fullinertia=joint.inertia,
            explicitinertial=True,
            gravcomp=1,
        )
        body.add_joint(
            name=f"joint{number}",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=[0, 0, 1],
            range=[joint.lower, joint.upper],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            armature=joint.armature,
            damping=joint.damping,
        )
        for start, end, radius in joint.shapes:
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=[*start, *end],
                size=[radius, 0, 0],
                rgba=_WHITE,
                contype=0,
                conaffinity=0,
            )
        motor = spec.add_actuator(
            name=f"torque{number}",
            target=f"joint{number}",
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            ctrlrange=[-joint.torque, joint.torque],
            ctrllimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        )
        motor.set_to_motor()
        parent = body

    hand = parent.add_body(
        name="hand",
        pos=[0, 0, FLANGE_OFFSET_M],
        quat=[math.cos(HAND_YAW / 2), 0, 0, math.sin(HAND_YAW / 2)],
        mass=0.73,
        ipos=[-0.01, 0, 0.03],
        inertia=[0.001, 0.0025, 0.0017],
        explicitinertial=True,
        gravcomp=1,
    )
    hand.add_geom(
        name="palm",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.025, 0.1, 0.033],
        pos=[0, 0, 0.033],
        rgba=_WHITE,
        contype=0,
        conaffinity=0,
    )
    return hand


def add_fingers(
    spec: mujoco.MjSpec, hand: mujoco.MjsBody, width: float, tip_z: float, force: float, **contact: object
) -> None:
    """Add two fingers that close along the hand's y from `width` [m] to nothing, and end at `tip_z` [m].

    They have position servos, open at 0, whose actuators come after the arm's. All is called as `FINGERS` says.

    Args:
        spec: The scene.
        hand: The hand's body.
        width: Between the open fingers [m].
        tip_z: Where they end, in the hand's frame [m].
        force: Largest force of each [N].
        contact: Attributes of their geoms.
    """
    for side, name in zip(_SIDES, FINGERS, strict=True):
        finger = _add_finger(hand, side, name, width, tip_z, **contact)
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, -side, 0],
            range=[0.0, width / 2],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            armature=0.1,
            damping=10.0,
        )
        servo = spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            ctrlrange=[0.0, width / 2],
            ctrllimited=mujoco.mjtLimited.mjLIMITED_TRUE,
            forcerange=[-force, force],
            forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        )
        servo.set_to_position(kp=2000.0, kv=60.0)


def add_closed_fingers(hand: mujoco.MjsBody, width: float, tip_z: float) -> None:
    """Add two fingers that hold something `width` [m] thick along the hand's y and end at `tip_z` [m]."""
    for side, name in zip(_SIDES, FINGERS, strict=True):
        _add_finger(hand, side, name, width, tip_z, contype=0, conaffinity=0)


def _add_finger(
    hand: mujoco.MjsBody, side: int, name: str, width: float, tip_z: float, **contact: object
) -> mujoco.MjsBody:
    """Add one finger, its inner face half of `width` [m] from the hand's z axis."""
    finger = hand.add_body(name=name, pos=[0, side * width / 2, 0], gravcomp=1)
    finger.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.008, 0.005, (tip_z - 0.066) / 2],
        pos=[0, side * 0.005, (tip_z + 0.066) / 2],
        mass=0.015,
        rgba=_GREY,
        **contact,
    )
    return finger
