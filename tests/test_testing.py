# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How the tests are run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import testing
from state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A checkout whose Python is the one of this process."""
    state = State(tmp_path, tmp_path / ".serl", None)
    state.python.parent.mkdir(parents=True)
    state.python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    state.python.chmod(0o755)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntimeout = 60\naddopts = "-q"\n')
    return state


def plugin(folder: Path) -> Path:
    """Install a pytest plugin that no present pytest can load, as a sourced distribution's may be."""
    (folder / "older.dist-info").mkdir(parents=True)
    (folder / "older.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: older\nVersion: 1\n")
    (folder / "older.dist-info" / "entry_points.txt").write_text("[pytest11]\nolder = older_plugin\n")
    (folder / "older_plugin.py").write_text("def pytest_pycollect_makemodule(path, parent):\n    pass\n")
    return folder


def test_plugins_of_a_sourced_distribution_do_not_break_the_tests(state: State, tmp_path: Path) -> None:
    (tmp_path / "test_small.py").write_text(
        "def test_one():\n    assert True\n\ndef test_two():\n    assert 0\n"
    )
    search = os.pathsep.join([str(plugin(tmp_path / "distribution")), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search}

    result = testing.pytest(state, environment, "small", tmp_path, ["test_small.py"], tmp_path)

    assert (result.passed, result.failed, result.code) == (1, 1, 1)


def suite(state: State, name: str, lines: str) -> Path:
    folder = state.root / "src" / name / "test"
    folder.mkdir(parents=True)
    (folder / f"test_{name}.py").write_text(lines)
    return folder


def test_suites_run_side_by_side_in_domains_of_their_own(
    state: State, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = (
        "import os, pathlib, time\n"
        f"PLACE = pathlib.Path({str(state.root)!r})\n"
        "def test_both_are_here():\n"
        "    (PLACE / os.environ['ROS_DOMAIN_ID']).touch()\n"
        "    end = time.monotonic() + 30\n"
        "    while len(list(PLACE.glob('[0-9]*'))) < 2:\n"
        "        assert time.monotonic() < end\n"
        "        time.sleep(0.01)\n"
    )
    suite(state, "first", meet + "def test_fails():\n    assert 0\n")
    suite(state, "second", meet)
    monkeypatch.setattr(testing, "PROGRESS_SECONDS", 0.1)
    code = testing.run(state, {**os.environ, "SERL_TEST_JOBS": "2"}, [])
    said = capfd.readouterr().out
    assert code == 1 and "3 passed" not in said and "failed: first" in said
    assert "2 passed, 1 failed, 0 skipped" in said.splitlines()[-1]
    domains = {int(path.name) for path in state.root.glob("[0-9]*")}
    assert len(domains) == 2 and all(81 <= domain <= 100 for domain in domains)
    assert "... first 0%, second 0%" in said
    blocks = [line for line in said.splitlines() if line.startswith("##### ")]
    assert blocks[-1] == "##### summary" and set(blocks[:-1]) == {"##### first", "##### second"}
