# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Decides in milliseconds whether anything changed since the last set-up."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from state import State

# Folders that tools write into the sources.
SKIPPED_FOLDERS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".hypothesis", ".ruff_cache"}
# The workspace overlays a sourced distribution; beside the wheels no other ROS may stay visible.
INHERITED_WITH_DISTRO = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "PYTHONPATH")
ALWAYS_INHERITED = ("PATH", "LD_LIBRARY_PATH")


def tree_key(sources: Path) -> str:
    """Return a hash of the names, sizes and modification times of all files below `sources`."""
    digest = hashlib.sha256()
    for folder, names, files in os.walk(sources):
        names[:] = sorted(name for name in names if name not in SKIPPED_FOLDERS)
        for file in sorted(files):
            path = os.path.join(folder, file)
            try:
                status = os.stat(path)
            except FileNotFoundError:  # an editor's temporary file, gone meanwhile
                continue
            digest.update(
                f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape")
            )
    return digest.hexdigest()


def environment_key(state: State) -> str:
    """Return a hash of all that the virtual environment depends on."""
    digest = hashlib.sha256(f"{sys.version}\0{sys.base_prefix}\0{state.folder}\0{state.distro}\n".encode())
    for file in state.requirements:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read(state: State) -> dict[str, Any]:
    try:
        return json.loads(state.stamp.read_text())
    except (OSError, ValueError):
        return {}


def write(state: State, content: Mapping[str, Any]) -> None:
    replace_text(state.stamp, json.dumps(content, indent=1))


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, and no other link to it changes."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def read_current(state: State, testing: bool) -> dict[str, Any] | None:
    """Return the stamp of the last set-up if nothing changed since, else None."""
    stamp = read(state)
    if (
        stamp.get("environment_key") == environment_key(state)
        and stamp.get("tree_key") == tree_key(state.root / "src")
        and (stamp.get("testing") or not testing)
        and state.python.exists()
    ):
        return stamp
    return None


def command_environment(state: State, own: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return `inherited` with the workspace's own variables, `own`, put in front or in place."""
    environment = {key: value for key, value in inherited.items() if key != "PYTHONHOME"}
    kept = ALWAYS_INHERITED + (INHERITED_WITH_DISTRO if state.distro else ())
    for key, value in own.items():
        parts = value.split(os.pathsep)
        if key in kept:
            parts += [part for part in inherited.get(key, "").split(os.pathsep) if part and part not in parts]
        environment[key] = os.pathsep.join(parts)
    environment["SERL_ROOT"] = str(state.root)
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # What JAX compiled is kept: every node of a run is a process of its own, and so is every stage.
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(state.folder / "jax"))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    environment.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(Path(__file__).with_name("fastdds.xml")))
    if not state.distro:
        environment["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"  # the only one among the wheels
        environment["PYTHONNOUSERSITE"] = "1"
    return environment
