# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the commands do: stages in order, in a run folder, with progress, plots and a summary."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from serl_actor.intervention.config import DEVICES
from serl_bringup import stage_parameters, stages
from serl_bringup.config import RunConfig
from serl_bringup.nodes_schema import SCHEMAS, schemas_for
from serl_bringup.page.recording import RecordingDesk
from serl_bringup.page.server import PageServer
from serl_bringup.pretraining import pretrain_backbone
from serl_bringup.progress import Progress
from serl_bringup.run_folder import OPTIONS, RunFolder, versions
from serl_bringup.statistics import WINDOW, human_seconds, human_share, mean_interval, wilson_interval
from serl_bringup.supervisor import choose_domain
from serl_bringup.tasks import Task, load_task
from serl_core.errors import ConfigError, SerlError
from serl_core.types import EpisodeSummary
from serl_env_node.config import EnvConfig
from serl_learner.vision.backbone_file import load_backbone
from serl_learner.vision.config import VisionOptions

QUICK = ("run.demos=5", "run.train_minutes=0.75", "run.stop_after_successes=0", "run.eval_episodes=5")
"""What `--quick` sets: every stage, none long enough for a good policy."""


def run_task(
    name: str,
    seed: int,
    out: Path | None,
    settings: Sequence[str],
    resume: Path | None,
    quick: bool,
    console: Console,
    device: str = "none",
    demos: Path | None = None,
) -> dict[str, Any]:
    """Demonstrate, train, evaluate; return the summary, which is written to the run folder too.

    `device` is who may take over in training: short for the setting run.intervention. `demos` is a recording of
    demonstrations to use instead of making one: short for learner.demos.

    A resumed run takes its seed and settings from the folder; settings given anew come on top.
    """
    if resume is not None and out is not None:
        raise ConfigError("--resume names the folder already: leave out --out")
    if device != "none":
        settings = [*settings, f"run.intervention={device}"]
    if demos is not None:
        settings = [*settings, f"learner.demos={demos.absolute()}"]
    if resume is None:
        asked = _load(name, settings)  # before a folder is made
        if asked.parameters["learner"]["demos"]:
            _read_demonstrations(asked, lambda text: None)
    with RunFolder.create(resume or out, name, resume=resume is not None, latest=True) as folder:
        new = {"seed": seed, "settings": [], "quick": quick}
        options = new if resume is None else folder.finished(OPTIONS)
        if options is None:
            raise ConfigError(f"{resume} is no folder that ./serl run began: there is nothing to resume")
        options = {**options, "settings": [*options["settings"], *settings]}
        seed, quick = int(options["seed"]), bool(options["quick"])
        task = _load(name, [*(QUICK if quick else ()), *options["settings"]])
        folder.finish(OPTIONS, **options)  # what does not fit is not remembered
        config = task.config("run", RunConfig)
        task.write(folder.parameters)
        choose_domain()
        console.print(f"run folder: {folder.path}", soft_wrap=True)
        if quick:
            console.print("--quick: a taste of every stage; the policy will not be good")
        try:
            with Progress(console) as progress:
                demos_bag, demo_seconds = _demonstrations(task, folder, config, seed, progress)
                task, backbone = _with_backbone(task, "learner", folder, seed, progress)
                trained = folder.finished("train")
                if trained is None:
                    spent = (folder.finished("train_progress") or {"seconds": 0.0})["seconds"]
                    trained = vars(stages.train(task, folder, demos_bag, seed, progress.update, spent))
                    folder.finish("train", **trained)
                trials = stages.evaluate(
                    task,
                    folder,
                    folder.path,
                    folder.fresh_bag("eval"),
                    config.eval_episodes,
                    seed,
                    progress.update,
                )
        except (KeyboardInterrupt, SerlError):
            console.print(f"go on with: ./serl run {name} --resume '{folder.path}'", soft_wrap=True)
            raise
        summary = {
            **_trial_figures(trials),
            "task": name,
            "method": task.parameters["learner"]["agent"],
            "intervention": config.intervention,
            **_intervention_figures(folder),
            "train_seconds": trained["seconds"],
            "train_end": trained["reason"],
            "env_steps": trained["env_steps"],
            "critic_updates": trained["critic_updates"],
            "backbone": backbone,
            "demos": len(demo_seconds),
            "demos_bag": demos_bag,
            "demo_cycle_time_s": mean_interval(demo_seconds)[0],
            "eval_actions": task.config("run", RunConfig).eval_actions,
            "seed": seed,
            "quick": quick,
            "versions": versions(),
        }
        written = _write(folder, summary)
        _plots(task, folder, demo_seconds)
        if advice := fooled_advice(trials, folder.bag, task.parameters["env"].get("ground_truth", "")):
            console.print(advice, soft_wrap=True)
        return written


