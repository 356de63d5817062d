# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Lets a process outlast the others on Ctrl-C: the controller manager holds the arm, the writer finishes its bag.

`ros2 launch` tells all its processes to end at the same moment. As the prefix of a node, `outlast SECONDS COMMAND...`
passes that on as an interrupt only after that time. Further interrupts until then are the same one, from the terminal
and from `ros2 launch`; a termination after the first signal goes through at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In the child: be interrupted when the parent is killed, so that no controller manager is left behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def main() -> None:
    """Run the command of the arguments; ends with its status."""
    if len(sys.argv) < 3:
        print("usage: outlast SECONDS COMMAND [ARGUMENT]...", file=sys.stderr)
        sys.exit(2)
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_with_parent)
    timer: threading.Timer | None = None

    def pass_on(number: int) -> None:
        if child.poll() is None:
            os.kill(child.pid, number)

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal timer
        if timer is None:
            timer = threading.Timer(seconds, pass_on, (signal.SIGINT,))
            timer.daemon = True
            timer.start()
        elif number == signal.SIGTERM or not timer.is_alive():
            pass_on(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    status = child.wait()
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
