# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Processes of the embedded graph: started from the node list, watched, ended in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from serl_bringup.graph import NodeSpec
from serl_core.errors import ConfigError, SerlError
from serl_core.shell_parent import PARENT_VARIABLE

ORDERLY_SECONDS = 60.0
"""How long nodes may take to end after a stage: the learner writes its last checkpoint."""
HURRIED_SECONDS = 4.0
"""How long they may take after Ctrl-C or an error; everything acknowledged is on disk by then."""
SENDER_SHARE = 0.4
"""Share of that time for all but the writer, so that a node that hangs does not cost the writer its own."""


class NodeDied(SerlError):
    """A node of the graph ended by itself."""


def choose_domain() -> None:
    """Give this run a ROS domain of its own unless the user chose one: runs side by side must not meet."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))


def free_domain() -> int:
    """Return a random domain, 1 to 80, that nobody on this machine uses, as far as open ports tell.

    `./serl test` gives its suites those from 81 on, which are not open all the time.
    """
    busy = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            entries = Path(table).read_text().splitlines()[1:]
        except OSError:  # not Linux: chance must do
            continue
        # RTPS: domain d has the ports from 7400 + 250 d.
        busy |= {(int(entry.split()[1].rpartition(":")[2], 16) - 7400) // 250 for entry in entries}
    return random.SystemRandom().choice([d for d in range(1, 81) if d not in busy] or [80])


def terminal_name() -> str:
    """Return the file of the terminal that this process reads; ConfigError if it reads none.

    Nodes need it by its name: in sessions of their own they have no /dev/tty.
    """
    try:
        return os.ttyname(0)
    except OSError:
        raise ConfigError(
            "a keyboard needs a terminal: start ./serl in one, its input not redirected,"
            " or name one in intervention.sources"
        ) from None


@contextmanager
def terminal_given_back() -> Iterator[None]:
    """Leave the terminal as it is now: a node that reads its keys may be killed before it gives it back."""
    before = termios.tcgetattr(0) if os.isatty(0) else None
    try:
        yield
    finally:
        if before is not None:
            with suppress(termios.error):  # it was closed meanwhile
                termios.tcsetattr(0, termios.TCSAFLUSH, before)


class Supervisor:
    """Runs one process per node.

    Args:
        nodes: Start order.
        parameters: ROS parameter file for all of them; what it says of a node in a namespace counts there alone.
        logs: Folder for one log per node.
    """

    def __init__(self, nodes: Sequence[NodeSpec], parameters: Path, logs: Path) -> None:
        self._nodes = tuple(nodes)
        self._parameters = parameters
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log_starts: dict[str, int] = {}

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        for node in self._nodes:
            self._log(node.path).parent.mkdir(exist_ok=True)
            with open(self._log(node.path), "ab") as log:
                self._log_starts[node.path] = log.tell()
                self._processes[node.path] = subprocess.Popen(
                    [sys.executable, "-m", f"{node.package}.{node.executable}", "--ros-args",
                     "--params-file", str(self._parameters), "-r", f"__node:={node.name}",
                     *(["-r", f"__ns:=/{node.robot}"] if node.robot else [])],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which ends the others in order
                )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.end(ORDERLY_SECONDS if kind is None else HURRIED_SECONDS)
        except KeyboardInterrupt:
            self.end(HURRIED_SECONDS)
            raise

    def pid(self, name: str) -> int:
        """Return the process id of a node."""
        return self._processes[name].pid

    def check(self) -> None:
        """Raise NodeDied, with the node's last words, if any node has ended."""
        for name, process in self._processes.items():
            status = process.poll()
            if status is not None:
                how = (
                    f"was killed ({signal.Signals(-status).name})"
                    if status < 0
                    else f"ended with status {status}"
                )
                raise NodeDied(f"{name} {how}: {self._last_words(name)}")

    def end(self, seconds: float) -> None:
        """End the nodes, the writer last, when nobody sends any more; kill what takes longer than `seconds`."""
        began = time.monotonic()
        for group, share in ((self._nodes[1:], SENDER_SHARE), (self._nodes[:1], 1.0)):
            deadline = began + share * seconds
            processes = [self._processes[node.path] for node in group if node.path in self._processes]
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
            text = self._log(name).read_bytes()[self._log_starts[name] :].decode(errors="replace")
            lines = [line for line in text.splitlines() if line.strip()]
        except OSError:
            lines = []
        return (lines[-1] if lines else "no output") + f" (log: {self._log(name)})"
