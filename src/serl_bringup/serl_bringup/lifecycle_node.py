# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Moves nodes through their lifecycle, from a node that is spun in another thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

from serl_core.errors import SerlError

ASK_AGAIN_SECONDS = 1.0
GONE_SECONDS = 0.2
"""A node whose service is not there for this long, when it is to stop, is gone."""


class Lifecycle:
    """Clients of other nodes' lifecycles.

    Args:
        node: Spun in another thread than the one that calls this.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def bring_up(self, names: Sequence[str], check: Callable[[], None], timeout: float) -> None:
        """Configure and activate nodes, one after the other.

        Args:
            names: Start order.
            check: Called while waiting; raises when something has died.
            timeout: For each node [s]; SerlError beyond it.
        """
        for name in names:
            deadline = time.monotonic() + timeout
            self._await_answer(name, check, deadline, timeout)
            client = self._node.create_client(ChangeState, f"{name}/change_state")
            while not client.service_is_ready():
                check()
                time.sleep(0.01)
            for edge in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                future = self._change(client, edge)
                while not future.done():
                    check()
                    if time.monotonic() > deadline:
                        raise SerlError(f"{name} did not get ready within {timeout:.0f} s: see its log")
                    time.sleep(0.01)
                if not future.result().success:
                    time.sleep(0.5)  # the node is about to end; its last words say why
                    check()
                    raise SerlError(f"{name} refused to start: see its log")
            self._node.destroy_client(client)

    def take_down(self, names: Sequence[str], timeout: float) -> list[str]:
        """Deactivate nodes in the reverse of their start order; return those that did not answer in time.

        Args:
            names: Start order.
            timeout: For all of them together [s], an equal share for each.
        """
        silent = []
        for name in reversed(names):
            deadline = time.monotonic() + timeout / len(names)
            client = self._node.create_client(ChangeState, f"{name}/change_state")
            done = not client.wait_for_service(timeout_sec=GONE_SECONDS)
            if not done:
                future = self._change(client, Transition.TRANSITION_DEACTIVATE)
                while not (done := future.done()) and time.monotonic() < deadline:
                    time.sleep(0.01)
            if not done:
                silent.append(name)
            self._node.destroy_client(client)
        return silent

    def _change(self, client: Any, edge: int) -> Any:
        request = ChangeState.Request()
        request.transition.id = edge
        return client.call_async(request)

    def _await_answer(self, name: str, check: Callable[[], None], deadline: float, timeout: float) -> None:
        """Wait until a node answers; one of that name that was killed may be in the graph for some seconds yet."""
        client = self._node.create_client(GetState, f"{name}/get_state")
        future, asked = None, 0.0
        while future is None or not future.done():
            check()
            now = time.monotonic()
            if now > deadline:
                raise SerlError(f"{name} did not appear within {timeout:.0f} s: see its log")
            if client.service_is_ready() and (future is None or now - asked > ASK_AGAIN_SECONDS):
                future, asked = client.call_async(GetState.Request()), now
            time.sleep(0.02)
        self._node.destroy_client(client)
