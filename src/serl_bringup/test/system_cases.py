# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the system tests share: the command as a process, one short run, and a task without physics.

`FakeReach-v0` serves `FakeEnvironment` as a Gymnasium environment, so that the whole loop can run on fakes:
`env.env_id=system_cases:FakeReach-v0` with this folder on PYTHONPATH.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from serl_core.testing.fakes import FakeEnvironment
from serl_core.types import Transition

HERE = Path(__file__).resolve().parent
COMMAND = (sys.executable, "-m", "serl_bringup.cli")
START_SECONDS = 180.0
"""How long a graph may take to come up on a busy machine: imports and compilation."""


class FakeReach(gymnasium.Env):  # type: ignore[type-arg]
    """`FakeEnvironment` behind Gymnasium's interface."""

    def __init__(self) -> None:
        self._environment = FakeEnvironment()
        boxes = {
            array.name: gymnasium.spaces.Box(-np.inf, np.inf, array.shape)
            for array in self._environment.spec.state
        }
        self.observation_space = gymnasium.spaces.Dict(boxes)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        return self._environment.reset(seed)[0], {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move the point."""
        result = self._environment.step(action)
        return (
            result.state,
            result.reward.value,
            result.terminated,
            False,
            {"is_success": result.reward.success},
        )


gymnasium.register(id="FakeReach-v0", entry_point=FakeReach, disable_env_checker=True)


def options(*settings: str) -> list[str]:
    """Return settings as the command takes them."""
    return [word for setting in settings for word in ("--set", setting)]


SMALL = (
    "learner.hidden_sizes=[32,32]", "learner.ensemble_size=2", "learner.batch_size=32", "learner.utd_ratio=4",
    "learner.min_online=60", "learner.publish_updates=2",
)  # fmt: skip
"""Settings with which learning costs next to nothing."""

FAKE_TASK = ("env.env_id=system_cases:FakeReach-v0", "env.task=fake_reach", "env.max_steps=20", *SMALL)
"""Settings that turn the task `pendulum` into one on fakes."""

SHORT = ("run.train_minutes=4", "run.max_env_steps=150", "run.demos=2", "run.eval_episodes=3", *SMALL)
"""Settings on top of `--quick`."""


def environment(domain: int | None = None) -> dict[str, str]:
    """Return variables for a process of its own domain that can import this module."""
    from serl_bringup.supervisor import free_domain

    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": paths,
        "ROS_DOMAIN_ID": str(domain or free_domain()),
        "COLUMNS": "200",
    }


def serl(
    *arguments: str | Path, timeout: float = 240.0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment(), cwd=cwd, check=False
    )


def error_line(stderr: str) -> str:
    """Return the last line, which must be the one error; a traceback is none."""
    assert "Traceback" not in stderr, stderr
    errors = [line for line in stderr.splitlines() if line.startswith("serl: ")]
    assert len(errors) == 1 and stderr.strip().endswith(errors[0]), stderr
    return errors[0]


def patience(seconds: float) -> float:
    """Return a limit [s] stretched by how far this machine is overloaded."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def poll(done: Callable[[], Any], timeout: float, what: str) -> Any:
    """Return the first true value of `done`; AssertionError after `timeout` [s]."""
    deadline = time.monotonic() + timeout
    while not (value := done()):
        assert time.monotonic() < deadline, f"no {what} within {timeout:.0f} s"
        time.sleep(0.05)
    return value


def node_processes(folder: Path) -> dict[str, int]:
    """Return process ids by node name of every node that runs with parameters from `folder`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:  # ended meanwhile
                continue
            if any(word.startswith(f"{folder}/") for word in words):
                names = [word.partition(":=")[2] for word in words if word.startswith("__node:=")]
                found.update({name: int(entry.name) for name in names})
    return found


class Command:
    """The command as a process, with what it wrote so far.

    Args:
        folder: Its run folder.
        arguments: Of the command.
        domain: ROS domain; None: one of its own.
    """

    def __init__(self, folder: Path, *arguments: str | Path, domain: int | None = None) -> None:
        self.folder = folder
        self._output, self._error = tempfile.TemporaryFile("w+b"), tempfile.TemporaryFile("w+b")
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stdout=self._output, stderr=self._error, env=environment(domain),
            # Where the tests run in the background of a shell, Ctrl-C would be ignored by heredity.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # its nodes follow by themselves
        self.process.wait()
        self._output.close()
        self._error.close()

    @property
    def stdout(self) -> str:
        """What it wrote to standard output so far."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors="replace")

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        return os.pread(self._error.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until `text` was written; the command must be alive by then."""

        def written() -> bool:
            if text in self.stderr:
                return True
            assert self.process.poll() is None, (
                f"ended ({self.process.returncode}) before {text!r}:\n{self.stderr}"
            )
            return False

        poll(written, START_SECONDS, f"{text!r}")

    def end(self, signal_number: int | None = None, timeout: float = 240.0) -> tuple[int, float]:
        """Send a signal, if any, and wait for the end; return exit status and seconds that it took."""
        began = time.monotonic()
        if signal_number is not None:
            self.process.send_signal(signal_number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:.0f} s:\n{self.stderr}") from None
        return status, time.monotonic() - began


def quick_run() -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the folder and the finished process of the main job, as short as it gets; it is run once."""
    folder, done = _quick_run()
    assert done.returncode == 0, done.stderr
    return folder, done


@functools.cache
def _quick_run() -> tuple[Path, subprocess.CompletedProcess[str]]:
    parent = Path(tempfile.mkdtemp(prefix="serl quick "))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / "run"
    with Command(
        folder, "run", "pcb_insertion", "--quick", "--seed", "7", "--out", folder, *options(*SHORT)
    ) as run:
        status, _ = run.end(timeout=280.0)
        return folder, subprocess.CompletedProcess([], status, run.stdout, run.stderr)


def unbroken(transitions: Iterable[Transition]) -> dict[str, int]:
    """Check that each environment's sequences are 1, 2, 3, ..., each once, and its episodes whole.

    Returns:
        Highest sequence by environment.
    """
    by_env: dict[str, list[Transition]] = defaultdict(list)
    for transition in transitions:
        by_env[transition.env_id].append(transition)
    for env_id, row in by_env.items():
        assert [t.sequence for t in row] == list(range(1, len(row) + 1)), env_id
        for before, now in itertools.pairwise(row):
            if before.last:
                assert (now.episode_id, now.step) == (before.episode_id + 1, 0)
                assert now.first_observation is not None
            else:
                assert (now.episode_id, now.step) == (before.episode_id, before.step + 1)
    return {env_id: len(row) for env_id, row in by_env.items()}


def kill(process_id: int) -> None:
    """Kill -9."""
    os.kill(process_id, signal.SIGKILL)
