# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A launch starts what `./serl` starts, with the robot's parameters on top, and says what does not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serl_bringup import graph
from serl_bringup.launch_plan import LaunchPlan, make_plan
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.tasks import controller_files, list_robots, load_task
from serl_controllers import ImpedanceGains
from serl_core.errors import ConfigError

TASK = "pcb_insertion"
IMAGES = {"obs": "image", "settings": "learner.resnet10_weights=/weights"}
TAUGHT = "env.goal_position=[0.5,0.1,0.05]"


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Any]:
    made: list[LaunchPlan] = []

    def make(robot: str = "mujoco", stage: str = "train", **options: Any) -> LaunchPlan:
        options.setdefault("out", str(tmp_path / f"run{len(made)}"))
        made.append(make_plan(TASK, robot, stage, **options))
        return made[-1]

    yield make
    for one in made:
        one.folder.close()


@pytest.mark.parametrize("robot", ["mujoco", "mock", "mujoco_ros2_control"])
def test_every_robot_of_the_task_can_be_planned(plan: Any, robot: str) -> None:
    made = plan(robot)
    assert made.nodes == graph.TRAIN
    assert made.env["arm"] == "serl_env_node.ros2_control_arm_node:Ros2ControlArm"
    written = yaml.safe_load(made.parameters.read_text())
    assert written["/**/learner"]["ros__parameters"]["out"] == str(made.folder.path)
    assert written["/**/learner"]["ros__parameters"]["pace"] is False  # nobody waits in real time


def test_a_franka_needs_a_taught_goal(plan: Any) -> None:
    assert plan("franka", settings=TAUGHT).env["goal_position"] == (0.5, 0.1, 0.05)
    assert plan("franka").env["goal_position"] == ()  # the arm refuses to start: see test_streamed_arm


def test_the_robots_file_comes_on_top_and_settings_have_the_last_word(plan: Any) -> None:
    plain, franka = load_task(TASK, schemas=SCHEMAS), plan("franka").env
    assert franka["force_limit"] < plain.parameters["env"]["force_limit"]
    assert franka["policy_keys_state"] == plain.parameters["env"]["policy_keys_state"]
    assert plan("franka", settings="env.force_limit=12 learner.utd_ratio=2").env["force_limit"] == 12.0


@pytest.mark.parametrize(
    ("stage", "options", "nodes"),
    [
        ("train", {"learner": False}, (graph.ACTOR, graph.ENV)),
        ("train", {"actor": False}, (graph.LEARNER,)),
        ("train", {"operator": "scripted"}, (graph.LEARNER, graph.ACTOR, graph.OPERATOR, graph.ENV)),
        ("train", {"operator": "person"}, (graph.LEARNER, graph.ACTOR, graph.INTERVENTION, graph.ENV)),
        ("train", IMAGES, (graph.LEARNER, graph.CAMERAS, graph.ACTOR, graph.ENV)),
        ("train", {**IMAGES, "actor": False}, (graph.LEARNER,)),
        ("demos", {"episodes": 3, "operator": "scripted"}, graph.DEMONSTRATE),
        ("demos", {"operator": "person"}, (graph.RECORDER, graph.INTERVENTION, graph.ENV)),
        ("eval", {"checkpoint": "."}, graph.EVALUATE),
    ],
)
def test_the_nodes_of_each_stage_on_each_machine(plan: Any, stage: str, options: dict, nodes: tuple) -> None:
    made = plan("mujoco", stage, **options)
    assert made.nodes == nodes
    assert made.robot == ("" if nodes == (graph.LEARNER,) else "mujoco")


@pytest.mark.parametrize("node", ["learner", "actor"])
def test_learner_and_actor_read_cameras_through_the_same_file(plan: Any, node: str) -> None:
    parameters = plan(obs="image", settings=f"{node}.resnet10_weights=/weights").task.parameters
    assert parameters["learner"]["resnet10_weights"] == parameters["actor"]["resnet10_weights"] == "/weights"


def test_cameras_without_weights_are_refused_before_there_is_a_folder(plan: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"./serl pretrain pcb_insertion made, by settings:="):
        plan(obs="image")
    assert not list(tmp_path.iterdir())
    assert (
        plan(obs="image", settings="learner.encoder=small").task.parameters["learner"]["encoder"] == "small"
    )
    assert plan(stage="demos", obs="image", operator="person").nodes, "a recording needs no network"


def test_several_robots_share_the_learner_and_nothing_else() -> None:
    nodes = graph.of_robots(graph.TRAIN, ["left", "right"])
    assert [node.path for node in nodes] == ["learner", "left/actor", "left/env", "right/actor", "right/env"]
    assert graph.of_robots(graph.TRAIN, []) == graph.TRAIN


AWAITED = {"env_id": "", "reward": "serl_reward.awaited:AwaitedReward"}


@pytest.mark.parametrize("nodes", [graph.DEMONSTRATE, graph.TRAIN, graph.EVALUATE])
def test_the_reward_node_is_there_before_the_environment_that_awaits_it(nodes: tuple) -> None:
    assert graph.with_reward(nodes, AWAITED) == (*nodes[:-1], graph.REWARD, graph.ENV)


