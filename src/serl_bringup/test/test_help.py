# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a stranger is told there is: the overview without an environment, and the README's table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serl_bringup.cli import app

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = sorted(
    {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    | {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_overview_and_in_the_readme(command: str) -> None:
    assert f"  ./serl {command} " in (ROOT / "tools" / "bootstrap" / "__main__.py").read_text("utf-8")
    assert f"`{command}" in (ROOT / "README.md").read_text("utf-8")


def test_usage_is_what_can_be_typed() -> None:
    command = [sys.executable, "-m", "serl_bringup.cli", "tasks", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:3] == ["Usage:", "./serl", "tasks"]
