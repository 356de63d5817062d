# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A robot with its controllers and nothing else: the impedance controller holds and awaits targets."""

import tempfile
from pathlib import Path

from launch.actions import OpaqueFunction

from launch import Action, LaunchContext, LaunchDescription
from serl_bringup.launch_parts import MANAGERS, argument, given, robot_parts


def robot(context: LaunchContext) -> list[Action]:
    """Return the robot's parts."""
    folder = Path(tempfile.mkdtemp(prefix="serl-robot-"))
    factor = float(given(context, "real_time_factor"))
    return robot_parts(
        given(context, "task"), given(context, "robot"), folder, factor, given(context, "robot_ip")
    )[0]


def generate_launch_description() -> LaunchDescription:
    """Return what to start."""
    return LaunchDescription(
        [
            argument("task", "pcb_insertion", "task whose controllers.yaml is used"),
            argument("robot", "mujoco", "what moves", tuple(MANAGERS)),
            argument("real_time_factor", "1.0", "speed of a simulation; 0: as fast as it can"),
            argument("robot_ip", "172.16.0.2", "address of the Franka"),
            OpaqueFunction(function=robot),
        ]
    )
