# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of the intervention node and of the scripted operator."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter

DEVICES = ("spacemouse", "spacenav", "gamepad", "joy", "keyboard", "leader_pose", "leader_joints")


@dataclass(frozen=True)
class InterventionConfig:
    """Settings of a person's devices; names are ROS parameter names."""

    devices: tuple[str, ...] = parameter(
        ("spacemouse",), "device of each arm, in the order of the arms in the action", choices=DEVICES
    )
    sources: tuple[str, ...] = parameter(
        (), "for each device its file (/dev/input/js0, /dev/hidraw2) or topic; empty: the usual one"
    )
    label: str = parameter(
        "", "name of the operator in the data; empty: the devices. Two operators need two names"
    )
    rate_hz: float = parameter(50.0, "readings a second [Hz]", 1.0, 1000.0)
    retry_s: float = parameter(1.0, "interval at which a lost device is looked for [s]", 0.05, 60.0)
    stream_timeout_s: float = parameter(
        0.5, "silence after which a device on a topic counts as lost [s]", 0.02, 60.0
    )

    axis_map: tuple[str, ...] = parameter(
        (), "for each element of an arm's action the device's axis with its sign, e.g. -left_y, r2-l2 or 0; "
        "empty: a 6-D twist as is usual for the device",
    )  # fmt: skip
    gripper: str = parameter(
        "", "buttons of a gripper as another element of the action, e.g. east-south: east opens, south closes"
    )
    dead_zone: float = parameter(0.05, "deflection that counts as rest, as a share of the full one", 0.0, 0.9)
    exponent: float = parameter(
        1.0, "curve beyond the dead zone: 1 linear, more is finer near rest", 0.2, 5.0
    )
    translation_gain: float = parameter(1.0, "action of a translation at full deflection", 0.01, 1.0)
    rotation_gain: float = parameter(1.0, "action of a rotation at full deflection", 0.0, 1.0)
    frame: str = parameter(
        "base",
        "axes of the device are those of: base, the arm's base; tcp, the tool",
        choices=("base", "tcp"),
    )
    tcp_pose_keys: tuple[str, ...] = parameter(
        ("tcp_pose",), "state array with the tcp's pose in the base, for each device"
    )

    takeover: str = parameter(
        "either", "what takes over: clutch (while the button is pressed), motion of the device, or either",
        choices=("clutch", "motion", "either"),
    )  # fmt: skip
    clutch_button: str = parameter("", "button of the clutch; empty: as is usual for the device")
    engage: float = parameter(
        0.15, "share of the full deflection, beyond the dead zone, that takes over", 0.001, 1.0
    )
    release: float = parameter(
        0.05, "share of the full deflection below which the person lets go", 0.001, 1.0
    )
    hold_s: float = parameter(
        0.3, "how long control outlasts the last wish, with the target at rest [s]", 0.0, 10.0
    )

    leader_urdf: str = parameter("", "URDF file of a leader arm that sends joint states")
    leader_base: str = parameter("base", "base link of the leader arm")
    leader_tip: str = parameter("tcp", "link of the leader arm that the person guides")
    leader_clutch_topic: str = parameter(
        "", "sensor_msgs/Joy topic of the leader arm's pedal: any button is the clutch; empty: none"
    )
    motion_scale: float = parameter(1.0, "motion of the arm for the same motion of the leader", 0.05, 5.0)
    translation_scale: float = parameter(
        0.01, "displacement of an action of 1, as the environment's; for a leader arm [m]", 1e-5, 0.1
    )
    rotation_scale: float = parameter(
        0.05, "rotation of an action of 1, as the environment's; for a leader arm [rad]", 1e-5, 1.0
    )


@dataclass(frozen=True)
class OperatorConfig:
    """Settings of the scripted operator; names are ROS parameter names."""

    expert: str = parameter("", "scripted expert as module:Class, e.g. serl_sim.experts:InsertionExpert")
    seed: int = parameter(0, "seed of the expert's and the operator's habits", 0, 2**31 - 1)
    style: str = parameter(
        "always", "always: every step is the operator's (demonstrations); corrective: only where the policy fails",
        choices=("always", "corrective"),
    )  # fmt: skip
    watch: str = parameter(
        "goal_pose", "state array whose first three numbers tell how far the task is from done [m]"
    )
    stuck_s: float = parameter(1.5, "time without progress that a person calls stuck [s]", 0.1, 60.0)
    progress: float = parameter(0.002, "approach that counts as progress [m]", 0.0, 1.0)
    drift: float = parameter(
        0.02, "retreat from the nearest point so far that a person calls drifting [m]", 0.0, 1.0
    )
    reaction_s: float = parameter(
        0.4, "mean time from trouble to the take-over; each differs by a half [s]", 0.0, 10.0
    )
    correction: float = parameter(
        0.01, "approach after which the person is content and lets go [m]", 0.0, 1.0
    )
    longest_s: float = parameter(2.0, "time after which the person lets go in any case [s]", 0.1, 60.0)
    refractory_s: float = parameter(
        1.0, "time after a correction in which the policy is let be [s]", 0.0, 60.0
    )
    noise: float = parameter(0.05, "standard deviation of the hand's noise on each action", 0.0, 1.0)
