# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a launch starts: nodes, parameters and the run's folder, from the same sources as `./serl`. No ROS."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serl_bringup import graph, stage_parameters
from serl_bringup.nodes_schema import WITH_PERSON
from serl_bringup.run_folder import RunFolder
from serl_bringup.tasks import Task, load_task
from serl_core.errors import ConfigError

STAGES = ("train", "demos", "eval")

LAUNCH_SCHEMAS = WITH_PERSON
"""Config classes by node, of all that a launch may start."""

OPERATORS = {"none": (), "scripted": (graph.OPERATOR,), "person": (graph.INTERVENTION,)}
"""Who may take over, and the nodes that it takes."""


@dataclass(frozen=True)
class LaunchPlan:
    """What to start on this machine.

    Attributes:
        task: With every parameter that the stage sets.
        folder: Of the run, locked while this process lives.
        parameters: The nodes' parameter file.
        nodes: In start order; the first is the one that ends last.
        robot: Name of the robot whose controllers run here, "" where none do.
        until: What ends the launch: "max_episodes" or "max_successes"; empty: Ctrl-C.
    """

    task: Task
    folder: RunFolder
    parameters: Path
    nodes: tuple[graph.NodeSpec, ...]
    robot: str
    until: Mapping[str, int]

    @property
    def env(self) -> Mapping[str, Any]:
        """Parameters of the environment's node."""
        return self.task.parameters["env"]


def make_plan(
    task: str,
    robot: str,
    stage: str,
    *,
    obs: str = "state",
    seed: int = 0,
    real_time_factor: float = 1.0,
    settings: str = "",
    out: str = "",
    resume: str = "",
    demos: str = "",
    checkpoint: str = "",
    episodes: int = 0,
    learner: bool = True,
    actor: bool = True,
    operator: str = "none",
) -> LaunchPlan:
    """Read the task, make the run's folder, and write the parameter file.

    Args:
        task: Name of the task.
        robot: One of the task's robots.
        stage: "train", "demos" or "eval".
        obs: "state" or "image".
        seed: Of learner, actor and resets.
        real_time_factor: Speed of the arm's clock; 0: as fast as a simulation can.
        settings: More of `--set`, separated by spaces: "env.max_steps=50 learner.utd_ratio=2".
        out: Folder of the run; "": a new one below runs/.
        resume: Folder of a run to go on with; "": none.
        demos: Bag of demonstrations to train with.
        checkpoint: Run or checkpoint folder to evaluate.
        episodes: Successes to record, or trials to evaluate; 0: until stopped.
        learner: The learner runs on this machine.
        actor: The robot, the environment and the actor run on this machine.
        operator: Who may take over in training, and gives the demonstrations: one of `OPERATORS`.

    Raises:
        ConfigError: something does not fit; one line that names it.
    """
    if stage not in STAGES:
        raise ConfigError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
    if not (learner or actor):
        raise ConfigError("learner:=false and actor:=false leave nothing to start")
    if resume and out:
        raise ConfigError("resume names the folder already: leave out `out`")
    asked = [f"env.obs={obs}", f"env.real_time_factor={real_time_factor}", *_settings(settings)]
    if operator not in OPERATORS or (stage == "demos" and operator == "none"):
        raise ConfigError(
            f"operator must be one of {', '.join(OPERATORS)}, got {operator!r}, and demos need one"
        )
    rendered = actor and robot == "mujoco" and obs == "image"
    loaded = load_task(task, asked, LAUNCH_SCHEMAS, robot=robot)
    if stage == "train":
        loaded = _with_backbone(loaded)
    bag, weights = _existing(demos, "demos"), _existing(checkpoint, "checkpoint")
    if stage == "eval" and weights is None:
        raise ConfigError("checkpoint must name a run or a checkpoint folder")
    folder = RunFolder.create(
        Path(resume or out) if resume or out else None, task, resume=bool(resume), latest=stage == "train"
    )
    until: dict[str, int] = {}
    try:
        if stage == "train":
            nodes = (*graph.TRAIN[:-1], *OPERATORS[operator], graph.ENV)
            loaded = stage_parameters.for_training(loaded, folder.path, bag, seed, pace=False)
            if operator == "scripted":
                loaded = stage_parameters.with_interventions(loaded, seed)
            else:
                loaded = loaded.with_values("env", operator=operator == "person")
        elif stage == "demos":
            nodes = (graph.RECORDER, *OPERATORS[operator], graph.ENV)
            loaded = stage_parameters.for_demonstrations(loaded, folder.fresh_bag("demos"), episodes, seed)
            until = {"max_successes": episodes}
        else:
            nodes = graph.EVALUATE
            assert weights is not None
            trials = folder.fresh_bag("eval")
            loaded = stage_parameters.for_evaluation(loaded, weights, trials, episodes, seed)
            until = {"max_episodes": episodes}
        nodes = graph.with_reward(nodes, loaded.parameters["env"])
        loaded.write(folder.parameters)
    except BaseException:
        folder.close()
        raise
    return LaunchPlan(
        task=loaded,
        folder=folder,
        parameters=folder.parameters,
        nodes=graph.on_this_machine(
            (nodes[0], graph.CAMERAS, *nodes[1:]) if rendered else nodes, learner=learner, robot=actor
        ),
        robot=robot if actor else "",
        until=until,
    )


def _with_backbone(task: Task) -> Task:
    """Let learner and actor read cameras through the same file; ConfigError where they must and none is named."""
    learner, actor = (task.parameters[node] for node in ("learner", "actor"))
    if task.parameters["env"]["obs"] != "image" or learner["encoder"] != "resnet10":
        return task
    path = learner["resnet10_weights"] or actor["resnet10_weights"]
    if not path:
        raise ConfigError(
            "obs:=image needs the weights of a ResNet-10: name SERL's resnet10_params.pkl or, in simulation, what"
            f' ./serl pretrain {task.name} made, by settings:="learner.resnet10_weights=FILE"'
        )
    return task.with_values("learner", resnet10_weights=path).with_values(
        "actor", resnet10_weights=actor["resnet10_weights"] or path
    )


def _settings(text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"settings {text!r}: {error}") from error


def _existing(path: str, what: str) -> Path | None:
    if not path:
        return None
    if not Path(path).exists():
        raise ConfigError(f"{what}: {path} does not exist")
    return Path(path).absolute()
