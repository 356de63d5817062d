# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The command line's ear and hand in the graph: watches the loop, moves nodes through their lifecycle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from serl_bringup.graph import NodeSpec
from serl_bringup.lifecycle_node import Lifecycle
from serl_core import codec, contract
from serl_core.types import EpisodeSummary, LearnerStatus


class Monitor:
    """A node spun in its own thread.

    Attributes:
        episodes: Summaries of finished episodes, in order.
        learner: The learner's last pulse.
        acknowledged: Last acknowledged sequence by environment.
    """

    def __init__(self) -> None:
        self.episodes: list[EpisodeSummary] = []
        self.learner: LearnerStatus | None = None
        self.acknowledged: dict[str, int] = {}

    def __enter__(self) -> Monitor:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("serl_monitor")
        contract.subscription(
            self._node, contract.EPISODE, lambda m: self.episodes.append(codec.from_episode(m))
        )
        contract.subscription(self._node, contract.LEARNER_STATUS, self._on_learner)
        contract.subscription(self._node, contract.TRANSITION_ACK, self._on_ack)
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

    def all_on_disk(self) -> bool:
        """Whether every transition of the finished episodes has been acknowledged."""
        steps: dict[str, int] = {}
        for episode in self.episodes:
            steps[episode.env_id] = steps.get(episode.env_id, 0) + episode.steps
        return all(self.acknowledged.get(env_id, 0) >= count for env_id, count in steps.items())

    def bring_up(self, nodes: Sequence[NodeSpec], check: Callable[[], None], timeout: float = 180.0) -> None:
        """Configure and activate nodes, one after the other.

        Args:
            nodes: Start order.
            check: Called while waiting; raises when a process has died.
            timeout: For each node [s]; SerlError beyond it.
        """
        Lifecycle(self._node).bring_up([node.name for node in nodes], check, timeout)

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _on_learner(self, message: object) -> None:
        self.learner = codec.from_learner_status(message)

    def _on_ack(self, message: object) -> None:
        ack = codec.from_ack(message)
        self.acknowledged[ack.env_id] = max(ack.sequence, self.acknowledged.get(ack.env_id, 0))
