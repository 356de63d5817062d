# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Watch a run from any machine of its ROS domain: markers, rviz, rqt, PlotJuggler, a bridge for Foxglove."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import ExecuteProcess, OpaqueFunction
from launch_ros.actions import Node

from launch import Action, LaunchContext, LaunchDescription
from serl_bringup.launch_parts import argument, flag, given, is_set, view_parts
from serl_bringup.launch_plan import LAUNCH_SCHEMAS
from serl_bringup.tasks import load_task


def view(context: LaunchContext) -> list[Action]:
    """Return the viewers asked for."""
    share = Path(get_package_share_directory("serl_bringup"))
    task = load_task(given(context, "task"), schemas=LAUNCH_SCHEMAS, robot=given(context, "robot"))
    parts = view_parts(is_set(context, "rviz"), task.parameters["env"], is_set(context, "use_sim_time"))
    if is_set(context, "rqt"):
        perspective = str(share / "config/serl.perspective")
        parts.append(ExecuteProcess(cmd=["rqt", "--perspective-file", perspective], output="log"))
    if is_set(context, "plotjuggler"):
        layout = str(share / "config/plotjuggler.xml")
        parts.append(Node(package="plotjuggler", executable="plotjuggler", arguments=["--layout", layout]))
    if is_set(context, "foxglove"):
        parts.append(Node(package="foxglove_bridge", executable="foxglove_bridge", output="log"))
    return parts


def generate_launch_description() -> LaunchDescription:
    """Return what to start."""
    return LaunchDescription(
        [
            argument("task", "pcb_insertion", "task whose goal and safety box are drawn"),
            argument("robot", "mujoco", "robot of the task"),
            flag("use_sim_time", True, "the run is a simulation"),
            flag("rviz", True, "open rviz"),
            flag("rqt", False, "open rqt with this package's perspective"),
            flag("plotjuggler", False, "open PlotJuggler with a layout of the controller's state"),
            flag("foxglove", False, "serve Foxglove; its layout is config/foxglove.json"),
            OpaqueFunction(function=view),
        ]
    )
