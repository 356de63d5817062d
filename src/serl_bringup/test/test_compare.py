# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
from rich.console import Console

from serl_bringup import compare as module
from serl_bringup.compare import Method, compare, markdown_table
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.run_folder import RunFolder
from serl_bringup.stage_parameters import with_interventions
from serl_bringup.tasks import load_task
from serl_core.errors import ConfigError
from serl_core.parameters import descriptors
from serl_learner.agents.config import AGENTS, OFFLINE, RLPDConfig

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
        self.asked.append((seed, (folder / "state.json").exists()))
        folder.mkdir(exist_ok=True)
        (folder / "state.json").write_text('{"task": "pcb_insertion", "stages": {"options": {}}}')
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
    assert (tmp_path / "comparison_curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert [r["seed"] for r in json.loads((tmp_path / "comparison.json").read_text())["again"]] == [0, 1, 2]


def test_methods_and_seeds_of_earlier_calls_stay_in_the_tables(tmp_path: Path, runner: Runner) -> None:
    run(tmp_path, ["again"], seeds=2)
    (tmp_path / "again-seed1 old").mkdir()
    (tmp_path / "again-seed1 old" / "summary.json").write_text("{}")
    table = run(tmp_path, ["resumes"], seeds=1)
    assert "| **starts again** | 0, 1 | 20 | 194 of 200" in table
    assert "| **goes on** | 0 | 20 | 97 of 100" in table


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

    # Of the interrupted run only what can be resumed is left.
    assert runner.asked == [(1, kept), (2, False)]


def test_a_run_that_another_comparison_is_busy_with_is_left_alone(tmp_path: Path, runner: Runner) -> None:
    with RunFolder.create(tmp_path / "again-seed0", TASK) as busy:
        (busy.path / "demos").mkdir()
        with pytest.raises(ConfigError, match="is in use by another run"):
            run(tmp_path, ["again"])
        assert (busy.path / "demos").is_dir() and not runner.asked
    run(tmp_path, ["again"])
    assert not (busy.path / "demos").exists() and runner.asked[0] == (0, False)


def test_a_method_that_never_succeeds_has_no_cycle_time() -> None:
    table = markdown_table(TASK, {"bc": [summary(0, 0.0, None)]})

    assert "0 of 100 [0.0, 3.7] % | no success (4.50) |" in table


def test_the_papers_tables_stand_below() -> None:
    results = {
        "hg-dagger": [{**summary(s, 0.30, 8.0), "human_share": 0.25} for s in range(2)],
        "ibrl": [summary(0, 0.75, 5.0)],
        "hil-serl": [{**summary(s, 1.0, 4.0), "human_share": 0.1} for s in range(2)],
    }
    table = markdown_table(TASK, results)

    assert (
        "| **HG-DAgger** | 0, 1 | 20 | 60 of 200 [24.1, 36.7] % | 8.00 [8.00, 8.00] (4.50) | 10.0 | 25.0 |"
        in table
    )
    assert "| **IBRL** | 0 | 20 | 75 of 100 [65.7, 82.5] % | 5.00 (4.50) | 10.0 | - |" in table
    assert "| task | training time [h] | success [%], HG-DAgger | success [%], HIL-SERL |" in table
    assert "| pcb_insertion | 0.17 | 30 | 100 (+233%) | 8.00 | 4.00 (2.0x faster) |" in table
    assert "| task | HG-DAgger | IBRL | HIL-SERL |" in table and "| pcb_insertion | 30 | 75 | 100 |" in table
    assert "Table 1a" not in markdown_table(TASK, {"ibrl": results["ibrl"]})


def test_imitation_that_never_succeeds_has_nothing_to_divide_by() -> None:
    table = markdown_table(TASK, {"bc": [summary(0, 0.0, None)], "rlpd": [summary(0, 1.0, 2.0)]})

    assert "| pcb_insertion | 0.17 | 0 | 100 | no success | 2.00 |" in table


class Asked:
    """Stands for the pipeline: keeps what each method asks of it."""

    def __init__(self) -> None:
        self.settings: list[str] = []
        self.method = "rlpd"

    def run_task(self, task: str, *, settings: list[str], **others: object) -> None:
        self.settings = list(settings)

    def run_bc(self, task: str, *, method: str, **others: object) -> None:
        self.method = method


@pytest.mark.parametrize(
    ("name", "demos", "intervention", "agent"),
    [
        ("hil-serl", 20, "scripted", "rlpd"),
        ("rlpd", 20, "none", "rlpd"),
        ("rlpd-no-demos", 0, "none", "rlpd"),
        ("hg-dagger", 20, "scripted", "hg_dagger"),
        ("residual", 100, "none", "residual"),
        ("ibrl", 100, "none", "ibrl"),
        ("dapg", 100, "none", "dapg"),
    ],
)
def test_methods_differ_as_the_paper_says_and_share_the_tasks_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, demos: int, intervention: str, agent: str
) -> None:
    asked = Asked()
    monkeypatch.setattr(module, "pipeline", asked)
    own = ["learner.batch_size=64"]
    module.METHODS[name].run(TASK, 0, tmp_path / "new", own, Console(quiet=True))

    task, plain = (load_task(TASK, settings, SCHEMAS) for settings in (asked.settings, own))
    assert (task.parameters["run"]["demos"], task.parameters["run"]["intervention"]) == (demos, intervention)
    assert task.parameters["learner"]["agent"] == agent
    config, shared = task.config("learner", AGENTS[agent]), plain.config("learner", RLPDConfig)
    for setting in descriptors(RLPDConfig):
        if setting.name != "bc_updates":
            assert getattr(config, setting.name) == getattr(shared, setting.name), setting.name


@pytest.mark.parametrize("name", ["bc", "diffusion"])
def test_offline_methods_are_named_to_the_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    asked = Asked()
    monkeypatch.setattr(module, "pipeline", asked)
    module.METHODS[name].run(TASK, 0, tmp_path / "new", [], Console(quiet=True))
    assert asked.method == name
    assert isinstance(load_task(TASK, [], SCHEMAS).config(name, OFFLINE[name]), OFFLINE[name])


def test_an_agents_own_settings_are_known_only_where_it_is_chosen() -> None:
    task = load_task(TASK, ["learner.agent=residual", "learner.residual_scale=0.1"], SCHEMAS)
    assert task.config("learner", AGENTS["residual"]).residual_scale == 0.1  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="unknown parameter 'residual_scale'"):
        load_task(TASK, ["learner.residual_scale=0.1"], SCHEMAS)
    with pytest.raises(ConfigError, match="must be one of rlpd, hg_dagger.*did you mean residual"):
        load_task(TASK, ["learner.agent=residuals"], SCHEMAS)


def test_interventions_are_corrections_of_the_scripted_operator() -> None:
    plain = load_task(TASK, [], SCHEMAS)
    helped = with_interventions(plain, seed=4)
    assert helped.parameters["env"]["operator"] and not plain.parameters["env"]["operator"]
    assert (helped.parameters["operator"]["style"], helped.parameters["operator"]["seed"]) == (
        "corrective",
        4,
    )
    with pytest.raises(ConfigError, match="no scripted operator"):
        with_interventions(load_task("pendulum", [], SCHEMAS), seed=0)


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
    with pytest.raises(ConfigError, match="did you mean rlpd"):
        run(tmp_path / "new", ["rlpdd"])
    assert not (tmp_path / "new").exists()
