# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The `serl` command: what each subcommand takes, and its errors in one line."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from serl_core.errors import ConfigError, SerlError

app = typer.Typer(
    name="serl",
    help="Teach a torque-controlled arm a contact-rich skill by reinforcement learning. "
    "Start with: ./serl run pcb_insertion (or, for a taste of two minutes, add --quick).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
console = Console(stderr=True)

TaskName = typer.Argument(..., metavar="TASK", help="Name of a task; ./serl tasks lists them.")
Seed = typer.Option(0, min=0, max=900_000, help="Seed of everything random.")
Out = typer.Option(None, metavar="DIR", help="Folder for the results; default runs/TASK/<time>.")
Set = typer.Option(
    [], "--set", metavar="KEY=VALUE", help="Set a task parameter, e.g. learner.batch_size=128."
)

Device = typer.Option(
    None,
    metavar="DEVICE",
    help="scripted, or a person's: spacemouse, gamepad, keyboard, spacenav, joy, leader_pose, leader_joints;"
    " where there are two arms, one of those in --set intervention.devices=[DEVICE, DEVICE].",
)
Port = typer.Option(0, min=0, max=65535, help="Port of the page, on this machine only; 0: any free one.")

classifier = typer.Typer(
    name="classifier", help="Reward classifiers from labelled images.", no_args_is_help=True
)
app.add_typer(classifier)

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show a SerlError as one line on standard error instead of a traceback; exit status 2."""

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> None:
        # SIGTERM ends in order as Ctrl-C does; SIGINT, too, where a shell started this in the background.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        try:
            command(*args, **kwargs)
        except SerlError as error:
            print(f"serl: {error}", file=sys.stderr)
            raise typer.Exit(EXIT_ERROR) from None
        except KeyboardInterrupt:
            print("serl: interrupted; what was recorded is on disk", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return call


@app.command()
@one_line_errors
def run(
    task: str = TaskName,
    seed: int = Seed,
    out: Path | None = Out,
    settings: list[str] = Set,
    resume: Path | None = typer.Option(None, metavar="DIR", help="Go on with the run in this folder."),
    quick: bool = typer.Option(False, "--quick", help="A taste of about two minutes through every stage."),
    device: str | None = Device,
    demos: Path | None = typer.Option(
        None, metavar="BAG", help="Demonstrations made by ./serl demos; default: record run.demos."
    ),
) -> None:
    """Record demonstrations, train, evaluate, and write a summary with plots.

    With --device somebody may take over in training: a person with it, or the scripted operator.
    """
    from serl_bringup.pipeline import run_task

    summary = run_task(
        task,
        seed=seed,
        out=out,
        settings=settings,
        resume=resume,
        quick=quick,
        console=console,
        device=_known_device(device) or "none",
        demos=demos,
    )
    print(json.dumps(summary, indent=2, sort_keys=True))


@app.command()
@one_line_errors
def demos(
    task: str = TaskName,
    episodes: int = typer.Option(20, min=1, help="Successful demonstrations to record."),
    seed: int = Seed,
    out: Path | None = Out,
    settings: list[str] = Set,
    device: str | None = Device,
    page: bool | None = typer.Option(
        None,
        "--page/--no-page",
        help="A page in the browser: cameras live, keep or discard, mark frames. Default: for a person's device.",
    ),
    port: int = Port,
) -> None:
    """Record demonstrations to a bag: the scripted operator's, or with --device a person's.

    The page shows the cameras if they are observed: --set obs=image.
    """
    from serl_bringup.pipeline import record_demos

    by = _known_device(device) or "scripted"
    bag = record_demos(
        task,
        episodes=episodes,
        seed=seed,
        out=out,
        settings=settings,
        console=console,
        device=by,
        page=by != "scripted" if page is None else page,
        port=port,
    )
    print(bag)


@app.command()
@one_line_errors
def pretrain(
    task: str = TaskName,
    seed: int = Seed,
    out: Path | None = Out,
    settings: list[str] = Set,
) -> None:
    """Train a ResNet-10 on a task's rendered scenes, for where ImageNet's weights are not at hand."""
    from serl_bringup.pipeline import run_pretrain

    summary = run_pretrain(task, seed=seed, out=out, settings=settings, console=console)
    print(json.dumps(summary, indent=2, sort_keys=True))


@app.command()
@one_line_errors
def bc(
    task: str = TaskName,
    demos: Path | None = typer.Option(
        None, metavar="BAG", help="Demonstrations; default: record run.bc_demos."
    ),
    seed: int = Seed,
    out: Path | None = Out,
    settings: list[str] = Set,
) -> None:
    """Behaviour cloning on demonstrations, evaluated as a policy of `run` is."""
    from serl_bringup.pipeline import run_bc

    summary = run_bc(task, demos=demos, seed=seed, out=out, settings=settings, console=console)
    print(json.dumps(summary, indent=2, sort_keys=True))


@app.command(name="eval")
@one_line_errors
def evaluate(
    task: str = TaskName,
    checkpoint: Path = typer.Option(
        ..., metavar="DIR", help="A run, its checkpoints folder, or one checkpoint."
    ),
    episodes: int = typer.Option(100, min=1, help="Trials; run.eval_actions says how the policy acts."),
    seed: int = Seed,
    out: Path | None = Out,
    settings: list[str] = Set,
) -> None:
    """Evaluate a checkpoint over many trials."""
    from serl_bringup.pipeline import run_eval

    summary = run_eval(
        task, checkpoint=checkpoint, episodes=episodes, seed=seed, out=out, settings=settings, console=console
    )
    print(json.dumps(summary, indent=2, sort_keys=True))


@app.command()
@one_line_errors
def compare(
    task: str = TaskName,
    methods: str = typer.Option(
        "rlpd,bc",
        metavar="NAME,...",
        help="hil-serl (RLPD with interventions), rlpd, rlpd-no-demos, hg-dagger, residual, ibrl, dapg, bc, diffusion;"
        " hours for many of them.",
    ),
    seeds: int = typer.Option(3, min=1, max=100, help="Runs of each method, with seeds from 0."),
    out: Path | None = typer.Option(
        None, metavar="DIR", help="Folder of the comparison; default runs/TASK/compare."
    ),
    settings: list[str] = Set,
) -> None:
    """Compare methods over seeds: tables and plots. Given again, it goes on where it was interrupted."""
    from serl_bringup.compare import compare as compare_methods

    names = [name.strip() for name in methods.split(",") if name.strip()]
    print(compare_methods(task, names, seeds=seeds, out=out, settings=settings, console=console))


@app.command()
@one_line_errors
def replay(
    bag: Path = typer.Argument(..., metavar="BAG", help="A bag folder or a single .mcap file."),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Rebuild a buffer from a bag and print what is in it."""
    from serl_learner.bag.replay import render
    from serl_learner.bag.replay import replay as replay_bag

    report = replay_bag(bag)
    print(report.to_json() if as_json else render(report))


@app.command()
@one_line_errors
def label(
    bag: Path = typer.Argument(
        ..., metavar="BAG", help="A recording; to mark its frames, one with cameras (--set obs=image)."
    ),
    port: int = Port,
    success: bool | None = typer.Option(
        None,
        "--success/--failure",
        help="Say of a whole episode what it was, also while its run goes on. Without --episode: of the last.",
    ),
    episode: int | None = typer.Option(None, help="With --success or --failure: number of the episode."),
    ground_truth: bool = typer.Option(
        False,
        "--ground-truth",
        help="Label every frame by the task's own reward instead, e.g. in simulation.",
    ),
    reward: str = typer.Option(
        "", metavar="MODULE:CLASS", help="With --ground-truth: another reward than the task's."
    ),
    settings: list[str] = typer.Option(
        [],
        "--set",
        metavar="KEY=VALUE",
        help="With --ground-truth: a task parameter, e.g. a stricter tolerance.",
    ),
    replace: bool = typer.Option(
        False, "--replace", help="With --ground-truth: in the place of frames that are labelled already."
    ),
) -> None:
    """Mark frames of success and of failure for a reward classifier, in a page in the browser, or judge an episode."""
    from serl_bringup.label import label_by_ground_truth, label_by_hand, label_episode

    if (reward or settings or replace) and not ground_truth:
        raise ConfigError("--reward, --set and --replace belong to --ground-truth: name it too")
    if success is not None:
        print(label_episode(bag, success, episode))
    elif episode is not None:
        raise ConfigError("--episode needs --success or --failure")
    elif ground_truth:
        print(label_by_ground_truth(bag, reward, settings, replace))
    else:
        print(label_by_hand(bag, port, lambda text: console.print(text, soft_wrap=True)))


@classifier.command("train")
@one_line_errors
def train_classifier(
    bags: list[Path] = typer.Argument(..., metavar="BAG...", help="Labelled recordings: see ./serl label."),
    out: Path = typer.Option(..., metavar="DIR", help="Folder of the classifier."),
    add: bool = typer.Option(
        False, "--add", help="Add these bags as another round to the classifier in DIR."
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Of the training, e.g. updates=600."
    ),
) -> None:
    """Train a reward classifier on labelled frames, with calibration, threshold and report."""
    from serl_bringup.tasks import parse_settings
    from serl_reward.classifier import command

    command.train(bags, out, parse_settings(settings), add, lambda text: console.print(text, soft_wrap=True))
    print(command.report(out))


@classifier.command("report")
@one_line_errors
def report_classifier(
    folder: Path = typer.Argument(..., metavar="DIR", help="Folder of the classifier."),
) -> None:
    """Say what a classifier reached, and where its report is."""
    from serl_reward.classifier import command

    print(command.report(folder))


@classifier.command("test")
@one_line_errors
def test_classifier(
    bags: list[Path] = typer.Argument(..., metavar="BAG...", help="Labelled recordings."),
    folder: Path = typer.Option(..., "--classifier", metavar="DIR", help="Folder of the classifier."),
    out: Path | None = typer.Option(
        None, metavar="FILE", help="Write a report (HTML) with the worst mistakes."
    ),
) -> None:
    """Judge labelled recordings that the training never saw."""
    from serl_reward.classifier import command

    command.test(folder, bags, out, lambda text: console.print(text, soft_wrap=True))


@app.command()
@one_line_errors
def analyze(
    run: Path = typer.Argument(..., metavar="RUN", help="Folder of a run, e.g. runs/pcb_insertion/latest."),
    x: str = typer.Option(
        "tcp_pose.1", metavar="ARRAY.ELEMENT", help="Horizontal axis; default: y of the tcp."
    ),
    y: str = typer.Option(
        "tcp_pose.2", metavar="ARRAY.ELEMENT", help="Vertical axis; default: z of the tcp."
    ),
    stages: int = typer.Option(4, min=1, max=12, help="Parts of the training to show side by side."),
    out: Path | None = typer.Option(None, metavar="DIR", help="Folder of the pictures; default RUN/plots."),
) -> None:
    """Draw a run's training dynamics: visits, critical states, Q, and the policy over time."""
    from serl_bringup.analyze import analyze as analyze_run

    for picture in analyze_run(run, x, y, stages, out, lambda text: console.print(text, soft_wrap=True)):
        print(picture)


@app.command()
@one_line_errors
def tasks() -> None:
    """List the tasks, with a line about each."""
    from serl_bringup.tasks import describe_task, list_tasks

    names = list_tasks()
    for name in names:
        print(f"{name:{max(map(len, names))}}  {describe_task(name)}".rstrip())


@app.command(name="new-task")
@one_line_errors
def new_task(
    name: str = typer.Argument(..., metavar="NAME", help="Of the task, in snake_case, e.g. my_plug."),
    into: Path = typer.Option(
        Path("tasks"),
        metavar="DIR",
        help="Folder of tasks to write DIR/NAME to. Only ./tasks is searched without SERL_TASK_PATH=DIR.",
    ),
    force: bool = typer.Option(False, "--force", help="Write over the skeleton's files in DIR/NAME."),
) -> None:
    """Write a task of your own that runs as it is: parameters, MuJoCo scene, scripted expert, test, README.

    Every command finds the tasks in ./tasks of the working directory. What to change is in the new task's README.
    """
    from serl_bringup.new_task import write_task

    for path in write_task(name, into, force):
        print(path)
    where = (
        "" if into.resolve() == Path("tasks").resolve() else f"export SERL_TASK_PATH='{into.absolute()}'; "
    )
    console.print(f"next: {where}./serl test {into / name}; ./serl run {name} --quick", soft_wrap=True)


@app.command()
@one_line_errors
def device(
    name: str = typer.Argument(..., metavar="NAME", help="spacemouse, gamepad or keyboard."),
    source: str = typer.Option(
        "", metavar="FILE", help="The device's file, e.g. /dev/input/js1; default: the first one found."
    ),
    seconds: float = typer.Option(
        math.inf, min=0.0, show_default="until Ctrl-C", help="How long to show it."
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="A parameter of the intervention node, e.g. dead_zone=0.1."
    ),
) -> None:
    """Show what a person's device reads, and the action that would come of it, without a robot."""
    from serl_actor.intervention.self_test import show

    if not show(name, source, settings, seconds):
        raise typer.Exit(1)


@app.command()
@one_line_errors
def doctor() -> None:
    """Say what was found on this machine and what is missing."""
    from serl_bringup.doctor import diagnose, show

    checks = diagnose()
    show(checks, Console())
    if any(not check.ok and check.required for check in checks):
        raise typer.Exit(1)


@app.command()
@one_line_errors
def bench(
    what: list[str] = typer.Argument(
        None,
        metavar="[PART]...",
        help="controller, sim, learner, loop, weights, classifier, action; default: all.",
    ),
    json_file: Path | None = typer.Option(
        None, "--json", metavar="FILE", help="Write the figures as JSON too."
    ),
) -> None:
    """Measure speed on this machine, as figures and ratios."""
    from serl_bringup.bench import PARTS, run_bench
    from serl_core.errors import suggest

    for part in what or []:
        if part not in PARTS:
            raise ConfigError(f"no benchmark {part!r}{suggest(part, PARTS)}; there are {', '.join(PARTS)}")
    figures = run_bench(what or list(PARTS), Console())
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


def _known_device(device: str | None) -> str | None:
    """Return the device, or say which there are."""
    from serl_bringup.config import INTERVENTIONS
    from serl_core.errors import suggest

    if device is not None and device not in INTERVENTIONS[1:]:
        known = ", ".join(INTERVENTIONS[1:])
        raise ConfigError(f"no device {device!r}{suggest(device, INTERVENTIONS)}; there are {known}")
    return device


def main(name: str | None = None) -> None:
    """Run the command line; `name` is what usage lines call it, None: what it was started as."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    app(prog_name=name)


if __name__ == "__main__":
    main("./serl")
