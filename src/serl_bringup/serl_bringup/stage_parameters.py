# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a stage adds to a task's parameters; the same under `./serl` and `ros2 launch`."""

from __future__ import annotations

from pathlib import Path

from serl_bringup.config import RunConfig
from serl_bringup.tasks import Task
from serl_core.errors import ConfigError

DEMO_SEED, EVALUATION_SEED = 1_000_003, 2_000_003
"""Added to the run's seed, so that demonstrations, training and evaluation start from different places."""

ROBOT_SEED = 100_003
"""Added once for each further of several robots, which start from different places too."""


def for_demonstrations(task: Task, bag: Path, episodes: int, seed: int) -> Task:
    """Record that many successful episodes of the operator to `bag`; 0: until told to stop."""
    return (
        task.with_values("env", policy=False, operator=True, max_successes=episodes, seed=DEMO_SEED + seed)
        .with_values("operator", seed=DEMO_SEED + seed)
        .with_values("recorder", bag=str(bag))
    )


def for_training(task: Task, out: Path, demos: Path | None, seed: int, pace: bool) -> Task:
    """Learn in the run folder `out`; `pace` holds the update-to-data ratio, which real time cannot."""
    return (
        task.with_values("env", seed=seed)
        .with_values("actor", seed=seed)
        .with_values("learner", out=str(out), demos=str(demos or ""), seed=seed, pace=pace)
    )


def of_robot(task: Task, index: int) -> Task:
    """Give one of several robots, counted from 0, seeds of its own."""
    for node in ("env", "actor", "operator"):
        task = task.with_values(node, seed=task.parameters[node]["seed"] + index * ROBOT_SEED)
    return task


def of_person(task: Task, device: str) -> Task:
    """Let a person with a device have the arm, in real time: a simulation does not outrun them."""
    speed = task.parameters["env"]["real_time_factor"] or 1.0
    return task.with_values("env", operator=True, real_time_factor=speed).with_values(
        "intervention", devices=[device]
    )


def with_interventions(task: Task, seed: int) -> Task:
    """Let the scripted operator take over in training where the policy fails; ConfigError if the task has none."""
    if not task.parameters["operator"]["expert"]:
        raise ConfigError(
            f"task {task.name} has no scripted operator (operator.expert): set run.intervention=none"
        )
    corrective = task.with_values("operator", style="corrective", seed=seed)
    return corrective.with_values("env", operator=True)


def for_evaluation(task: Task, checkpoint: Path, bag: Path, episodes: int, seed: int) -> Task:
    """Run trials of a checkpoint, acting as `run.eval_actions` says, and record them to `bag`."""
    mean = task.config("run", RunConfig).eval_actions == "mean"
    return (
        task.with_values("env", max_episodes=episodes, seed=EVALUATION_SEED + seed)
        .with_values("actor", checkpoint=str(checkpoint), deterministic=mean, seed=EVALUATION_SEED + seed)
        .with_values("recorder", bag=str(bag))
    )
