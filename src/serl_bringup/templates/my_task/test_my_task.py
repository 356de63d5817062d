# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The scene of my_task is sound, and its scripted expert does the task as the environment judges it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mujoco
import pytest
from my_task_scene import PART_SIZE_M, build

from serl_actor.intervention.config import OperatorConfig
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.tasks import Task, load_task
from serl_core.interfaces import Environment
from serl_core.plugins import load
from serl_env_node.config import EnvConfig
from serl_env_node.factory import make_environment
from serl_reward.assembly import make_reward
from serl_sim.kinematics import InverseKinematics

EPISODES = 5


@pytest.fixture(scope="module")
def task() -> Task:
    """The YAML beside this file, wherever the test is run from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERL_TASK_PATH", str(Path(__file__).resolve().parents[1]))
        return load_task("my_task", schemas=SCHEMAS)


@pytest.fixture(scope="module")
def environment(task: Task) -> Iterator[Environment]:
    """What the environment's node makes of it."""
    config = task.config("env", EnvConfig)
    arm_class = load(config.arm, "arm")
    arm = arm_class.from_parameters(task.config("env", arm_class.Config))
    made = make_environment(config, arm, make_reward(config.reward, lambda cls: task.config("env", cls)))
    yield made
    made.close()


def contacts(offset: tuple[float, float, float]) -> int:
    """Return how many contacts there are with the tcp at an offset from the goal, in base axes [m]."""
    scene = build()
    data = mujoco.MjData(scene.model)
    data.qpos[:7] = InverseKinematics(scene.model, scene.tcp_site).solve(
        scene.goal_position + offset, scene.goal_quaternion_xyzw, scene.q_home, tolerance=1e-8
    )
    mujoco.mj_forward(scene.model, data)
    return int(data.ncon)


def test_the_part_fits_its_opening() -> None:
    assert contacts((0.0, 0.0, 2e-5)) == 0, "just above the goal it is free"
    assert contacts((0.0, 0.0, -2e-4)) > 0, "below the goal is the floor"
    for offset in ((PART_SIZE_M[0] / 4, 0.0, 1e-3), (0.0, PART_SIZE_M[1] / 4, 1e-3)):
        assert contacts(offset) > 0, "beside the goal is a wall"


def test_the_expert_succeeds(task: Task, environment: Environment) -> None:
    expert = load(task.config("operator", OperatorConfig).expert, "expert")(seed=1)
    ends = []
    for episode in range(EPISODES):
        observation, _ = environment.reset(episode)
        expert.reset()
        for _ in range(environment.spec.max_steps):
            result = environment.step(expert.act(observation))
            observation = result.state
            if result.terminated or result.truncated:
                break
        ends.append(result.end_reason or "time is up")
    assert ends.count("success") >= EPISODES - 1, f"so the episodes ended: {ends}"
