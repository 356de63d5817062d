# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Play a run's recording for rviz, rqt and Foxglove, and say what is in the bag."""

from launch.actions import ExecuteProcess, OpaqueFunction, Shutdown

from launch import Action, LaunchContext, LaunchDescription
from serl_bringup.launch_parts import argument, flag, given, is_set, view_parts
from serl_bringup.launch_plan import LAUNCH_SCHEMAS
from serl_bringup.tasks import load_task


def replay(context: LaunchContext) -> list[Action]:
    """Return the player and the viewers; transitions, actions and weights are not sent again."""
    bag = given(context, "bag")
    if not bag:
        raise RuntimeError("bag must name a bag folder, e.g. bag:=runs/pcb_insertion/latest/recording-1")
    task = load_task(given(context, "task"), schemas=LAUNCH_SCHEMAS, robot=given(context, "robot"))
    play = ["ros2", "bag", "play", bag, "--rate", given(context, "rate")]
    # What a node would act on stays in the bag: a run may be going on in the same domain.
    play += ["--exclude-topics", "/transition", "/transition_ack", "/policy", "/action", "/intervention",
             "/cartesian_impedance_controller/target_pose"]  # fmt: skip
    return [
        *view_parts(is_set(context, "rviz"), task.parameters["env"], is_set(context, "use_sim_time")),
        ExecuteProcess(cmd=play, output="screen", on_exit=Shutdown(reason="the bag is over")),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return what to start."""
    return LaunchDescription(
        [
            argument("bag", "", "folder of the bag"),
            argument("rate", "1.0", "speed of the replay"),
            argument("task", "pcb_insertion", "task whose goal and safety box are drawn"),
            argument("robot", "mujoco", "robot of the task"),
            flag("use_sim_time", True, "the bag is of a simulation"),
            flag("rviz", True, "open rviz"),
            OpaqueFunction(function=replay),
        ]
    )
