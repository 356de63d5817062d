# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Runs launch_testing on the simulated bringup, in a process of its own: any pytest will do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = ("launch_testing", "launch_ros", "control_msgs", "controller_manager_msgs")
EXECUTABLES = (
    "serl_sim/lockstep_control_node",
    "controller_manager/spawner",
    "robot_state_publisher/robot_state_publisher",
)


def lacking() -> str:
    """Return what of a ROS 2 installation with this workspace built in it is missing, "" if nothing is."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for module in MODULES:
        if importlib.util.find_spec(module) is None:
            return f"Python module {module}"
    for executable in EXECUTABLES:
        if not any((prefix / "lib" / executable).exists() for prefix in prefixes):
            return f"executable {executable}"
    return ""


@pytest.mark.ros_installation
@pytest.mark.skipif(bool(lacking()), reason=f"needs a ROS 2 installation, not found: {lacking()}")
def test_the_simulated_bringup() -> None:
    file = Path(__file__).with_name("mujoco_bringup_case.py")
    done = subprocess.run(
        [sys.executable, "-m", "launch_testing.launch_test", str(file)],
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
