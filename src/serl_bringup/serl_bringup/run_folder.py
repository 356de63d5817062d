# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The folder of one run: who may use it, what is finished, what came out."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from serl_core.errors import ConfigError, SerlError

MIN_FREE_BYTES = 1_000_000_000
"""Below this much room on the disk no run starts."""

OPTIONS = "options"
"""Stage under which `./serl run` remembers seed and settings; what has it can be resumed."""

_LOCK, _STATE, _SUMMARY = ".lock", "state.json", "summary.json"
_ROS_BY_RCLPY = {"3": "humble", "7": "jazzy", "9": "kilted", "10": "lyrical"}


class RunFolder:
    """One run's folder, held by a lock until `close` or the end of the process.

    Attributes:
        path: The folder, absolute.
        task: Name of the task it belongs to.
    """

    def __init__(self, path: Path, task: str, lock: int, stages: dict[str, dict[str, Any]]) -> None:
        self.path, self.task = path, task
        self._lock, self._stages = lock, stages

    @classmethod
    def create(
        cls,
        out: Path | None,
        task: str,
        resume: bool = False,
        runs: Path = Path("runs"),
        latest: bool = False,
    ) -> RunFolder:
        """Make a new run's folder, or take up an earlier one, and lock it.

        Args:
            out: The folder; None: `runs/<task>/<YYYYmmdd-HHMMSS>`, or on resuming `runs/<task>/latest`.
            task: Name of the task.
            resume: Take up the run in `out`.
            runs: Where runs go that name no folder.
            latest: Let `runs/<task>/latest` point to a folder made there; for what will hold a policy.

        Raises:
            ConfigError: it holds another run, is in use, is another task's, or there is nothing to resume.
            SerlError: the disk is full or the folder cannot be written.
        """
        try:
            if resume:
                path = (out if out is not None else runs / task / "latest").resolve()
                if not (path / _STATE).is_file():
                    raise ConfigError(f"{path} holds no run to resume: it has no {_STATE}")
            else:
                path = _fresh(runs / task) if out is None else out.absolute()
                if path.exists() and not path.is_dir():
                    raise ConfigError(f"{path} is not a folder: choose another --out")
                if path.is_dir() and any(entry.name != _LOCK for entry in path.iterdir()):
                    if is_run(path):
                        raise ConfigError(
                            f"{path} holds an earlier run: resume it with --resume {path} or choose another --out"
                        )
                    holds = "an earlier run" if (path / _STATE).is_file() else "no run"
                    raise ConfigError(f"{path} is not empty and holds {holds}: choose another --out")
                path.mkdir(parents=True, exist_ok=True)
            require_space(path)
            folder = cls(path, task, _locked(path), {})
            try:
                folder._take_up() if resume else folder._write_state()
                if out is None and latest and not resume:
                    _point(runs / task / "latest", path.name)
            except BaseException:
                folder.close()
                raise
            return folder
        except OSError as error:
            raise SerlError(
                f"{error.filename or out or runs}: cannot be written ({error.strerror})"
            ) from error

    def _take_up(self) -> None:
        try:
            state = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
            task, self._stages = state["task"], dict(state["stages"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.path / _STATE} is damaged ({error}): the run cannot be resumed"
            ) from error
        if task != self.task:
            raise ConfigError(f"{self.path} holds a run of task {task!r}, not of {self.task!r}")

    # What is finished.

    def finished(self, stage: str) -> dict[str, Any] | None:
        """Return the facts with which a stage finished, or None while it has not."""
        return self._stages.get(stage)

    def finish(self, stage: str, **facts: Any) -> None:
        """Remember that a stage is finished, with facts about it that later stages and the summary need."""
        self._stages[stage] = _plain(facts)
        self._write_state()

    def _write_state(self) -> None:
        write_json(self.path / _STATE, {"task": self.task, "stages": self._stages}, sort=False)

    def write_summary(self, summary: Mapping[str, Any]) -> Path:
        """Write summary.json in one piece, sorted, not-a-number as null, and return its path."""
        write_json(self.path / _SUMMARY, dict(summary))
        return self.path / _SUMMARY

    # What is where.

    @property
    def bag(self) -> Path:
        """Bag of the training run."""
        return self.path / "bag"

    @property
    def demos_bag(self) -> Path:
        """Bag of the demonstrations."""
        return self.path / "demos"

    @property
    def eval_bag(self) -> Path:
        """Bag of the evaluation."""
        return self.path / "eval"

    @property
    def checkpoints(self) -> Path:
        """Folder of the learner's checkpoints."""
        return self.path / "checkpoints"

    @property
    def backbone(self) -> Path:
        """File of the image backbone, where one was trained for the run."""
        return self.path / "backbone.safetensors"

    @property
    def plots(self) -> Path:
        """Folder of the figures."""
        return self.path / "plots"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.path / "logs"

    @property
    def parameters(self) -> Path:
        """File of all parameters of all nodes."""
        return self.path / "parameters.yaml"

    def fresh_bag(self, name: str) -> Path:
        """Return where a new bag of that name may go, beside those of earlier attempts: eval, eval-2, ..."""
        number = 1
        while (path := self.path / (name if number == 1 else f"{name}-{number}")).exists():
            number += 1
        return path

    def discard(self, path: Path) -> None:
        """Delete a file or folder of this run if it is there, e.g. the bag of an interrupted stage."""
        if self.path not in path.parents:
            raise ValueError(f"{path} is not inside {self.path}")
        _delete(path)

    # Letting go.

    def close(self) -> None:
        """Let others use the folder; may be called twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_run(path: Path) -> bool:
    """Return whether a folder holds what `./serl run` began, and can go on with."""
    try:
        return OPTIONS in json.loads((path / _STATE).read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def clear(path: Path) -> None:
    """Delete what an attempt that cannot be resumed left in its folder; ConfigError while it is in use."""
    lock = _locked(path)
    try:
        for entry in path.iterdir():
            if entry.name != _LOCK:
                _delete(entry)
    finally:
        os.close(lock)


def require_space(path: Path, least: int = MIN_FREE_BYTES) -> None:
    """Raise a SerlError where the disk of `path` has less than `least` bytes free."""
    free = shutil.disk_usage(path).free
    if free < least:
        raise SerlError(
            f"only {free / 1e9:.2f} GB free on the disk of {path}, a run needs {least / 1e9:.0f} GB: "
            "free some or choose another --out"
        )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, "unknown" where one cannot be told."""
    found = {name: _distribution(name) for name in ("jax", "mujoco", "numpy")}
    return {
        "git": _git_hash(),
        "serl": _distribution("serl-bringup"),
        **found,
        "python": platform.python_version(),
        "ros": ros_distribution(),
    }


