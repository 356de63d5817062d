# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""`./serl classifier` hands on what was said on its command line, and says in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from serl_bringup.cli import app
from serl_reward.classifier import command


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["classifier", *map(str, arguments)])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """Arguments of each function of the command, which does nothing."""
    calls: dict[str, tuple[Any, ...]] = {}
    for name in ("train", "report", "test"):
        monkeypatch.setattr(
            command, name, lambda *given, name=name: calls.update({name: given}) or f"did {name}"
        )
    return calls


def test_training_is_told_bags_folder_settings_and_round(told: dict) -> None:
    done = run("train", "a", "b", "--out", "c", "--set", "updates=600", "--set", "cameras=[wrist_1]")
    assert done.exit_code == 0 and "did report" in done.stdout, "it ends with the report"
    bags, out, settings, add, _ = told["train"]
    assert (bags, out, add) == ([Path("a"), Path("b")], Path("c"), False)
    assert settings == {"updates": 600, "cameras": ["wrist_1"]}
    assert told["report"] == (Path("c"),)
    run("train", "a", "--out", "c", "--add")
    assert told["train"][3] is True


def test_a_test_is_told_bags_folder_and_where_its_report_goes(told: dict) -> None:
    assert run("test", "a", "b", "--classifier", "c", "--out", "d.html").exit_code == 0
    assert told["test"][:3] == (Path("c"), [Path("a"), Path("b")], Path("d.html"))


@pytest.mark.parametrize(
    "arguments",
    [("train", "nowhere", "--out", "c"), ("report", "nowhere"), ("test", "a", "--classifier", "nowhere")],
)
def test_what_is_not_there_is_told_in_one_line(arguments: tuple, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("serl: ") and "nowhere" in line
    assert not list(tmp_path.iterdir()), "nothing was begun"
