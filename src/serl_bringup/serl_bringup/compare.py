# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Several methods on one task over several seeds, as the papers' Table 1 and Fig. 7 and 8 show them.

Every run has a folder of its own, `METHOD-seedN`, so that an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from serl_bringup import pipeline, plots
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.run_folder import write_json
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


def _rlpd(*more: str) -> Callable[[str, int, Path, Sequence[str], Console], object]:
    def run(task: str, seed: int, folder: Path, settings: Sequence[str], console: Console) -> object:
        begun = folder.is_dir()
        return pipeline.run_task(
            task,
            seed=seed,
            out=None if begun else folder,
            settings=[] if begun else [*settings, *more],  # a resumed run has them in its folder
            resume=folder if begun else None,
            quick=False,
            console=console,
        )

    return run


def _bc(task: str, seed: int, folder: Path, settings: Sequence[str], console: Console) -> object:
    return pipeline.run_bc(task, demos=None, seed=seed, out=folder, settings=settings, console=console)


METHODS = {
    "rlpd": Method("RLPD", _rlpd(), resumes=True),
    "rlpd-no-demos": Method("RLPD without demonstrations", _rlpd("run.demos=0"), resumes=True),
    "bc": Method("behaviour cloning", _bc),
}


def compare(
    task: str, methods: Sequence[str], seeds: int, out: Path | None, settings: Sequence[str], console: Console
) -> str:
    """Run what is missing, write `comparison.md`, `.png` and `.json`, and return the table.

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
    results: dict[str, list[Summary]] = {}
    for name in dict.fromkeys(methods):
        for seed in range(seeds):
            run = folder / f"{name}-seed{seed}"
            if not (run / "summary.json").is_file():
                console.print(f"{METHODS[name].title}, seed {seed} of {seeds}")
                if run.is_dir() and not (METHODS[name].resumes and (run / "state.json").is_file()):
                    shutil.rmtree(run)
                METHODS[name].run(task, seed, run, settings, console)
            results.setdefault(name, []).append(_summary(run, task))
    table = markdown_table(task, results)
    (folder / "comparison.md").write_text(table, encoding="utf-8")
    write_json(folder / "comparison.json", {name: list(runs) for name, runs in results.items()})
    plots.comparison(_trials(results), folder / "comparison.png")
    return table


def markdown_table(task: str, results: Mapping[str, Sequence[Summary]]) -> str:
    """Return a row for each method over all of its trials, and one for each of its runs.

    The interval of a method's success is Wilson's over all trials, that of its cycle time Student's over the
    means of its seeds.
    """
    lines = [
        f"# {task}",
        "",
        "| method | seeds | demos | success [95 % interval] | cycle time [s] (demonstrations) | training [min] |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, runs in results.items():
        successes, trials = _pooled(runs)
        seeds = ", ".join(str(run["seed"]) for run in runs)
        lines.append(_row(f"**{METHODS[name].title}**", seeds, runs, successes, trials))
        if len(runs) > 1:
            for run in runs:
                lines.append(_row("", str(run["seed"]), [run], *_pooled([run])))
    return "\n".join(lines) + "\n"


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
