# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
from rich.console import Console

from serl_bringup import compare as module
from serl_bringup.compare import Method, compare, markdown_table
from serl_core.errors import ConfigError

TASK = "pcb_insertion"


def summary(seed: int, rate: float, cycle: float | None, task: str = TASK) -> dict:
    return {"task": task, "seed": seed, "success_rate": rate, "episodes": 100, "cycle_time_s": cycle,
            "demos": 20, "demo_cycle_time_s": 4.5, "train_seconds": 600.0}  # fmt: skip


class Runner:
    """Stands for a method: notes what it was asked and leaves a summary, or half a run on request."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool]] = []
        self.interrupt_at = -1

    def __call__(self, task: str, seed: int, folder: Path, settings: object, console: object) -> None:
        self.asked.append((seed, folder.is_dir()))
        folder.mkdir(exist_ok=True)
        (folder / "state.json").write_text("{}")
        if seed == self.interrupt_at:
            raise KeyboardInterrupt
        (folder / "summary.json").write_text(json.dumps(summary(seed, 0.97, 1.0 + seed)))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Runner:
    runner = Runner()
    monkeypatch.setitem(module.METHODS, "again", Method("starts again", runner))
    monkeypatch.setitem(module.METHODS, "resumes", Method("goes on", runner, resumes=True))
    return runner


def run(
    out: Path, methods: list[str], seeds: int = 3, settings: tuple[str, ...] = (), task: str = TASK
) -> str:
    return compare(task, methods, seeds=seeds, out=out, settings=settings, console=Console(quiet=True))


def test_it_pools_the_trials_of_all_seeds_and_keeps_each_seed_in_view(tmp_path: Path, runner: Runner) -> None:
    table = run(tmp_path, ["again"])

    assert "| **starts again** | 0, 1, 2 | 20 | 291 of 300 [94.4, 98.4] % |" in table
    # Student's t with two degrees of freedom: 2.00 -+ 4.303 / sqrt(3).
    assert "2.00 [-0.48, 4.48] (4.50) | 10.0 |" in table
    assert table.count("97 of 100 [91.5, 99.0] %") == 3
    assert (tmp_path / "comparison.md").read_text() == table
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert [r["seed"] for r in json.loads((tmp_path / "comparison.json").read_text())["again"]] == [0, 1, 2]


@pytest.mark.parametrize(("method", "kept"), [("again", False), ("resumes", True)])
def test_given_again_it_runs_only_what_is_missing(
    tmp_path: Path, runner: Runner, method: str, kept: bool
) -> None:
    runner.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [method])
    runner.interrupt_at = -1
    runner.asked.clear()

    run(tmp_path, [method])

    # Of the interrupted run only a resumable one's folder is left.
    assert runner.asked == [(1, kept), (2, False)]


def test_a_method_that_never_succeeds_has_no_cycle_time() -> None:
    table = markdown_table(TASK, {"bc": [summary(0, 0.0, None)]})

    assert "0 of 100 [0.0, 3.7] % | no success (4.50) |" in table


def test_another_task_or_other_settings_do_not_mix_with_what_is_there(tmp_path: Path, runner: Runner) -> None:
    run(tmp_path, ["again"], seeds=1)

    with pytest.raises(ConfigError, match="choose another --out"):
        run(tmp_path, ["again"], seeds=1, settings=("learner.batch_size=64",))
    with pytest.raises(ConfigError, match="choose another --out"):
        run(tmp_path, ["again"], seeds=1, task="pendulum")
    assert len(runner.asked) == 1


def test_a_run_of_another_task_in_the_folder_is_not_counted(tmp_path: Path, runner: Runner) -> None:
    run(tmp_path, ["again"], seeds=1)
    (tmp_path / "again-seed0" / "summary.json").write_text(json.dumps(summary(0, 1.0, 1.0, task="pendulum")))

    with pytest.raises(ConfigError, match="'pendulum', not of 'pcb_insertion'"):
        run(tmp_path, ["again"], seeds=1)


def test_an_unknown_method_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rlpd"):
        run(tmp_path / "new", ["rlpdd"])
    assert not (tmp_path / "new").exists()
