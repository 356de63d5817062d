# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Style and type checks of the sources, in an environment of their own that users do not get."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import stamp
import venv_builder
from state import Failure, State

CHECKS = ("ruff", "format", "mypy", "codespell", "clang-format", "large-files")
LARGEST_FILE = 500_000


def run(state: State, chosen: list[str]) -> int:
    """Run the chosen checks, all if none is named; return 0 only if each is clean.

    With `--fix` whatever can be put right by machine is put right.
    """
    fix = "--fix" in chosen
    chosen = [name for name in chosen if name != "--fix"]
    unknown = set(chosen) - set(CHECKS)
    if unknown:
        raise Failure(f"no check named {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}")
    tools = checker_environment(state)
    failed = []
    for name in chosen or CHECKS:
        code = large_files(state.root) if name == "large-files" else run_tool(state, tools, name, fix)
        print(f"{name:12} {'ok' if code == 0 else 'FAILED'}", flush=True)
        if code:
            failed.append(name)
    return 1 if failed else 0


def run_tool(state: State, tools: Path, name: str, fix: bool) -> int:
    root, python = state.root, str(tools / "bin" / "python")
    sources = [file for file in tracked(root) if file.suffix in (".cpp", ".hpp")]
    bin_folder = tools / "bin"
    command = {
        "ruff": [str(bin_folder / "ruff"), "check", "--quiet", *(["--fix"] if fix else []), "."],
        "format": [str(bin_folder / "ruff"), "format", "--quiet", *([] if fix else ["--check"]), "."],
        "mypy": [python, "-m", "mypy", "--python-executable", str(state.python)],
        "codespell": [python, "-m", "codespell_lib", *map(str, tracked(root))],
        "clang-format": [
            str(bin_folder / "clang-format"),
            *(["-i"] if fix else ["--dry-run", "--Werror"]),
            *map(str, sources),
        ],
    }[name]
    if name == "clang-format" and not sources:
        return 0
    return subprocess.run(command, cwd=root).returncode


def checker_environment(state: State) -> Path:
    """Make the checkers' virtual environment if its requirements changed; return its folder."""
    requirements = state.root / "requirements-dev.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    tools = state.folder.parent / "lint"
    mark = tools / "complete"
    if not mark.exists() or mark.read_text() != key:
        shutil.rmtree(tools, ignore_errors=True)
        tools.mkdir(parents=True)
        log = tools / "install.log"
        print(f"serl: installing the checkers (log: {log})", file=sys.stderr, flush=True)
        commands = (
            [sys.executable, "-m", "venv", str(tools)],
            [
                str(tools / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--no-input",
                "--no-deps",
                "-r",
                str(requirements),
            ],
        )
        for command in commands:
            if venv_builder.run(command, log) != 0:
                raise venv_builder.diagnose(log)
        stamp.replace_text(mark, key)
    return tools


def tracked(root: Path) -> list[Path]:
    """Return the files under version control, relative to the repository."""
    output = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    return [
        Path(os.fsdecode(name))
        for name in output.split(b"\0")
        if name and (root / os.fsdecode(name)).exists()
    ]


def large_files(root: Path) -> int:
    large = [file for file in tracked(root) if (root / file).stat().st_size > LARGEST_FILE]
    for file in large:
        print(f"{file}: larger than {LARGEST_FILE // 1000} kB")
    return 1 if large else 0
