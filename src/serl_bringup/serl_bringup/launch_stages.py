# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The launch description of each stage, composed of the parts. Needs `launch`, so only launch files import it."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node

from launch import Action, LaunchContext, LaunchDescription
from serl_bringup import graph
from serl_bringup.launch_parts import (
    MANAGERS,
    SIMULATIONS,
    after,
    argument,
    camera_parts,
    flag,
    given,
    is_set,
    loop_parts,
    recording_part,
    robot_parts,
    view_parts,
)
from serl_bringup.launch_plan import OPERATORS, LaunchPlan, make_plan
from serl_core.errors import SerlError

COMMON = (
    argument("robot", "mujoco", "what moves: a simulation, a Franka FR3, or mock hardware", tuple(MANAGERS)),
    argument("obs", "state", "what the policy sees", ("state", "image")),
    argument("out", "", "folder of the run; empty: a new one below ./runs"),
    argument("seed", "0", "seed of learner, actor and resets"),
    argument("real_time_factor", "1.0", "speed of a simulation; 0: as fast as it can"),
    argument("settings", "", "parameters of the task, e.g. 'env.max_steps=50 learner.utd_ratio=2'"),
    argument("robot_ip", "172.16.0.2", "address of the Franka"),
    argument("serials", "", "serial numbers of the RealSense cameras, in the order of the task's `cameras`"),
    argument("exposure", "0", "exposure of the RealSense cameras [us]; 0: automatic"),
    flag("spacenav", False, "start the SpaceMouse's driver"),
    flag("record", False, "record every topic to a rosbag2 bag in the run's folder"),
    flag("rviz", False, "open rviz"),
)

OF_STAGE = {
    "train": (
        argument("demos", "", "bag of demonstrations"),
        argument("resume", "", "folder of a run to go on with"),
        flag("learner", True, "run the learner on this machine"),
        flag("actor", True, "run robot, environment and actor on this machine"),
        argument("operator", "none", "who may take over", tuple(OPERATORS)),
    ),
    "demos": (
        argument("episodes", "20", "successful demonstrations to record; 0: until stopped"),
        argument("operator", "scripted", "who demonstrates", ("scripted", "person")),
    ),
    "eval": (
        argument("checkpoint", "", "run or checkpoint folder to evaluate"),
        argument("episodes", "100", "trials"),
    ),
}


def stage_description(stage: str, task: str = "") -> LaunchDescription:
    """Return the launch description of a stage: robot, cameras, the loop's nodes, recording, rviz.

    Args:
        stage: "train", "demos" or "eval".
        task: Name of the task; "": a launch argument, `pcb_insertion` by default.
    """
    arguments: list[DeclareLaunchArgument] = [*COMMON, *OF_STAGE[stage]]
    if not task:
        arguments.append(argument("task", "pcb_insertion", "name of the task"))

    def compose(context: LaunchContext) -> list[Action]:
        return _compose(context, stage, task or given(context, "task"))

    return LaunchDescription([*arguments, OpaqueFunction(function=compose)])


def plan_of(context: LaunchContext, stage: str, task: str) -> LaunchPlan:
    """Return the plan that the launch arguments ask for; RuntimeError of one line where they do not fit."""
    names = {a.name for a in OF_STAGE[stage]}
    text = {name: given(context, name) for name in names & {"demos", "resume", "checkpoint", "operator"}}
    flags = {name: is_set(context, name) for name in names & {"learner", "actor"}}
    numbers = {name: int(given(context, name)) for name in names & {"episodes"}}
    try:
        return make_plan(
            task,
            given(context, "robot"),
            stage,
            obs=given(context, "obs"),
            seed=int(given(context, "seed")),
            real_time_factor=float(given(context, "real_time_factor")),
            settings=given(context, "settings"),
            out=given(context, "out"),
            **text,
            **flags,
            **numbers,
        )
    except SerlError as error:
        raise RuntimeError(str(error)) from None


def _compose(context: LaunchContext, stage: str, task: str) -> list[Action]:
    plan = plan_of(context, stage, task)
    folder = plan.folder.path
    scene = {"model_path": str(folder / "scene.mjb"), "cameras": list(plan.env.get("cameras", ()))}
    loop = loop_parts(plan.nodes, plan.parameters, {graph.CAMERAS.name: scene}, plan.until)
    parts: list[Action] = [LogInfo(msg=f"run folder: {folder}")]
    if plan.robot:
        factor, address = plan.env["real_time_factor"], given(context, "robot_ip")
        robot, last_spawner = robot_parts(task, plan.robot, folder, factor, address)
        parts += robot
        if plan.robot == "franka" and given(context, "obs") == "image":
            exposure = int(given(context, "exposure"))
            parts += camera_parts(plan.env["cameras"], given(context, "serials"), exposure)
        parts += after(last_spawner, loop)
        parts += view_parts(is_set(context, "rviz"), plan.env, plan.robot in SIMULATIONS)
    else:
        parts += loop
    if is_set(context, "spacenav"):
        parts.append(Node(package="spacenav", executable="spacenav_node", output="log"))
    if is_set(context, "record"):
        parts.append(recording_part(folder))
    return parts
