# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Brings nodes up in order, watches them, and takes them down in reverse when one is lost or the work is done."""

from __future__ import annotations

import signal
import sys
import threading
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from serl_bringup.config import LifecycleManagerConfig
from serl_bringup.heartbeats import Heartbeats, NodeLost
from serl_bringup.lifecycle_node import Lifecycle
from serl_bringup.monitor_node import listen
from serl_bringup.tally import Tally
from serl_core.errors import SerlError
from serl_core.shell_node import EXIT_FAULT, declared

LOOK_SECONDS = 0.1


class Stopped(SerlError):
    """Told to stop, by Ctrl-C or by whoever started this."""


class Done(SerlError):
    """All episodes asked for have ended and are on disk."""


class LifecycleManager(Node):
    """Spun in a thread of its own; `run` belongs to the main thread."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        self._config = declared(self, LifecycleManagerConfig)
        self._names = list(self._config.nodes)
        watched = [self._full(name) for name in self._names]
        self._heartbeats = Heartbeats(watched, self._config.heartbeat_timeout_s)
        self._lifecycle = Lifecycle(self)
        self._tally = Tally()
        listen(self, self._tally)
        self._phase, self._failure = "bringing up", ""
        self.stopped = threading.Event()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 5)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self.create_timer(1.0, self._publish)

    def run(self) -> str:
        """Work until told to stop, until the work is done, or until a node is lost; return why it was lost, or ""."""
        try:
            self._lifecycle.bring_up(self._names, self._check, self._config.bring_up_timeout_s)
            self._phase = "active"
            self.get_logger().info(f"active: {', '.join(self._names)}")
            while True:
                self._check()
                self._check_done()
                time.sleep(LOOK_SECONDS)
        except Done as done:
            self._phase = "done"
            self.get_logger().info(f"{done}; taking down {', '.join(reversed(self._names))}")
        except Stopped:
            self._phase = "stopping"
        except SerlError as error:
            if isinstance(error, NodeLost):  # it would not answer, and the others must not wait for it
                self._names = [name for name in self._names if self._full(name) != error.node]
            self._phase, self._failure = "taking down", str(error)
            self.get_logger().fatal(f"{error}; taking down {', '.join(reversed(self._names))}")
            self._publish()
        silent = self._lifecycle.take_down(self._names, self._config.take_down_timeout_s)
        if silent and not self.stopped.is_set():
            self.get_logger().error(f"did not answer when told to stop: {', '.join(silent)}")
        self._phase = "down"
        self._publish()
        return self._failure

    def _full(self, name: str) -> str:
        """Return a node's name as it is in its diagnostics."""
        return f"{self.get_namespace().rstrip('/')}/{name}"

    def _check(self) -> None:
        if self.stopped.is_set():
            raise Stopped("stopped")
        self._heartbeats.check(time.monotonic())

    def _check_done(self) -> None:
        episodes, successes = len(self._tally.episodes), self._tally.successes()
        enough = 0 < self._config.max_episodes <= episodes or 0 < self._config.max_successes <= successes
        if enough and self._tally.all_on_disk():
            raise Done(f"done: {successes} of {episodes} episodes succeeded, all on disk")

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self._heartbeats.hear(status.name, level, status.message, time.monotonic())

    def _publish(self) -> None:
        ages = self._heartbeats.ages(time.monotonic())
        values = [KeyValue(key="phase", value=self._phase)]
        values += [KeyValue(key=f"{name} heard s ago", value=f"{age:.1f}") for name, age in ages.items()]
        level = DiagnosticStatus.ERROR if self._failure else DiagnosticStatus.OK
        name = self.get_fully_qualified_name()
        message = DiagnosticArray(
            status=[DiagnosticStatus(level=level, name=name, message=self._failure, values=values)]
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main() -> None:
    """Run the lifecycle manager; exits 0 when told to stop or done, 3 after a node was lost."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        manager = LifecycleManager()
    except SerlError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAULT)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: manager.stopped.set())
    executor = SingleThreadedExecutor()
    executor.add_node(manager)
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin, name="spin", daemon=True)
    thread.start()
    failure = manager.run()
    ended.set()
    thread.join(timeout=2.0)
    executor.remove_node(manager)
    manager.destroy_node()
    rclpy.shutdown()
    if failure:
        print(" ".join(failure.split()), file=sys.stderr)
        sys.exit(EXIT_FAULT)


if __name__ == "__main__":
    main()
