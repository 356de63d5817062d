# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a stage adds to a task's parameters; the same under `./serl` and `ros2 launch`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.factory import make_teleoperation
from serl_bringup.config import RunConfig
from serl_bringup.supervisor import terminal_name
from serl_bringup.tasks import Task
from serl_core.errors import ConfigError
from serl_learner.checkpoint import CHECKPOINTS

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
        _with_vice(task, learns=True, folder=out)
        .with_values("env", seed=seed)
        .with_values("actor", seed=seed)
        .with_values("learner", out=str(out), demos=str(demos or ""), seed=seed, pace=pace)
    )


def _with_vice(task: Task, learns: bool, folder: Path) -> Task:
    """Tell VICE whether to learn and, unless the task says so, that it keeps what it learned in the run's folder.

    Under whatever prefix and in whichever node a task has it.
    """
    for node, values in task.parameters.items():
        for name in [name for name in values if name == "vice_learns" or name.endswith("_vice_learns")]:
            own = name.removesuffix("_learns")
            state = values[f"{own}_state"] or str(folder / f"{own}.safetensors")
            task = task.with_values(node, **{name: learns, f"{own}_state": state})
    return task


def of_robot(task: Task, index: int) -> Task:
    """Give one of several robots, counted from 0, seeds of its own, and its own VICE where that learns."""
    for node in ("env", "actor", "operator"):
        task = task.with_values(node, seed=task.parameters[node]["seed"] + index * ROBOT_SEED)
    for node, values in task.parameters.items() if index else ():
        for name in [name for name in values if name.endswith("vice_state") and values[name]]:
            path = Path(values[name])
            task = task.with_values(node, **{name: str(path.with_stem(f"{path.stem}-{index}"))})
    return task


def with_devices(task: Task, device: str) -> Task:
    """Give a person the devices that are configured if `device` is among them, else that one alone.

    A keyboard whose source is not configured is that of the terminal that this process was started from.
    ConfigError where several others are configured, the lists do not fit, or there is no such terminal.
    """
    config = task.config("intervention", InterventionConfig)
    if device not in config.devices:
        if len(config.devices) > 1:
            raise ConfigError(
                f"device {device} is none of intervention.devices ({', '.join(config.devices)}):"
                " name one of them, or set others"
            )
        config = replace(config, devices=(device,))
    make_teleoperation(config)
    sources = [
        given or (terminal_name() if kind == "keyboard" else "")
        for kind, given in zip(config.devices, config.sources or [""] * len(config.devices), strict=True)
    ]
    return task.with_values("intervention", devices=config.devices, sources=sources)


def of_person(task: Task) -> Task:
    """Let a person have the arm, in real time: a simulation does not outrun them."""
    speed = task.parameters["env"]["real_time_factor"] or 1.0
    return task.with_values("env", operator=True, real_time_factor=speed)


def with_interventions(task: Task, seed: int) -> Task:
    """Let the scripted operator take over in training where the policy fails; ConfigError if the task has none."""
    if not task.parameters["operator"]["expert"]:
        raise ConfigError(
            f"task {task.name} has no scripted operator (operator.expert): set run.intervention=none"
        )
    corrective = task.with_values("operator", style="corrective", seed=seed)
    return corrective.with_values("env", operator=True)


def for_evaluation(task: Task, checkpoint: Path, bag: Path, episodes: int, seed: int) -> Task:
    """Run trials of a checkpoint, acting as `run.eval_actions` says, and record them to `bag`.

    VICE judges as it did at the end of the run that the checkpoint is of.
    """
    mean = task.config("run", RunConfig).eval_actions == "mean"
    above = (checkpoint, *checkpoint.absolute().parents[:2])
    run = next((folder for folder in above if (folder / CHECKPOINTS).is_dir()), checkpoint)
    return (
        _with_vice(task, learns=False, folder=run)
        .with_values("env", max_episodes=episodes, seed=EVALUATION_SEED + seed)
        .with_values("actor", checkpoint=str(checkpoint), deterministic=mean, seed=EVALUATION_SEED + seed)
        .with_values("recorder", bag=str(bag))
    )
