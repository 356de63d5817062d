# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A task whose reward is a process of its own: the reward node is started beside the environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from system_cases import SHORT, Command, error_line, kill, node_processes, options, patience

from serl_bringup import graph, tasks
from serl_bringup.launch_plan import make_plan


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task of the working directory: pcb_insertion with its pose reward in the reward node."""
    monkeypatch.chdir(tmp_path)
    (source,) = {folder / "pcb_insertion" for folder in tasks.task_folders()[:1]}
    folder = tmp_path / "tasks" / "judged"
    shutil.copytree(source, folder)
    env = yaml.safe_load((folder / "env.yaml").read_text())
    values = env["env"]["ros__parameters"]
    hosted = {name: values.pop(name) for name in ("reward", "goal_tolerance_m", "goal_tolerance_rad")}
    values.update(reward="serl_reward.awaited:AwaitedReward", reward_timeout_s=20.0)
    (folder / "env.yaml").write_text(yaml.safe_dump(env))
    (folder / "reward.yaml").write_text(yaml.safe_dump({"reward": {"ros__parameters": hosted}}))
    return folder.name


def test_a_launch_starts_the_reward_node_beside_the_robot(judged: str, tmp_path: Path) -> None:
    for more, nodes in (
        ({}, (graph.LEARNER, graph.ACTOR, graph.REWARD, graph.ENV)),
        ({"learner": False}, (graph.ACTOR, graph.REWARD, graph.ENV)),
        ({"actor": False}, (graph.LEARNER,)),
    ):
        plan = make_plan(judged, "mujoco", "train", out=str(tmp_path / f"run{len(nodes)}"), **more)
        plan.folder.close()
        assert plan.nodes == nodes
        written = yaml.safe_load(plan.parameters.read_text())["/**/reward"]["ros__parameters"]
        assert written["reward"] == "serl_reward.pose:PoseReward"


@pytest.mark.timeout(600)
def test_a_reward_node_that_is_killed_ends_the_run_in_one_line_and_it_goes_on_later(
    judged: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with Command(folder, "run", judged, "--quick", "--out", folder, *options(*SHORT)) as command:
        command.wait_for("[training")
        assert "reward" in node_processes(folder)
        kill(node_processes(folder)["reward"])
        status, seconds = command.end()
        assert status == 2 and seconds < patience(10.0)
        assert error_line(command.stderr).startswith("serl: reward was killed (SIGKILL)")
        assert not node_processes(folder)
    with Command(folder, "run", judged, "--resume", folder) as command:
        assert command.end()[0] == 0, command.stderr
