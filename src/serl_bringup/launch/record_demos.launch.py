# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Record demonstrations of a task to a bag."""

from launch import LaunchDescription
from serl_bringup.launch_stages import stage_description


def generate_launch_description() -> LaunchDescription:
    """Return what to start; `ros2 launch serl_bringup record_demos.launch.py --show-args` lists the arguments."""
    return stage_description("demos")
