# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The self-test shows what a device reads, and says in one line what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.factory import make_teleoperation
from serl_actor.intervention.gamepad import AXIS, BUTTON, EVENT
from serl_actor.intervention.self_test import HALF_WIDTH, NOWHERE, bar, main, picture


@pytest.fixture
def pad(tmp_path: Path) -> tuple[str, int]:
    path = tmp_path / "js0"
    os.mkfifo(path)
    return str(path), os.open(path, os.O_RDWR)


def test_a_bar_grows_to_its_side() -> None:
    assert len(bar(0.5)) == 2 * HALF_WIDTH + 1
    left, right = bar(-0.5).split("│")
    assert left.strip() == "█" * (HALF_WIDTH // 2) and not right.strip()
    assert bar(7.0) == bar(1.0) != bar(0.9)


def test_axes_buttons_and_action_are_shown(pad: tuple[str, int]) -> None:
    path, device = pad
    teleoperation = make_teleoperation(InterventionConfig(devices=("gamepad",), sources=(path,)))
    console = Console(width=100, record=True, file=open(os.devnull, "w"))
    teleoperation.word(NOWHERE, 0.0)
    os.write(device, EVENT.pack(0, -32767, AXIS, 1) + EVENT.pack(0, 1, BUTTON, 5))
    console.print(picture(teleoperation, teleoperation.word(NOWHERE, 0.1)))
    shown = console.export_text()
    assert "IN CONTROL" in shown and "pressed: r1" in shown
    assert "-1.00" in shown and "+1.00" in shown, "the stick as it reads, and the action forward"
    os.close(device)
    console.print(picture(teleoperation, teleoperation.word(NOWHERE, 0.2)))
    assert "its file ended" in console.export_text()


def test_it_runs_for_as_long_as_it_is_told(pad: tuple[str, int], capsys: pytest.CaptureFixture) -> None:
    options = ["--device", "gamepad", "--source", pad[0], "--seconds", "0.2"]
    assert main(options) == 0
    assert "gamepad: hands off" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["dead_zone=2"], "--set: dead_zone must lie in [0.0, 0.9]"),
        (["dead_zon=0.1"], "did you mean dead_zone"),
        (["dead_zone"], "expected PARAMETER=VALUE"),
        (["dead_zone=["], "'[' is not YAML"),
    ],
)
def test_wrong_parameters_are_one_line(settings: list, told: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["--device", "gamepad", *(part for s in settings for part in ("--set", s))]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_without_a_device_it_says_so_and_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serl_actor.intervention.self_test", "--device", "gamepad"]
    ended = subprocess.run(
        [*command, "--source", str(tmp_path / "js9"), "--seconds", "0.1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert "No such file" in ended.stdout
