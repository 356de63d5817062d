# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A process that must end last is told last, and its end is its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import os, signal, sys, time
def ended(number, _):
    print("told", number, flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, ended)
signal.signal(signal.SIGTERM, ended)
print("pid", os.getpid(), flush=True)
while True:
    time.sleep(0.05)
"""


def started(seconds: float, *command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "serl_bringup.outlast", str(seconds), *command],
        stdout=subprocess.PIPE,
        text=True,
    )


def child(seconds: float) -> tuple[subprocess.Popen, int]:
    process = started(seconds, sys.executable, "-c", CHILD)
    assert process.stdout is not None
    return process, int(process.stdout.readline().split()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_comes_late_and_as_an_interrupt(number: signal.Signals) -> None:
    process, _ = child(0.5)
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began >= 0.5
    assert out.strip() == f"told {signal.SIGINT.value}"
    assert process.returncode == 7


def test_an_interrupt_that_comes_twice_is_one() -> None:
    process, _ = child(1.0)
    began = time.monotonic()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began >= 1.0
    assert out.count("told") == 1


def test_a_termination_after_it_comes_at_once() -> None:
    process, _ = child(60.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert out.strip() == f"told {signal.SIGTERM.value}"


def test_a_command_that_ends_by_itself_gives_its_status() -> None:
    assert started(60.0, sys.executable, "-c", "raise SystemExit(5)").wait(20) == 5


def test_nothing_is_left_behind_when_it_is_killed() -> None:
    process, pid = child(60.0)
    process.kill()
    process.wait(20)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError("the child lives on")


def test_it_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-m", "serl_bringup.outlast", "1"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage: outlast")) == (2, True)