def record_demos(
    name: str,
    episodes: int,
    seed: int,
    out: Path | None,
    settings: Sequence[str],
    console: Console,
    device: str = "scripted",
    page: bool = False,
    port: int = 0,
) -> Path:
    """Record demonstrations; return the bag's folder.

    Args:
        name: Name of the task.
        episodes: Demonstrations to record.
        seed, out, settings, console: As for `run_task`.
        device: "scripted", or a device of a person.
        page: Serve a page on which a person looks on, keeps or discards, and marks frames.
        port: Of the page; 0: any free one.
    """
    task = load_task(name, settings, schemas_for(device))
    if device in DEVICES:
        task = stage_parameters.with_devices(task, device)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder.create(out, name))
        task.write(folder.parameters)
        choose_domain()
        desk = None
        if page:
            desk = RecordingDesk(folder.demos_bag, episodes)
            server = stack.enter_context(PageServer(desk, port))
            console.print(
                f"open {server.address} in a browser to look on, keep, discard and mark frames;"
                " Finish there, or Ctrl-C here, ends the recording",
                soft_wrap=True,
            )
        progress = stack.enter_context(Progress(console))
        stages.demonstrate(task, folder, folder.demos_bag, episodes, seed, progress.update, device, desk)
        return folder.demos_bag


def run_pretrain(
    name: str, seed: int, out: Path | None, settings: Sequence[str], console: Console
) -> dict[str, Any]:
    """Train a ResNet-10 on a task's rendered scenes; return the summary, which names the file of weights."""
    task = load_task(name, ["env.obs=image", *settings], SCHEMAS)
    with RunFolder.create(out, name) as folder:
        task.write(folder.parameters)
        with Progress(console) as progress:
            facts = pretrain_backbone(task, folder.backbone, seed, progress.update)
        return _write(folder, {**facts, "task": name, "seed": seed, "versions": versions()})


def run_bc(
    name: str,
    demos: Path | None,
    seed: int,
    out: Path | None,
    settings: Sequence[str],
    console: Console,
    method: str = "bc",
) -> dict[str, Any]:
    """Clone demonstrations and evaluate the clone; return the summary.

    Args:
        name: Name of the task.
        demos: Bag of demonstrations; None: `run.bc_demos` are recorded.
        seed, out, settings, console: As for `run_task`.
        method: "bc" or "diffusion".
    """
    from serl_learner.agents.config import OFFLINE
    from serl_learner.offline import train_offline

    task = load_task(name, settings, SCHEMAS)
    config = task.config("run", RunConfig)
    with RunFolder.create(out, name, latest=True) as folder:
        task.write(folder.parameters)
        choose_domain()
        with Progress(console) as progress:
            if demos is None:
                demos = folder.demos_bag
                stages.demonstrate(task, folder, demos, config.bc_demos, seed, progress.update)
            task, backbone = _with_backbone(task, method, folder, seed, progress)
            trained = train_offline(
                demos,
                task.parameters["env"]["task"],
                task.config(method, OFFLINE[method]),
                folder.path,
                seed,
                progress.note,
            )
            trials = stages.evaluate(
                task, folder, folder.path, folder.fresh_bag("eval"), config.eval_episodes, seed, progress.update,
                "evaluation of cloning",
            )  # fmt: skip
        summary = {
            **_trial_figures(trials),
            "task": name,
            "method": method,
            "demos": trained.demos,
            "backbone": backbone,
            "demo_cycle_time_s": trained.demo_cycle_time_s,
            "train_seconds": trained.seconds,
            "eval_actions": task.config("run", RunConfig).eval_actions,
            "seed": seed,
            "versions": versions(),
        }
        return _write(folder, summary)