def ros_distribution() -> str:
    """Return the ROS distribution in use: $ROS_DISTRO, or what the installed wheels belong to."""
    named = os.environ.get("ROS_DISTRO", "")
    return named or _ROS_BY_RCLPY.get(_distribution("ros-rclpy").partition(".")[0], "unknown")


def _distribution(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _git_hash() -> str:
    command = [
        "git",
        "-C",
        str(Path(__file__).resolve().parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fresh(parent: Path) -> Path:
    """Make and return a new folder named after the time; two in one second get different names."""
    parent.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{n}" for n in range(2, 100))):
        path = (parent / f"{stamp}{suffix}").absolute()
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
    raise SerlError(f"{parent}: 99 runs started within a second")


def _locked(path: Path) -> int:
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise ConfigError(f"{path} is in use by another run (process {holder})") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _point(link: Path, target: str) -> None:
    """Make `link` point to `target` in one step; where links are not to be had, do without."""
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(target, target_is_directory=True)
        os.replace(draft, link)
    except OSError as error:
        draft.unlink(missing_ok=True)
        print(f"serl: {link} not updated ({error.strerror})", file=sys.stderr)


def write_json(path: Path, content: dict[str, Any], sort: bool = True) -> None:
    """Replace a file in one step, so that a reader or a crash never meets half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(_plain(content), indent=2, sort_keys=sort, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SerlError(f"{path}: cannot be written ({error.strerror})") from error


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: numbers out of arrays, null for what is not finite, text for paths."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
