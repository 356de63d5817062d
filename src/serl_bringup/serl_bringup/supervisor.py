# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Processes of the embedded graph: started from the node list, watched, ended in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from serl_core.errors import SerlError
from serl_core.shell_parent import PARENT_VARIABLE

from serl_bringup.graph import NodeSpec

ORDERLY_SECONDS = 4.0
"""How long a node may take to end before it is killed; everything acknowledged is on disk by then."""


class NodeDied(SerlError):
    """A node of the graph ended by itself."""


def choose_domain() -> None:
    """Give this run a ROS domain of its own unless the user chose one, so that runs side by side do not meet."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))


class Supervisor:
    """Runs one process per node.

    Args:
        nodes: Start order.
        parameters: ROS parameter file for all of them.
        logs: Folder for one log per node.
    """

    def __init__(self, nodes: Sequence[NodeSpec], parameters: Path, logs: Path) -> None:
        self._nodes = tuple(nodes)
        self._parameters = parameters
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        for node in self._nodes:
            with open(self._log(node.name), "ab") as log:
                self._processes[node.name] = subprocess.Popen(
                    [sys.executable, "-m", f"{node.package}.{node.executable}", "--ros-args",
                     "--params-file", str(self._parameters), "-r", f"__node:={node.name}"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others in order
                )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def pid(self, name: str) -> int:
        """Return the process id of a node."""
        return self._processes[name].pid

    def check(self) -> None:
        """Raise NodeDied, with the node's last words, if any node has ended."""
        for name, process in self._processes.items():
            status = process.poll()
            if status is not None:
                how = f"was killed ({signal.Signals(-status).name})" if status < 0 else f"ended with status {status}"
                raise NodeDied(f"{name} {how}: {self._last_words(name)}")

    def end(self) -> None:
        """End the nodes in reverse start order; each gets a moment to write what it holds."""
        deadline = time.monotonic() + ORDERLY_SECONDS
        senders, writers = self._nodes[1:], self._nodes[:1]  # the writer goes last, when nobody sends any more
        for group in (senders, writers):
            processes = [self._processes[node.name] for node in group if node.name in self._processes]
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(max(0.05, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_words(self, name: str) -> str:
        try:
            lines = [line for line in self._log(name).read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return (lines[-1] if lines else "no output") + f" (log: {self._log(name)})"
