# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The lifecycle manager as a process: up in order, watched, down in reverse, with the reason for all to read."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor

from serl_core import codec, contract
from serl_core.errors import SerlError
from serl_core.shell_node import EXIT_FAULT, ShellNode
from serl_core.types import EpisodeSummary, TransitionAck

PATIENCE = 30.0
NAMES = ("first", "second")


class Watched(ShellNode):
    """Notes its transitions in a list that all share."""

    def __init__(self, name: str, edges: list[str]) -> None:
        super().__init__(name)
        self._edges = edges
        self.refuses = False

    def setup(self) -> None:
        if self.refuses:
            raise SerlError("no such arm")
        self._edges.append(f"{self.get_name()} configured")

    def start(self) -> None:
        self._edges.append(f"{self.get_name()} started")

    def stop(self) -> None:
        self._edges.append(f"{self.get_name()} stopped")


class Rig:
    """Two nodes in this process, the manager in another."""

    def __init__(self, *parameters: str) -> None:
        rclpy.init()
        self.edges: list[str] = []
        self.errors: dict[str, str] = {}
        self.nodes = {name: Watched(name, self.edges) for name in NAMES}
        self._ear = rclpy.create_node("ear")
        self._ear.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 50)
        self._executor = SingleThreadedExecutor()
        for node in (*self.nodes.values(), self._ear):
            self._executor.add_node(node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.manager = subprocess.Popen(
            [sys.executable, "-m", "serl_bringup.lifecycle_manager_node", "--ros-args",
             "-p", f"nodes:=[{', '.join(NAMES)}]", "-p", "heartbeat_timeout_s:=4.0",
             *(word for parameter in parameters for word in ("-p", parameter))],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _hear(self, message: Any) -> None:
        for status in message.status:
            if status.message:
                self.errors[status.name] = status.message

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"what the test waits for did not happen: {self.edges}"
            time.sleep(0.02)

    def up(self) -> None:
        self.until(lambda: "second started" in self.edges)

    def close(self) -> None:
        if self.manager.poll() is None:
            self.manager.kill()
        self.manager.communicate(timeout=PATIENCE)
        self._ended.set()
        self._thread.join()
        for node in (*self.nodes.values(), self._ear):
            node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made = Rig(*getattr(request, "param", ()))
    yield made
    made.close()


def test_up_in_order_and_down_in_reverse(rig: Rig) -> None:
    rig.up()
    assert rig.edges == ["first configured", "first started", "second configured", "second started"]
    rig.manager.send_signal(signal.SIGINT)
    assert rig.manager.wait(PATIENCE) == 0
    assert rig.edges[4:] == ["second stopped", "first stopped"]


@pytest.mark.parametrize("rig", [["max_successes:=2"], ["max_episodes:=3"]], indirect=True)
def test_down_once_the_work_is_done_and_on_disk(rig: Rig) -> None:
    rig.up()
    env = rig.nodes["second"]
    episodes, acks = (contract.publisher(env, topic) for topic in (contract.EPISODE, contract.TRANSITION_ACK))
    rig.until(lambda: episodes.get_subscription_count() > 0 and acks.get_subscription_count() > 0)
    for number, success in enumerate((True, False, True)):
        episode = EpisodeSummary("t", "e", number, 0.0, 10, 1.0, success, 1.0, 0, 0, 0, 0.0, 1, "")
        episodes.publish(codec.to_episode(episode))
    acks.publish(codec.to_ack(TransitionAck("e", 29, 0, False, 0)))
    time.sleep(1.0)
    assert rig.manager.poll() is None, "a step of the last episode is not on disk yet"
    acks.publish(codec.to_ack(TransitionAck("e", 30, 0, False, 0)))
    assert rig.manager.wait(PATIENCE) == 0
    assert rig.edges[4:] == ["second stopped", "first stopped"]


def test_a_node_that_falls_silent_takes_the_others_down_and_the_reason_is_published(rig: Rig) -> None:
    rig.up()
    rig.until(lambda: rig.nodes["second"]._diagnostics is not None)
    time.sleep(1.5)  # it has shown that it lives
    rig.nodes["second"]._publish_diagnostics = lambda: None  # type: ignore[method-assign]
    for timer in list(rig.nodes["second"].timers):
        timer.cancel()
    _, words = rig.manager.communicate(timeout=PATIENCE)
    assert rig.manager.returncode == EXIT_FAULT
    assert "/second is lost: no diagnostics for" in words
    assert rig.edges[4:] == ["first stopped"]  # nobody waits for an answer of the dead
    assert "/second is lost" in rig.errors["/lifecycle_manager"]


def test_a_node_that_fails_is_quoted(rig: Rig) -> None:
    rig.up()
    rig.nodes["first"].fail(SerlError("the arm cannot be reset"))
    _, words = rig.manager.communicate(timeout=PATIENCE)
    assert rig.manager.returncode == EXIT_FAULT
    assert "/first failed: the arm cannot be reset" in words


def test_a_node_that_refuses_to_start_is_named(rig: Rig) -> None:
    rig.nodes["second"].refuses = True
    _, words = rig.manager.communicate(timeout=PATIENCE)
    assert rig.manager.returncode == EXIT_FAULT
    assert "second refused to start" in words or "/second failed: no such arm" in words
    assert "first stopped" in rig.edges
