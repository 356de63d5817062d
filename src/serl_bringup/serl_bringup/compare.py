# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Several methods on one task over several seeds, as the papers' Table 1 and Fig. 7 and 8 show them.

Every run has a folder of its own, `METHOD-seedN`, so that an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from serl_bringup import pipeline, plots
from serl_bringup.config import RunConfig
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.run_folder import clear, is_run, write_json
from serl_bringup.statistics import mean_interval, wilson_interval
from serl_bringup.tasks import load_task
from serl_core.errors import ConfigError, suggest

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """One way to get a policy.

    Attributes:
        title: What tables and plots call it.
        run: Called with task, seed, folder, settings and console; leaves a summary.json in the folder.
        resumes: Whether `run` goes on with an interrupted folder.
    """

    title: str
    run: Callable[[str, int, Path, Sequence[str], Console], object]
    resumes: bool = False


def _online(
    *more: str, many_demos: bool = False
) -> Callable[[str, int, Path, Sequence[str], Console], object]:
    """Return what trains with further settings, `many_demos` with as many demonstrations as cloning gets."""

    def run(task: str, seed: int, folder: Path, settings: Sequence[str], console: Console) -> object:
        begun = is_run(folder)
        asked = [*settings, *more]
        if many_demos:
            asked.append(f"run.demos={load_task(task, asked, SCHEMAS).config('run', RunConfig).bc_demos}")
        return pipeline.run_task(
            task,
            seed=seed,
            out=None if begun else folder,
            settings=[] if begun else asked,  # a resumed run has them in its folder
            resume=folder if begun else None,
            quick=False,
            console=console,
        )

    return run


def _offline(method: str) -> Callable[[str, int, Path, Sequence[str], Console], object]:
    def run(task: str, seed: int, folder: Path, settings: Sequence[str], console: Console) -> object:
        return pipeline.run_bc(
            task, demos=None, seed=seed, out=folder, settings=settings, console=console, method=method
        )

    return run


_HELPED = "run.intervention=scripted"
METHODS = {
    "hil-serl": Method("HIL-SERL", _online(_HELPED), resumes=True),
    "rlpd": Method("RLPD", _online(), resumes=True),
    "rlpd-no-demos": Method(
        "RLPD without demonstrations", _online("run.demos=0", "learner.demos="), resumes=True
    ),
    "hg-dagger": Method("HG-DAgger", _online("learner.agent=hg_dagger", _HELPED), resumes=True),
    "residual": Method("residual RL", _online("learner.agent=residual", many_demos=True), resumes=True),
    "ibrl": Method("IBRL", _online("learner.agent=ibrl", many_demos=True), resumes=True),
    "dapg": Method("DAPG", _online("learner.agent=dapg", many_demos=True), resumes=True),
    "bc": Method("behaviour cloning", _offline("bc")),
    "diffusion": Method("diffusion policy", _offline("diffusion")),
}
"""HIL-SERL's Table 1b. RLPD is its "HIL-SERL no itv", which is SERL; demonstrations as in its section 4.5: those of
`run.demos` for HIL-SERL, RLPD and HG-DAgger, the more of `run.bc_demos` for all that cannot do without."""

_OURS, _IMITATION = ("hil-serl", "rlpd"), ("hg-dagger", "bc")
"""Sides of HIL-SERL's Table 1a, each by preference."""


