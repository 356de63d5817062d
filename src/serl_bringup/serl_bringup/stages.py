# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The stages of a run: demonstrate, train, evaluate, and behaviour cloning beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from serl_actor.intervention.caution import caution
from serl_actor.intervention.config import DEVICES
from serl_bringup import graph, stage_parameters
from serl_bringup.config import RunConfig
from serl_bringup.monitor_node import Monitor
from serl_bringup.page.recording import RecordingDesk
from serl_bringup.progress import RunStatus
from serl_bringup.run_folder import RunFolder
from serl_bringup.supervisor import Supervisor, terminal_given_back
from serl_bringup.tasks import Task
from serl_core.types import EpisodeSummary
from serl_learner.checkpoint import find_checkpoint
from serl_learner.recording import count_transitions

LOOK_SECONDS = 0.2
NOTE_SECONDS = 5.0
"""How often the training time used is noted, so that a resumed run knows what is left."""

Report = Callable[[RunStatus], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a training stage came to; counts include earlier parts of a resumed run."""

    seconds: float
    env_steps: int
    critic_updates: int
    reason: str


@contextmanager
def _running(
    nodes: Sequence[graph.NodeSpec], task: Task, folder: RunFolder, stage: str, robots: Sequence[str] = ()
) -> Iterator[tuple[Monitor, Supervisor]]:
    """Bring a graph up, the robot's side in each namespace of `robots`; take it down in order whatever happens."""
    parameters = folder.parameters.with_name(f"{stage}_parameters.yaml")
    task.write(parameters, {robot: stage_parameters.of_robot(task, i) for i, robot in enumerate(robots)})
    nodes = graph.of_robots(graph.with_reward(nodes, task.parameters["env"]), robots)
    keys = graph.INTERVENTION in nodes and "keyboard" in task.parameters["intervention"]["devices"]
    with (
        terminal_given_back() if keys else nullcontext(),
        Monitor(robots) as monitor,
        Supervisor(nodes, parameters, folder.logs / stage) as supervisor,
    ):
        monitor.bring_up(nodes, supervisor.check)
        yield monitor, supervisor


def _watch(
    monitor: Monitor, supervisor: Supervisor, done: Callable[[], bool], report: Callable[[], None]
) -> None:
    while not done():
        supervisor.check()
        report()
        time.sleep(LOOK_SECONDS)
    report()


def demonstrate(
    task: Task,
    folder: RunFolder,
    bag: Path,
    episodes: int,
    seed: int,
    report: Report,
    device: str = "scripted",
    desk: RecordingDesk | None = None,
) -> list[EpisodeSummary]:
    """Record successful demonstrations to `bag`.

    At a desk the person says when there are enough, and Ctrl-C ends with what is kept, if anything is.

    Args:
        task: Task with its parameters.
        folder: Run folder.
        bag: Where to record.
        episodes: Demonstrations to record.
        seed: Of the resets and of the scripted operator.
        report: Called with the status a few times a second.
        device: "scripted", or a device of the person whose demonstrations go the same path.
        desk: Where a person looks on and decides what is kept; None: every success is.
    """
    # Where a person may discard, nobody but the desk knows when there are enough.
    task = stage_parameters.for_demonstrations(task, bag, 0 if desk is not None else episodes, seed)
    nodes = graph.DEMONSTRATE
    if device != "scripted":
        task = stage_parameters.of_person(task)
        nodes = graph.with_operator(nodes, graph.INTERVENTION)
    began = time.monotonic()
    with _running(nodes, task, folder, "demos") as (monitor, supervisor):
        if desk is not None:
            monitor.show_at(desk)

        def kept() -> int:
            return monitor.successes() if desk is None else desk.kept()

        def enough() -> bool:
            return kept() >= episodes if desk is None else desk.finished()

        def show() -> None:
            waits = desk is not None and kept() >= episodes and not enough()
            report(RunStatus(stage="enough: press Finish" if waits else "demonstrations",
                             episodes=monitor.episodes, elapsed_s=time.monotonic() - began, warning=monitor.lost,
                             fraction=min(1.0, kept() / max(1, episodes))))  # fmt: skip

        try:
            _watch(monitor, supervisor, enough, show)
        except KeyboardInterrupt:
            if desk is None or not desk.kept():
                raise
        ended = len(monitor.episodes)  # at a desk more go on ending
        _watch(monitor, supervisor, lambda: monitor.all_on_disk(ended), show)
        return list(monitor.episodes)


def train(
    task: Task, folder: RunFolder, demos: Path | None, seed: int, report: Report, spent_seconds: float = 0.0
) -> TrainingResult:
    """Train until enough successes in a row, or until the time or the steps are used up.

    The clock starts when the learner is ready: its networks are compiled before the first step.

    Args:
        task: Task with its parameters.
        folder: Run folder; an earlier part of the run found there is continued.
        demos: Bag of demonstrations; None trains without.
        seed: Seed of learner, actor and resets.
        report: Called with the status a few times a second.
        spent_seconds: Training time of earlier parts of a resumed run [s].
    """
    run = task.config("run", RunConfig)
    person = run.intervention in DEVICES
    real_time = person or task.parameters["env"]["real_time_factor"] > 0.0
    task = stage_parameters.for_training(task, folder.path, demos, seed, pace=not real_time)
    nodes = graph.TRAIN
    if run.intervention == "scripted":
        task = stage_parameters.with_interventions(task, seed)
        nodes = graph.with_operator(nodes, graph.OPERATOR)
    elif person:
        task = stage_parameters.of_person(task)
        nodes = graph.with_operator(nodes, graph.INTERVENTION)
    robots = [f"robot_{i + 1}" for i in range(run.robots)] if run.robots > 1 else []
    task = task.with_values("learner", robots=robots)
    step_seconds = 1.0 / task.parameters["env"]["rate_hz"]
    budget = run.train_minutes * 60.0 - spent_seconds
    reason, launched = "", time.monotonic()
    with _running(nodes, task, folder, "train", robots) as (monitor, supervisor):

        def starting() -> None:
            report(RunStatus(stage="start of training", elapsed_s=time.monotonic() - launched, fraction=0.0))

        _watch(monitor, supervisor, lambda: monitor.learner is not None, starting)
        began, noted = time.monotonic(), 0.0

        def elapsed() -> float:
            return time.monotonic() - began

        def streak() -> int:
            count = 0
            for episode in reversed(monitor.episodes):
                if not episode.success or episode.human_steps:
                    break
                count += 1
            return count

        def done() -> bool:
            nonlocal reason
            steps = monitor.learner.env_steps if monitor.learner else 0
            if elapsed() >= budget:
                reason = "time is up"
            elif steps >= run.max_env_steps:
                reason = "step limit"
            elif run.stop_after_successes and streak() >= run.stop_after_successes:
                reason = f"{run.stop_after_successes} successes in a row"
            return bool(reason)

        def show() -> None:
            nonlocal noted
            if elapsed() - noted > NOTE_SECONDS:
                noted = elapsed()
                folder.finish("train_progress", seconds=spent_seconds + noted)
            report(RunStatus(stage="training", episodes=monitor.episodes, learner=monitor.learner,
                             warning=monitor.lost or caution(monitor.episodes, step_seconds),
                             elapsed_s=spent_seconds + elapsed(), fraction=min(1.0, elapsed() / max(budget, 1e-9)),
                             time_left_s=max(0.0, budget - elapsed())))  # fmt: skip

        _watch(monitor, supervisor, done, show)
        seconds = spent_seconds + elapsed()
    # From the disk, since the learner's last pulse came before its last update.
    updates = int(find_checkpoint(folder.path).name)
    return TrainingResult(seconds, count_transitions(folder.bag), updates, reason)


def evaluate(
    task: Task, folder: RunFolder, checkpoint: Path, bag: Path, episodes: int, seed: int, report: Report,
    stage: str = "evaluation",
) -> list[EpisodeSummary]:  # fmt: skip
    """Run trials of a checkpoint and record them to `bag`."""
    task = stage_parameters.for_evaluation(task, checkpoint, bag, episodes, seed)
    began = time.monotonic()
    with _running(graph.EVALUATE, task, folder, stage.replace(" ", "_")) as (monitor, supervisor):

        def show() -> None:
            report(RunStatus(stage=stage, episodes=monitor.episodes, elapsed_s=time.monotonic() - began,
                             fraction=len(monitor.episodes) / max(1, episodes)))  # fmt: skip

        _watch(monitor, supervisor, lambda: len(monitor.episodes) >= episodes and monitor.all_on_disk(), show)
        return list(monitor.episodes)
