# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Train PCB insertion: robot, environment, actor and learner, on one machine or two."""

from launch import LaunchDescription
from serl_bringup.launch_stages import stage_description


def generate_launch_description() -> LaunchDescription:
    """Return what to start; `ros2 launch serl_bringup pcb_insertion.launch.py --show-args` lists the arguments."""
    return stage_description("train", "pcb_insertion")