def run_eval(
    name: str,
    checkpoint: Path,
    episodes: int,
    seed: int,
    out: Path | None,
    settings: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Evaluate a checkpoint; return the summary."""
    from serl_learner.checkpoint import load_policy

    task = load_task(name, settings, SCHEMAS)
    loaded = load_policy(checkpoint)
    if loaded.spec.task != task.parameters["env"]["task"]:
        raise ConfigError(f"{checkpoint} is a checkpoint of task {loaded.spec.task!r}, not of {name!r}")
    with RunFolder.create(out, name) as folder:
        task.write(folder.parameters)
        choose_domain()
        with Progress(console) as progress:
            trials = stages.evaluate(
                task, folder, checkpoint.absolute(), folder.fresh_bag("eval"), episodes, seed, progress.update
            )
        summary = {
            **_trial_figures(trials),
            "task": name,
            "checkpoint": str(checkpoint),
            "policy_version": loaded.weights.version,
            "eval_actions": task.config("run", RunConfig).eval_actions,
            "seed": seed,
            "versions": versions(),
        }
        return _write(folder, summary)


def _load(name: str, settings: Sequence[str]) -> Task:
    """Load the task of a run: a person's device has settings of its own, which only a run with one knows."""
    asked = load_task(name, [s for s in settings if not s.startswith("intervention.")], SCHEMAS)
    run = asked.config("run", RunConfig)
    if run.robots > 1 and run.intervention in DEVICES:
        raise ConfigError(f"a person with a {run.intervention} minds one robot: leave out run.robots")
    task = load_task(name, settings, schemas_for(run.intervention))
    return stage_parameters.with_devices(task, run.intervention) if run.intervention in DEVICES else task


def _demonstrations(
    task: Task, folder: RunFolder, config: RunConfig, seed: int, progress: Progress
) -> tuple[Path | None, list[float]]:
    """Return the bag of the demonstrations, recorded now unless learner.demos names one, and their durations [s]."""
    from serl_learner.recording import read_episodes

    if task.parameters["learner"]["demos"]:
        return Path(task.parameters["learner"]["demos"]), _read_demonstrations(task, progress.note)
    if not config.demos:
        return None, []
    if folder.finished("demos") is None:
        # An interrupted recording is continued, from other starting places than those it has.
        begun = any(folder.demos_bag.glob("*.mcap"))
        have = sum(e.success for e in read_episodes(folder.demos_bag)) if begun else 0
        if have < config.demos:
            missing = config.demos - have
            stages.demonstrate(task, folder, folder.demos_bag, missing, seed + have, progress.update)
        folder.finish("demos", episodes=config.demos)
    return folder.demos_bag, [e.duration for e in read_episodes(folder.demos_bag) if e.success]


def _read_demonstrations(task: Task, warn: Callable[[str], None]) -> list[float]:
    """Return the durations [s] of the demonstrations in learner.demos; one line where there is none of this task."""
    from serl_learner.demonstrations import read_demonstrations, spec_of_task

    bag = Path(task.parameters["learner"]["demos"])
    spec = spec_of_task(bag, task.parameters["env"]["task"])
    return [len(episode) * spec.step_seconds for episode in read_demonstrations(bag, spec, warn)]


def _with_backbone(
    task: Task, node: str, folder: RunFolder, seed: int, progress: Progress
) -> tuple[Task, dict[str, Any]]:
    """Give learner and actor the same frozen weights, pre-trained on the task where a ResNet-10 has none.

    Args:
        task: As it was loaded.
        node: Whose settings say which encoder: "learner", "bc" or "diffusion".
        folder: Of the run; weights made here stay there.
        seed: Of the pre-training.
        progress: Told about it.

    Returns:
        The task with the file's name filled in, and what images are read through, for the summary.
    """
    options = task.config(node, VisionOptions)
    if task.config("env", EnvConfig).obs != "image":
        return task, {"encoder": "none"}
    if options.encoder != "resnet10":
        return task, {"encoder": options.encoder}
    facts: dict[str, Any] = {}
    path = options.resnet10_weights
    if not path:
        path = str(folder.backbone)
        done = folder.finished("pretrain")
        if done is None:
            done = pretrain_backbone(task, folder.backbone, seed, progress.update)
            folder.finish("pretrain", **done)
        facts = {"pretrain_seconds": done["seconds"], "median_error_m": done["median_error_m"]}
    backbone = load_backbone(path)
    facts |= {"origin": backbone.origin or "unknown", "digest": backbone.digest, "filters": backbone.filters}
    task = task.with_values(node, resnet10_weights=path).with_values("actor", resnet10_weights=path)
    return task, {"encoder": options.encoder, **facts}


def _write(folder: RunFolder, summary: dict[str, Any]) -> dict[str, Any]:
    """Write the summary and return it as it is in the file, where a missing figure is null and not NaN."""
    return dict(json.loads(folder.write_summary(summary).read_text()))


def _intervention_figures(folder: RunFolder) -> dict[str, Any]:
    """Return how much a person did in the training; NaN where there is nothing to count yet.

    The share of the steps over the whole training and over its end, which must fall towards zero (HIL-SERL,
    Fig. 4); interventions by count and episode, and their mean length [s].
    """
    from serl_learner.recording import read_episodes

    episodes = list(read_episodes(folder.bag))
    count = sum(e.interventions for e in episodes)
    return {
        "human_share": human_share(episodes),
        "human_share_last": human_share(episodes[-WINDOW:]),
        "interventions": count,
        "interventions_per_episode": count / len(episodes) if episodes else math.nan,
        "intervention_mean_s": sum(map(human_seconds, episodes)) / count if count else math.nan,
    }


def _trial_figures(trials: Sequence[EpisodeSummary]) -> dict[str, Any]:
    """Return the figures of an evaluation; success is by ground truth where that is known."""
    successes = sum(e.achieved for e in trials)
    mean, low, high = mean_interval([e.duration for e in trials if e.achieved])
    return {
        "success_rate": successes / len(trials),
        "reward_success_rate": sum(e.success for e in trials) / len(trials),
        "fooled_rate": sum(e.fooled for e in trials) / len(trials),
        "success_ci95": list(wilson_interval(successes, len(trials))),
        "episodes": len(trials),
        "cycle_time_s": mean,
        "cycle_time_ci95_s": [low, high],
        "peak_force_n": max(e.peak_force for e in trials),
    }


def fooled_advice(trials: Sequence[EpisodeSummary], bag: Path, ground_truth: str) -> str:
    """Return what to do about a reward that pays for what is no success; empty where none was seen to.

    Args:
        trials: Episodes of the evaluation.
        bag: What the training went through.
        ground_truth: "module:Class" of the reward that knows, as the task's parameters name it.
    """
    fooled = sum(e.fooled for e in trials)
    if not fooled:
        return ""
    return (
        f"{fooled} of {len(trials)} trials were rewarded without having achieved the task. If a classifier pays, "
        f"show it what it took for a success: ./serl label '{bag}' --ground-truth --reward {ground_truth}, then "
        f"./serl classifier train '{bag}' --out CLASSIFIER --add, and train anew"
    )


def _plots(task: Task, folder: RunFolder, demo_seconds: Sequence[float]) -> None:
    from serl_bringup import plots
    from serl_bringup.figure5 import reference_limiting_traces
    from serl_learner.recording import read_episodes

    folder.plots.mkdir(exist_ok=True)
    episodes = list(read_episodes(folder.bag))
    plots.learning_curve(episodes, folder.plots / "learning_curve.png")
    plots.cycle_time(episodes, folder.plots / "cycle_time.png", demo_seconds=mean_interval(demo_seconds)[0])
    if task.config("run", RunConfig).intervention != "none":
        plots.interventions(episodes, folder.plots / "interventions.png")
    traces = reference_limiting_traces(task)
    if traces is not None:
        plots.reference_limiting(*traces, folder.plots / "reference_limiting.png")