@pytest.mark.parametrize(
    "env",
    [
        {"env_id": "", "reward": "serl_reward.pose:PoseReward"},
        {"env_id": "", "reward": ""},
        {**AWAITED, "env_id": "Pendulum-v1"},
    ],
)
def test_an_environment_that_judges_itself_needs_no_reward_node(env: dict) -> None:
    assert graph.with_reward(graph.TRAIN, env) == graph.TRAIN


def test_a_stage_sets_what_it_sets_under_the_command_line_too(plan: Any) -> None:
    demos = plan(stage="demos", episodes=3, seed=5, operator="scripted")
    assert (demos.env["policy"], demos.env["operator"], demos.env["max_successes"]) == (False, True, 3)
    assert demos.task.parameters["recorder"]["bag"] == str(demos.folder.demos_bag)
    evaluation = plan(stage="eval", checkpoint=".", episodes=7)
    assert evaluation.task.parameters["actor"]["deterministic"] is True
    assert evaluation.env["max_episodes"] == 7
    assert (plan().until, demos.until, evaluation.until) == ({}, {"max_successes": 3}, {"max_episodes": 7})
    assert demos.env["seed"] != evaluation.env["seed"] != 0


def test_an_operator_corrects_in_training_and_does_everything_in_demonstrations(plan: Any) -> None:
    assert plan(operator="scripted").task.parameters["operator"]["style"] == "corrective"
    assert plan(stage="demos", operator="scripted").task.parameters["operator"]["style"] == "always"


def test_a_run_is_taken_up_again(plan: Any, tmp_path: Path) -> None:
    plan().folder.close()
    again = plan(out="", resume=str(tmp_path / "run0"))
    assert again.folder.path == (tmp_path / "run0").resolve()


@pytest.mark.parametrize(
    ("robot", "stage", "options", "told"),
    [
        ("panda", "train", {}, "robots of this task: franka, mock, mujoco, mujoco_ros2_control"),
        ("mujoco", "training", {}, "stage must be one of train, demos, eval"),
        ("mujoco", "train", {"learner": False, "actor": False}, "leave nothing to start"),
        ("mujoco", "train", {"demos": "nowhere"}, "demos: nowhere does not exist"),
        ("mujoco", "eval", {}, "checkpoint must name a run"),
        ("mujoco", "demos", {}, "got 'none', and demos need one"),
        ("mujoco", "train", {"operator": "expert"}, "operator must be one of none, scripted, person"),
        ("mujoco", "train", {"settings": "env.max_stps=3"}, "did you mean max_steps"),
        ("mujoco", "train", {"settings": "'"}, "settings"),
        ("mujoco", "train", {"obs": "pictures"}, "must be one of state, image"),
        ("mujoco", "train", {"resume": "x", "out": "y"}, "resume names the folder already"),
        ("mujoco", "train", {"real_time_factor": -1.0}, "must lie in"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    plan: Any, robot: str, stage: str, options: dict, told: str
) -> None:
    with pytest.raises(ConfigError) as error:
        plan(robot, stage, **options)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_controller_managers_files_are_found_and_no_node_reads_them() -> None:
    assert [path.name for path in controller_files(TASK, "franka")] == [
        "controllers.yaml",
        "franka_controllers.yaml",
    ]
    assert [path.name for path in controller_files(TASK, "mujoco")] == ["controllers.yaml"]
    assert list_robots(TASK) == ["franka", "mock", "mujoco", "mujoco_ros2_control"]
    with pytest.raises(ConfigError, match=r"has no controllers\.yaml"):
        controller_files("pendulum", "mujoco")


@pytest.mark.parametrize(
    "path", [p for robot in list_robots(TASK) for p in controller_files(TASK, robot)], ids=str
)
def test_rcl_can_read_the_controller_managers_files(path: Path) -> None:
    text = path.read_text()
    assert "&" not in text and "*" not in text  # rcl knows no anchors
    for name, body in yaml.safe_load(text).items():
        assert list(body) == ["ros__parameters"], name


def test_a_franka_begins_softly_in_its_resets_too(plan: Any) -> None:
    env = plan("franka").env
    _, path = controller_files(TASK, "franka")
    sets = yaml.safe_load(path.read_text())["cartesian_impedance_controller"]["ros__parameters"]["gains"]
    defaults = {"compliant": ImpedanceGains.compliant(), "precise": ImpedanceGains.precise()}
    assert set(sets) >= {env["gains"], env["reset_gains"]}
    for name, gains in sets.items():
        limits = gains.get("error_max", defaults[name].error_max)
        assert (
            max(k * limit for k, limit in zip(gains["stiffness"][:3], limits[:3], strict=True))
            < env["force_limit"]
        )
    # The longest way is from corner to corner of the box; minimum jerk is 15/8 of the mean speed at its fastest.
    longest = math.dist(env["box_low"], env["box_high"])
    assert 15 / 8 * longest / env["reset_seconds"] < 0.15  # [m/s]


def test_the_controllers_box_lets_the_environment_do_its_work() -> None:
    env = load_task(TASK, schemas=SCHEMAS, robot="mujoco").parameters["env"]
    (path,) = controller_files(TASK, "mujoco")
    box = yaml.safe_load(path.read_text())["cartesian_impedance_controller"]["ros__parameters"]["workspace"]
    for axis, goal in enumerate(env["goal_position"]):
        assert box["min"][axis] <= goal + env["box_low"][axis]
        assert box["max"][axis] >= goal + env["box_high"][axis]
