# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The command line's ear and hand in the graph: watches the loop, moves nodes through their lifecycle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from serl_bringup.config import LifecycleManagerConfig
from serl_bringup.graph import INTERVENTION, NodeSpec
from serl_bringup.lifecycle_node import Lifecycle
from serl_bringup.page.recording import RecordingDesk
from serl_bringup.tally import Tally
from serl_core import codec, contract
from serl_core.types import LearnerStatus


def listen(node: Node, tally: Tally, robots: Sequence[str] = ()) -> None:
    """Let a node keep a tally of what it hears of robots, each in its namespace; empty: of the one in none."""
    for topic in contract.of_each(robots, contract.EPISODE):
        contract.subscription(node, topic, lambda m: tally.episodes.append(codec.from_episode(m)))
    for topic in contract.of_each(robots, contract.TRANSITION_ACK):
        contract.subscription(node, topic, lambda m: tally.acknowledge(codec.from_ack(m)))


class Monitor(Tally):
    """A tally kept by a node spun in its own thread.

    Args:
        robots: Namespaces of several robots.

    Attributes:
        learner: The learner's last pulse.
        diagnostics: What each node last told of itself, by the node's name.
    """

    def __init__(self, robots: Sequence[str] = ()) -> None:
        super().__init__()
        self._robots = tuple(robots)
        self.learner: LearnerStatus | None = None
        self.diagnostics: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Monitor:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("serl_monitor")
        listen(self._node, self, self._robots)
        contract.subscription(self._node, contract.LEARNER_STATUS, self._on_learner)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="monitor", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=2.0)
        self._executor.remove_node(self._node)
        self._node.destroy_node()
        rclpy.shutdown()

    def bring_up(
        self,
        nodes: Sequence[NodeSpec],
        check: Callable[[], None],
        timeout: float = LifecycleManagerConfig.bring_up_timeout_s,
    ) -> None:
        """Configure and activate nodes, one after the other.

        Args:
            nodes: Start order.
            check: Called while waiting; raises when a process has died.
            timeout: For each node [s]; SerlError beyond it. On a crowded machine a reward that learns before its first
                episode needs minutes.
        """
        Lifecycle(self._node).bring_up([node.path for node in nodes], check, timeout)

    def show_at(self, desk: RecordingDesk) -> None:
        """Let a desk see what the environment sees once it said its name, and each episode's end."""
        env_id = ""

        def described(message: Any) -> None:
            nonlocal env_id
            env_id = message.env_id

        def observed(message: Any) -> None:
            if env_id:
                desk.observe(env_id, codec.from_observation(None, message))

        contract.subscription(self._node, contract.ENV_DESCRIPTION, described)
        contract.subscription(self._node, contract.OBSERVATION, observed)
        contract.subscription(self._node, contract.EPISODE, lambda m: desk.end_episode(codec.from_episode(m)))

    @property
    def lost(self) -> str:
        """Why devices of a person are away, one line; empty while none is."""
        figures = self.diagnostics.get(INTERVENTION.path, {})
        return "; ".join(value for key, value in figures.items() if key.startswith("device_"))

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _on_learner(self, message: object) -> None:
        self.learner = codec.from_learner_status(message)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            figures = {value.key: value.value for value in status.values}
            self.diagnostics[status.name.lstrip("/")] = figures
