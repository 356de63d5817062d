# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The parts that the launch files are put together from. Needs `launch`, so only launch files import it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from launch import Action, LaunchContext
from serl_bringup import graph
from serl_bringup.tasks import controller_files

SIMULATIONS = ("mujoco", "mujoco_ros2_control")
MANAGERS = {
    "mujoco": ("serl_sim", "lockstep_control_node"),
    "mujoco_ros2_control": ("mujoco_ros2_control", "ros2_control_node"),
    "mock": ("controller_manager", "ros2_control_node"),
    "franka": ("controller_manager", "ros2_control_node"),
}
"""Package and executable of the controller manager by robot."""

MANAGER_SECONDS, WRITER_SECONDS = 4.0, 2.0
"""On Ctrl-C the environment ends at once, then the writer, and the controller manager, which holds, last."""

SAVING_SECONDS = "60"
"""How long the writer may take for its last checkpoint before it is killed."""


def argument(name: str, default: str, description: str, choices: Sequence[str] = ()) -> DeclareLaunchArgument:
    """Declare a launch argument."""
    if choices:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
    return DeclareLaunchArgument(name, default_value=default, description=description)


def flag(name: str, default: bool, description: str) -> DeclareLaunchArgument:
    """Declare a launch argument that is true or false."""
    return argument(name, str(default).lower(), description, ("true", "false"))


def given(context: LaunchContext, name: str) -> str:
    """Return the value of a launch argument."""
    return str(context.launch_configurations[name])


def is_set(context: LaunchContext, name: str) -> bool:
    """Return the value of a launch argument that is true or false."""
    return given(context, name) == "true"


def outlasting(seconds: float) -> str:
    """Return the prefix of a node that ends that long after the others."""
    return f"{Path(get_package_prefix('serl_bringup')) / 'lib/serl_bringup/outlast'} {seconds}"


# The robot and its controllers.


def describe(task: str, robot: str, folder: Path, robot_ip: str) -> str:
    """Return the robot's description as URDF; a simulation's model is written beside it, to `folder`."""
    if robot == "franka":
        return describe_franka(robot_ip)
    executable = Path(get_package_prefix("serl_sim")) / "lib/serl_sim/describe"
    command = [str(executable), task, "--hardware", robot, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return (folder / "robot.urdf").read_text(encoding="utf-8")


def describe_franka(robot_ip: str) -> str:
    """Return the description of a Franka FR3 with its hand and its hardware as URDF.

    Raises:
        RuntimeError: the description has no hardware.
    """
    import xacro

    try:  # from v3.4.0 of franka_ros2 on, this file joins arm and hardware; before, the arm's own had both
        source = Path(get_package_share_directory("franka_bringup")) / "urdf/franka_arm.urdf.xacro"
    except PackageNotFoundError:
        source = Path()
    if not source.is_file():
        source = Path(get_package_share_directory("franka_description")) / "robots/fr3/fr3.urdf.xacro"
    mappings = {"robot_type": "fr3", "robot_ip": robot_ip, "hand": "true", "ros2_control": "true"}
    urdf = str(xacro.process_file(str(source), mappings=mappings).toxml())
    if "<ros2_control" not in urdf:
        raise RuntimeError(
            f"{source} describes no <ros2_control> hardware: build franka_bringup of the same franka_ros2 too, and"
            " take the franka_description that its .repos file names"
        )
    return urdf


def robot_parts(
    task: str, robot: str, folder: Path, real_time_factor: float, robot_ip: str
) -> tuple[list[Action], Node]:
    """Return the actions that bring up a robot with its controllers, and the last of their spawners.

    Joint states and the impedance controller, which holds, become active; the reset controller stays inactive.
    """
    files = [str(path) for path in controller_files(task, robot)]
    urdf = describe(task, robot, folder, robot_ip)
    simulated = {"use_sim_time": robot in SIMULATIONS}
    package, executable = MANAGERS[robot]
    own = {"real_time_factor": real_time_factor} if robot == "mujoco" else {}
    manager = Node(
        package=package,
        executable=executable,
        name="controller_manager",
        parameters=[*files, simulated, own, {"robot_description": urdf}],
        remappings=[("~/robot_description", "/robot_description")],
        prefix=outlasting(MANAGER_SECONDS),
        output="both",
        on_exit=Shutdown(reason="the controller manager ended"),
    )
    publisher = Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        parameters=[{"robot_description": urdf}, simulated],
        output="log",
    )
    from_files = [part for file in files for part in ("--param-file", file)]
    idle = _spawner(["joint_reset_controller", "--inactive"], from_files)
    active = ["joint_state_broadcaster", "cartesian_impedance_controller"]
    if robot == "franka":
        active.append("franka_robot_state_broadcaster")
    last = _spawner(active, from_files)
    parts: list[Action] = [publisher, manager, idle, *after(idle, [last])]
    if robot == "franka":
        share = Path(get_package_share_directory("franka_gripper"))
        source = PythonLaunchDescriptionSource(str(share / "launch/gripper.launch.py"))
        # The releases up to v3.4.0 have no default for either.
        given_to_it = {"robot_ip": robot_ip, "namespace": ""}
        parts.append(IncludeLaunchDescription(source, launch_arguments=given_to_it.items()))
    return parts, last


