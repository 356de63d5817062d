# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The scripted experts do the shipped tasks as their environments judge it, without knocking anything over."""

from __future__ import annotations

import pytest

from serl_actor.intervention.config import OperatorConfig
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.tasks import load_task
from serl_core.plugins import load
from serl_env_node.config import EnvConfig
from serl_env_node.factory import make_environment
from serl_reward.assembly import make_reward

EPISODES = 5


def run(name: str, episodes: int) -> tuple[list[str], list[float]]:
    """Return how each episode of a task's expert ended, and its largest force [N]."""
    task = load_task(name, schemas=SCHEMAS)
    config = task.config("env", EnvConfig)
    arm_class = load(config.arm, "arm")
    arm = arm_class.from_parameters(task.config("env", arm_class.Config))
    environment = make_environment(
        config, arm, make_reward(config.reward, lambda cls: task.config("env", cls))
    )
    expert = load(task.config("operator", OperatorConfig).expert, "expert")(seed=1)
    ends, forces = [], []
    try:
        for episode in range(episodes):
            observation, _ = environment.reset(episode)
            expert.reset()
            force = 0.0
            for _ in range(environment.spec.max_steps):
                result = environment.step(expert.act(observation))
                observation, force = result.state, max(force, result.peak_force)
                if result.terminated or result.truncated:
                    break
            ends.append(result.end_reason or "time is up")
            forces.append(force)
    finally:
        environment.close()
    return ends, forces


@pytest.mark.parametrize(
    "name", ["pcb_insertion", "ram_insertion", "peg_insertion", "cable_routing", "block_lift"]
)
def test_the_expert_does_the_task(name):
    ends, forces = run(name, EPISODES)
    assert ends.count("success") >= EPISODES - 1, f"so the episodes ended: {ends}"
    limit = load_task(name, schemas=SCHEMAS).config("env", EnvConfig).force_limit
    assert max(forces) < limit
