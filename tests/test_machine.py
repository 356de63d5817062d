# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What is missing on a machine is said in one plain line each, before anything is touched."""

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import machine
from state import State

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path, tmp_path / "not" / "yet" / "made", None)


@pytest.fixture
def good_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that has everything, from which a test takes one thing away."""
    monkeypatch.setattr(machine, "find_compiler", lambda environment: "g++")
    monkeypatch.setattr(machine, "free_bytes", lambda folder: 50 * 10**9)
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(machine.sysconfig, "get_paths", lambda: {"include": str(ROOT / "tests" / "no")})
    monkeypatch.setattr(machine.Path, "exists", lambda path: True)
    return monkeypatch


def test_nothing_is_missing_on_a_good_machine(good_machine: pytest.MonkeyPatch, state: State) -> None:
    assert machine.missing(state, {}, new_environment=True) == []


def test_a_missing_compiler_is_named_with_its_remedy(good_machine: pytest.MonkeyPatch, state: State) -> None:
    good_machine.setattr(machine, "find_compiler", lambda environment: None)
    (line,) = machine.missing(state, {}, new_environment=False)
    assert "no C++ compiler found" in line and "sudo apt install g++" in line


def test_a_compiler_is_looked_for_on_the_path_and_in_cxx(tmp_path: Path) -> None:
    assert machine.find_compiler({"PATH": str(tmp_path)}) is None
    compiler = tmp_path / "my++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(stat.S_IRWXU)
    assert machine.find_compiler({"PATH": str(tmp_path), "CXX": "my++"}) == "my++"
    compiler.rename(tmp_path / "g++")
    assert machine.find_compiler({"PATH": str(tmp_path), "CXX": "my++"}) == "g++"


def test_a_missing_venv_module_matters_only_to_a_new_environment(
    good_machine: pytest.MonkeyPatch, state: State
) -> None:
    good_machine.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    (line,) = machine.missing(state, {}, new_environment=True)
    assert "sudo apt install python3-venv" in line
    assert machine.missing(state, {}, new_environment=False) == []


def test_missing_python_headers_are_named(good_machine: pytest.MonkeyPatch, state: State) -> None:
    good_machine.setattr(machine.Path, "exists", lambda path: path.name != "Python.h")
    (line,) = machine.missing(state, {}, new_environment=False)
    assert "Python.h" in line and "python3-dev" in line


def test_a_full_disk_is_named_with_both_sizes(good_machine: pytest.MonkeyPatch, state: State) -> None:
    good_machine.setattr(machine, "free_bytes", lambda folder: 1_200_000_000)
    (line,) = machine.missing(state, {}, new_environment=True)
    assert "1.2 GB free" in line and "3.0 GB needed" in line and "SERL_HOME" in line
    assert machine.missing(state, {}, new_environment=False) == []


def test_another_processor_needs_a_distribution(
    good_machine: pytest.MonkeyPatch, state: State, tmp_path: Path
) -> None:
    good_machine.setattr(machine.platform, "machine", lambda: "aarch64")
    (line,) = machine.missing(state, {}, new_environment=True)
    assert "aarch64" in line and "Source a ROS 2 distribution" in line
    assert machine.missing(State(tmp_path, tmp_path, "kilted"), {}, new_environment=True) == []


def test_everything_missing_is_said_at_once(good_machine: pytest.MonkeyPatch, state: State) -> None:
    good_machine.setattr(machine, "find_compiler", lambda environment: None)
    good_machine.setattr(importlib.util, "find_spec", lambda name: None)
    good_machine.setattr(machine, "free_bytes", lambda folder: 0)
    assert len(machine.missing(state, {}, new_environment=True)) == 3


def copy_of_bootstrap(folder: Path) -> Path:
    """Copy the bootstrap into a repository without sources, so that nothing of this one is touched."""
    (folder / "src").mkdir(parents=True)
    (folder / "tools").mkdir()
    (folder / "tools" / "bootstrap").mkdir()
    for file in (ROOT / "tools" / "bootstrap").glob("*.py"):
        (folder / "tools" / "bootstrap" / file.name).write_text(file.read_text())
    for name in ("serl", "requirements.txt", "requirements-ros.txt"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "serl").chmod(0o755)
    return folder / "serl"


def without_compiler(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose PATH has a shell, Python and nothing else."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    for name in ("sh", "dirname", "readlink"):
        (programs / name).symlink_to(f"/bin/{name}" if name == "sh" else f"/usr/bin/{name}")
    kept = {key: value for key, value in os.environ.items() if key in ("LD_LIBRARY_PATH", "HOME")}
    return {**kept, "PATH": str(programs), "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}


def test_the_command_stops_with_one_line_where_there_is_no_compiler(tmp_path: Path) -> None:
    serl = copy_of_bootstrap(tmp_path / "plain")
    result = subprocess.run(
        [str(serl), "run", "anything"], env=without_compiler(tmp_path), capture_output=True, text=True
    )
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert all(line.startswith("serl: ") for line in lines), result.stderr
    assert "serl: no C++ compiler found. Install one: sudo apt install g++ (or set CXX)" in lines
    assert not (serl.parent / ".serl" / "wheels" / "venv").exists()


def test_help_needs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    serl = copy_of_bootstrap(tmp_path / "with a space")
    for arguments in ([], ["--help"]):
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run([str(serl), *arguments], env=environment, capture_output=True, text=True)
        assert result.returncode == 0
        assert "./serl run TASK" in result.stdout and "./serl test" in result.stdout
    assert {path.name for path in serl.parent.iterdir()} == {
        "src", "tools", "serl", "requirements.txt", "requirements-ros.txt",
    }  # fmt: skip


def test_no_python_at_all_is_one_line(tmp_path: Path) -> None:
    serl = copy_of_bootstrap(tmp_path / "plain")
    environment = without_compiler(tmp_path)
    (tmp_path / "programs" / "python3").unlink()
    result = subprocess.run([str(serl), "run"], env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith(
        "serl: no Python 3.10 to 3.14 found. Install one: sudo apt install python3"
    )
    assert len(result.stderr.splitlines()) == 1