def compare(
    task: str, methods: Sequence[str], seeds: int, out: Path | None, settings: Sequence[str], console: Console
) -> str:
    """Run what is missing, write `comparison.md`, `.png`, `_curves.png` and `.json`, and return the tables.

    They show every finished run of the folder: methods and seeds of an earlier call stay in.

    Args:
        task: Name of the task.
        methods: Keys of METHODS.
        seeds: Seeds 0 to seeds - 1 of each method.
        out: Folder of the comparison; None: `runs/TASK/compare`.
        settings: "key=value" for every run.
        console: For progress.

    Raises:
        ConfigError: an unknown method, or a folder that holds the comparison of another task or other settings.
    """
    for name in methods:
        if name not in METHODS:
            raise ConfigError(f"no method {name!r}{suggest(name, METHODS)}; there are {', '.join(METHODS)}")
    load_task(task, settings, SCHEMAS)  # before hours are spent
    folder = (out if out is not None else Path("runs") / task / "compare").absolute()
    _claim(folder, task, settings)
    for name in dict.fromkeys(methods):
        for seed in range(seeds):
            run = folder / f"{name}-seed{seed}"
            if not (run / "summary.json").is_file():
                console.print(f"{METHODS[name].title}, seed {seed} of {seeds}")
                if run.is_dir() and not (METHODS[name].resumes and is_run(run)):
                    clear(run)
                METHODS[name].run(task, seed, run, settings, console)
            _summary(run, task)  # what is damaged is told now, not after the hours of the others
    results = _finished(folder, task)
    table = markdown_table(task, results)
    plots.training_curves(
        [_curves(METHODS[name].title, folder, name, runs) for name, runs in results.items()],
        folder / "comparison_curves.png",
    )
    (folder / "comparison.md").write_text(table, encoding="utf-8")
    write_json(folder / "comparison.json", {name: list(runs) for name, runs in results.items()})
    plots.comparison(_trials(results), folder / "comparison.png")
    return table


