# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""`./serl new-task`: what it writes works, and what it is asked wrongly is told in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from system_cases import error_line, poll, serl

from serl_bringup.graph import NodeSpec
from serl_bringup.new_task import TEMPLATE, write_task
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.supervisor import NodeDied, Supervisor
from serl_bringup.tasks import describe_task, list_tasks, load_task
from serl_core.errors import ConfigError
from serl_core.plugins import load

FILES = {
    "README.md",
    "actor.yaml",
    "env.yaml",
    "learner.yaml",
    "operator.yaml",
    "recorder.yaml",
    "run.yaml",
    "{}_scene.py",
    "test_{}.py",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty; what loading a task does to this process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERL_TASK_PATH", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def error(name: str, into: Path = Path("tasks"), force: bool = False) -> str:
    with pytest.raises(ConfigError) as raised:
        write_task(name, into, force)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# What is written.


def test_the_skeleton_is_complete_and_speaks_of_the_new_task_only(here: Path) -> None:
    written = write_task("my_plug", Path("tasks"))
    folder = here / "tasks" / "my_plug"
    assert {str(path.absolute().relative_to(folder)) for path in written} == {
        name.format("my_plug") for name in FILES
    }
    texts = {path.name: path.read_text() for path in written}
    assert not any(TEMPLATE in text or "SPDX" in text for text in texts.values())
    assert "scene: my_plug_scene:build" in texts["env.yaml"] and "./serl run my_plug" in texts["README.md"]
    for name, text in texts.items():
        if name.endswith(".py"):
            compile(text, name, "exec")


def test_it_is_a_task_like_the_shipped_ones(here: Path) -> None:
    write_task("my_plug", Path("tasks"))
    assert {"my_plug", "pcb_insertion"} <= set(list_tasks())
    assert describe_task("my_plug").startswith("A part in the gripper")
    task = load_task("my_plug", schemas=SCHEMAS)
    assert task.parameters["env"]["task"] == "my_plug"
    shipped = load_task("peg_insertion", schemas=SCHEMAS)
    assert task.parameters["learner"] == shipped.parameters["learner"], "it trains as those do"
    images = load_task("my_plug", ["obs=image"], SCHEMAS).parameters
    assert images["learner"] == load_task("pcb_insertion", ["obs=image"], SCHEMAS).parameters["learner"]


def test_the_generated_test_passes_from_any_folder(here: Path) -> None:
    write_task("my_plug", Path("elsewhere"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "elsewhere/my_plug"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment, check=False)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_force_writes_over_the_skeleton_and_leaves_the_rest(here: Path) -> None:
    write_task("my_plug", Path("tasks"))
    env, notes = here / "tasks/my_plug/env.yaml", here / "tasks/my_plug/notes.txt"
    before = env.read_text()
    env.write_text("changed")
    notes.write_text("mine")
    assert "exists already" in error("my_plug") and "--force" in error("my_plug")
    assert env.read_text() == "changed"
    write_task("my_plug", Path("tasks"), force=True)
    assert (env.read_text(), notes.read_text()) == (before, "mine")


# Wrong names and places.


@pytest.mark.parametrize(
    "name",
    [
        "",
        "My_Plug",
        "my-plug",
        "2nd",
        "_plug",
        "plug_",
        "a__b",
        "a b",
        "../plug",
        "/plug",
        "plüg",
        "a\n",
        "x" * 65,
    ],
)
def test_a_name_that_will_not_do(name: str, here: Path) -> None:
    assert "must be snake_case" in error(name)
    assert not (here / "tasks").exists()


def test_a_name_that_is_taken(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is a task 'pcb_insertion' already" in error("pcb_insertion", force=True)
    write_task("my_plug", here / "shelf")
    monkeypatch.setenv("SERL_TASK_PATH", str(here / "shelf"))
    assert "there is a task 'my_plug' already" in error("my_plug", force=True)
    write_task("my_plug", here / "shelf", force=True)


def test_a_place_that_cannot_be_written(here: Path) -> None:
    (here / "tasks").write_text("a file")
    assert "cannot be written: Not a directory" in error("my_plug")


def test_the_command_says_what_to_do_next(here: Path) -> None:
    done = serl("new-task", "my_plug", cwd=here)
    assert done.returncode == 0 and "tasks/my_plug/my_plug_scene.py" in done.stdout.splitlines()
    assert "./serl test tasks/my_plug; ./serl run my_plug --quick" in done.stderr
    again = serl("new-task", "my_plug", cwd=here)
    assert again.returncode == 2 and "tasks/my_plug exists already" in error_line(again.stderr)
    other = serl("new-task", "my_lid", "--into", "my shelf", cwd=here)
    assert f"export SERL_TASK_PATH='{here / 'my shelf'}'; ./serl test" in other.stderr


# Where tasks are found.


def test_a_name_in_two_places_is_told_with_both(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task("my_plug", Path("tasks"))
    monkeypatch.setenv("SERL_TASK_PATH", f"{here / 'tasks'}:{here / 'missing'}:")
    assert load_task("my_plug", schemas=SCHEMAS).name == "my_plug", "the same folder twice is one"
    (here / "shelf" / "my_plug").mkdir(parents=True)
    monkeypatch.setenv("SERL_TASK_PATH", str(here / "shelf"))
    with pytest.raises(ConfigError, match=r"'my_plug' is ambiguous, .*: shelf/my_plug, tasks/my_plug$"):
        load_task("my_plug", schemas=SCHEMAS)


def test_processes_that_are_started_find_the_scene(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task("my_bolt", Path("shelf"))
    monkeypatch.setenv("SERL_TASK_PATH", str(here / "shelf"))
    task = load_task("my_bolt", schemas=SCHEMAS)
    assert load(task.parameters["env"]["scene"], "scene")().gripper_width == pytest.approx(0.008)
    assert os.environ["PYTHONPATH"].endswith(str(here / "shelf" / "my_bolt")), "it hides nothing"
    # A node of the task's own that imports the scene, started as every node is.
    nodes = here / "shelf" / "my_bolt" / "my_bolt_nodes"
    nodes.mkdir()
    (nodes / "probe.py").write_text("import my_bolt_scene\nraise SystemExit(7)\n")
    probe = NodeSpec("probe", "my_bolt_nodes", "probe")
    with Supervisor([probe], here / "parameters.yaml", here / "logs") as supervisor:
        with pytest.raises(NodeDied, match="ended with status 7"):
            poll(supervisor.check, 60.0, "end of the probe")


def test_shipped_tasks_change_no_path(here: Path) -> None:
    before = (list(sys.path), os.environ["PYTHONPATH"])
    load_task("peg_insertion", schemas=SCHEMAS)
    assert (sys.path, os.environ["PYTHONPATH"]) == before