def _spawner(controllers: Sequence[str], from_files: Sequence[str]) -> Node:
    waiting = ["--controller-manager-timeout", "60", "--switch-timeout", "30"]
    return Node(
        package="controller_manager", executable="spawner", arguments=[*controllers, *from_files, *waiting],
        output="both",
    )  # fmt: skip


def camera_parts(cameras: Sequence[str], serials: str, exposure: int) -> list[Action]:
    """Return the drivers of RealSense cameras; exposure 0 leaves it to the camera [us]."""
    numbers = serials.split()
    if len(numbers) != len(cameras):
        raise RuntimeError(
            f"serials must name a serial number for each of {', '.join(cameras)}, got {serials!r}"
        )
    fixed = {"rgb_camera.enable_auto_exposure": False, "rgb_camera.exposure": exposure} if exposure else {}
    return [
        Node(
            package="realsense2_camera",
            executable="realsense2_camera_node",
            name=camera,
            parameters=[
                {"camera_name": camera, "serial_no": number, "enable_depth": False, "enable_infra1": False,
                 "enable_infra2": False, "rgb_camera.color_profile": "640x480x60", **fixed}
            ],
            output="both",
        )
        for camera, number in zip(cameras, numbers, strict=True)
    ]  # fmt: skip


# The loop's nodes.


def loop_parts(
    nodes: Sequence[graph.NodeSpec],
    parameters: Path,
    more: Mapping[str, Mapping[str, Any]],
    until: Mapping[str, int],
) -> list[Action]:
    """Return the nodes of a graph and the lifecycle manager that brings them up in that order and watches them.

    Args:
        nodes: In start order.
        parameters: File of their parameters.
        more: Parameters by node that are only known here.
        until: Parameters of the lifecycle manager that say when the work is done; empty: on Ctrl-C.
    """
    started = [
        Node(
            package=node.package,
            executable=node.executable,
            name=node.name,
            parameters=[str(parameters), dict(more.get(node.name, {}))],
            prefix=outlasting(WRITER_SECONDS) if node == nodes[0] and len(nodes) > 1 else None,
            sigterm_timeout=SAVING_SECONDS if node == nodes[0] else "5",
            sigkill_timeout=SAVING_SECONDS if node == nodes[0] else "5",
            output="both",
        )
        for node in nodes
    ]
    manager = Node(
        package="serl_bringup",
        executable="lifecycle_manager",
        parameters=[{"nodes": [node.name for node in nodes], **until}],
        output="both",
        on_exit=Shutdown(reason="the lifecycle manager ended"),
    )
    return [*started, manager]


def recording_part(folder: Path) -> Action:
    """Return what records the topics of the run to a bag beside the run's own."""
    number = 1
    while (bag := folder / f"recording-{number}").exists():
        number += 1
    command = ["ros2", "bag", "record", "--all", "--storage", "mcap", "--output", str(bag)]
    # The controller manager's statistics of each cycle would be most of the bag.
    command += [
        "--exclude-regex",
        "/controller_manager/(introspection_data|statistics)/.*|/dynamic_joint_states",
    ]
    return ExecuteProcess(cmd=command, output="log", sigterm_timeout="15")


def view_parts(rviz: bool, env: Mapping[str, Any], sim_time: bool) -> list[Action]:
    """Return the node that draws targets and box from the environment's parameters, and rviz with our layout."""
    drawn = {name: list(env[name]) for name in ("goal_position", "box_low", "box_high") if env.get(name)}
    clock = {"use_sim_time": sim_time}
    parts: list[Action] = [
        Node(package="serl_bringup", executable="markers_node", parameters=[drawn, clock], output="log")
    ]
    if rviz:
        layout = Path(get_package_share_directory("serl_bringup")) / "rviz/serl.rviz"
        parts.append(
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(layout)],
                parameters=[clock],
                output="log",
            )
        )
    return parts


def after(process: ExecuteProcess, actions: Sequence[Action]) -> list[Action]:
    """Return what starts actions when a process has ended well, and ends the launch when it has not."""

    def on_exit(event: ProcessExited, _: LaunchContext) -> list[Action]:
        if event.returncode == 0:
            return list(actions)
        reason = f"{event.process_name} ended with status {event.returncode}: see its output above"
        return [LogInfo(msg=reason), EmitEvent(event=ShutdownEvent(reason=reason))]

    return [RegisterEventHandler(OnProcessExit(target_action=process, on_exit=on_exit))]