def markdown_table(task: str, results: Mapping[str, Sequence[Summary]]) -> str:
    """Return a row for each method over all of its trials, and one for each of its runs; below, HIL-SERL's Table 1.

    The interval of a method's success is Wilson's over all trials, that of its cycle time Student's over the
    means of its seeds.
    """
    lines = [
        f"# {task}",
        "",
        "| method | seeds | demos | success [95 % interval] | cycle time [s] (demonstrations) | training [min]"
        " | steps by a person [%] |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, runs in results.items():
        successes, trials = _pooled(runs)
        seeds = ", ".join(str(run["seed"]) for run in runs)
        lines.append(_row(f"**{METHODS[name].title}**", seeds, runs, successes, trials))
        if len(runs) > 1:
            for run in runs:
                lines.append(_row("", str(run["seed"]), [run], *_pooled([run])))
    return "\n".join([*lines, *_table_1a(task, results), *_table_1b(task, results)]) + "\n"


def _table_1a(task: str, results: Mapping[str, Sequence[Summary]]) -> list[str]:
    """Return reinforcement against imitation, if there is one method of each side."""
    ours = next((name for name in _OURS if name in results), None)
    theirs = next((name for name in _IMITATION if name in results), None)
    if ours is None or theirs is None:
        return []
    names = METHODS[theirs].title, METHODS[ours].title
    rates = [100 * _rate(results[name]) for name in (theirs, ours)]
    times = [mean_interval(_cycle_times(results[name]))[0] for name in (theirs, ours)]
    more = f" ({rates[1] / rates[0] - 1:+.0%})" if rates[0] else ""
    faster = f" ({times[0] / times[1]:.1f}x faster)" if math.isfinite(times[0] / times[1]) else ""
    hours = _mean(run["train_seconds"] for run in results[ours]) / 3600
    cells = [
        task, f"{hours:.2f}", f"{rates[0]:.0f}", f"{rates[1]:.0f}{more}",
        _seconds(times[0]), f"{_seconds(times[1])}{faster}",
    ]  # fmt: skip
    return [
        "",
        "As HIL-SERL's Table 1a:",
        "",
        "| task | training time [h] | " + " | ".join(f"success [%], {name}" for name in names)
        + " | " + " | ".join(f"cycle time [s], {name}" for name in names) + " |",
        "| --- | --- | --- | --- | --- | --- |",
        "| " + " | ".join(cells) + " |",
    ]  # fmt: skip


def _table_1b(task: str, results: Mapping[str, Sequence[Summary]]) -> list[str]:
    """Return the success rates of all methods in one row."""
    return [
        "",
        "As HIL-SERL's Table 1b, success [%]:",
        "",
        "| task | " + " | ".join(METHODS[name].title for name in results) + " |",
        "| --- " * (len(results) + 1) + "|",
        f"| {task} | " + " | ".join(f"{100 * _rate(runs):.0f}" for runs in results.values()) + " |",
    ]


def _rate(runs: Sequence[Summary]) -> float:
    successes, trials = _pooled(runs)
    return successes / trials


def _seconds(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "no success"


def _row(title: str, seeds: str, runs: Sequence[Summary], successes: int, trials: int) -> str:
    low, high = wilson_interval(successes, trials)
    demos = _mean(run.get("demo_cycle_time_s") for run in runs)
    cells = [
        title,
        seeds,
        ", ".join(sorted({str(run["demos"]) for run in runs})),
        f"{successes} of {trials} [{100 * low:.1f}, {100 * high:.1f}] %",
        _cycle_time(runs) + (f" ({demos:.2f})" if math.isfinite(demos) else ""),
        f"{_mean(run['train_seconds'] for run in runs) / 60:.1f}",
        f"{100 * human:.1f}"
        if math.isfinite(human := _mean(run.get("human_share") for run in runs))
        else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def _cycle_time(runs: Sequence[Summary]) -> str:
    mean, low, high = mean_interval(_cycle_times(runs))
    if not math.isfinite(mean):
        return "no success"
    return f"{mean:.2f}" + (f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) else "")


def _cycle_times(runs: Sequence[Summary]) -> list[float]:
    return [run["cycle_time_s"] for run in runs if run["cycle_time_s"] is not None]


def _mean(values: Any) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan


def _pooled(runs: Sequence[Summary]) -> tuple[int, int]:
    trials = sum(run["episodes"] for run in runs)
    return sum(round(run["success_rate"] * run["episodes"]) for run in runs), trials


def _trials(results: Mapping[str, Sequence[Summary]]) -> list[plots.Trials]:
    return [
        plots.Trials(METHODS[name].title, *_pooled(runs), cycle_times=_cycle_times(runs))
        for name, runs in results.items()
    ]


def _curves(title: str, folder: Path, name: str, runs: Sequence[Summary]) -> plots.Curves:
    """Return the episodes of a method's training, a sequence for each seed; none for those that learn offline."""
    from serl_learner.recording import read_episodes

    bags = [folder / f"{name}-seed{run['seed']}" / "bag" for run in runs]
    seeds = [list(read_episodes(bag)) for bag in bags if any(bag.glob("*.mcap"))]
    return plots.Curves(title, seeds, _rate(runs), mean_interval(_cycle_times(runs))[0])


def _finished(folder: Path, task: str) -> dict[str, list[Summary]]:
    """Return the summaries of all finished runs by method, seeds ascending."""
    results = {}
    for name in METHODS:
        found = [
            path.parent.name.removeprefix(f"{name}-seed")
            for path in folder.glob(f"{name}-seed*/summary.json")
        ]
        seeds = sorted(int(seed) for seed in found if seed.isdecimal())
        if seeds:
            results[name] = [_summary(folder / f"{name}-seed{seed}", task) for seed in seeds]
    return results


def _claim(folder: Path, task: str, settings: Sequence[str]) -> None:
    """Make the folder, or make sure that the comparison in it is this one."""
    record = folder / "compare.json"
    asked = {"task": task, "settings": list(settings)}
    if record.is_file():
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{record} is damaged ({error}): choose another --out") from error
        if found != asked:
            raise ConfigError(
                f"{folder} holds the comparison of {found}, not of {asked}: choose another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(record, asked)


def _summary(run: Path, task: str) -> Summary:
    try:
        summary = dict(json.loads((run / "summary.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise ConfigError(
            f"{run / 'summary.json'} is damaged ({error}): delete the folder to run it again"
        ) from error
    if summary.get("task") != task:
        raise ConfigError(f"{run} holds a run of task {summary.get('task')!r}, not of {task!r}")
    return summary
