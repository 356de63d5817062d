# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where this checkout keeps its environment and its build, and which ROS 2 it uses."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# CMake, colcon's shell hooks and PATH-like variables do not all survive other characters.
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+@,=~-]+")


class Failure(Exception):
    """Something that the user has to put right; each line says what is missing and what to do."""

    def __init__(self, *lines: str, code: int = 2) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


@dataclass(frozen=True)
class State:
    """The folders of one checkout used with one ROS 2."""

    root: Path  # the repository
    folder: Path  # everything made by the bootstrap, one folder for each ROS 2
    distro: str | None  # name of the sourced ROS 2 distribution; None: the wheels

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.venv / "lib" / version / "site-packages"

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def install(self) -> Path:
        return self.folder / "install"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def stamp(self) -> Path:
        return self.folder / "stamp.json"

    @property
    def sources(self) -> Path:
        """The sources as the build sees them: a link where the repository's own path has odd characters."""
        return self.root / "src" if is_plain(self.root) else self.folder / "src"

    @property
    def requirements(self) -> list[Path]:
        names = ["requirements.txt"] if self.distro else ["requirements.txt", "requirements-ros.txt"]
        return [self.root / name for name in names]


def is_plain(path: Path | str) -> bool:
    return PLAIN_PATH.fullmatch(str(path)) is not None


def sourced_distro(environment: Mapping[str, str]) -> str | None:
    """Name the ROS 2 distribution that is sourced in `environment` and has rclpy for this Python, or None."""
    name = environment.get("ROS_DISTRO", "")
    if not re.fullmatch(r"[a-z]+", name):
        return None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for prefix in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        library = Path(prefix, "lib") if prefix else None
        if library and any(
            (library / version / kind / "rclpy").is_dir() for kind in ("site-packages", "dist-packages")
        ):
            return name
    return None


def find_home(root: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder for everything that the bootstrap makes: SERL_HOME, else .serl in the repository.

    A repository whose path has a space (or another character that build tools stumble over) keeps it in the
    user's cache folder instead, and in /var/tmp where that has one too.
    """
    chosen = environment.get("SERL_HOME")
    if chosen:
        home = Path(chosen).expanduser().absolute()
        if not is_plain(home):
            raise Failure(f"SERL_HOME={chosen} has a space or an odd character; choose a folder without.")
        return home
    if is_plain(root):
        return root / ".serl"
    name = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    cache = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME", ""), ".cache")
    if os.path.isabs(cache) and is_plain(cache):
        return Path(cache, "serl", name)
    return Path("/var/tmp", f"serl-{os.getuid()}", name)


def find_state(root: Path, environment: Mapping[str, str]) -> State:
    distro = sourced_distro(environment)
    return State(root, find_home(root, environment) / (distro or "wheels"), distro)
