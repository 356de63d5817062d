# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a machine must have before a set-up starts."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from state import State

ENVIRONMENT_BYTES = 3 * 10**9  # virtual environment, package cache and build; about 1.5 GB of it stay
BUILD_BYTES = 3 * 10**8


def find_compiler(environment: Mapping[str, str]) -> str | None:
    candidates = [environment.get("CXX", ""), "c++", "g++", "clang++"]
    return next(
        (name for name in candidates if name and shutil.which(name, path=environment.get("PATH"))), None
    )


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(existing_parent(folder)).free


def missing(state: State, environment: Mapping[str, str], new_environment: bool) -> list[str]:
    """Return one line for each thing that the set-up needs and this machine lacks: what, and what to do."""
    lines = []
    if not find_compiler(environment):
        lines.append("no C++ compiler found. Install one: sudo apt install g++ (or set CXX)")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        lines.append(
            f"Python.h of {platform.python_version()} not found. Install it: sudo apt install python3-dev"
        )
    if new_environment and not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        lines.append("Python has no venv module. Install it: sudo apt install python3-venv")
    if not state.distro and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        lines.append(
            f"the Python registry has no ROS 2 packages for {platform.system()} {platform.machine()}. "
            "Source a ROS 2 distribution (Jazzy or later) and run the same command again"
        )
    needed = ENVIRONMENT_BYTES if new_environment else BUILD_BYTES
    free = free_bytes(state.folder)
    if free < needed:
        lines.append(
            f"{free / 1e9:.1f} GB free at {state.folder}, {needed / 1e9:.1f} GB needed. "
            "Make room, or name a folder on another disk: SERL_HOME=DIR ./serl"
        )
    return lines


def existing_parent(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
