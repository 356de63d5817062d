# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Every edge of a node's lifecycle does what it says, or ends the node in one line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serl_core.errors import ConfigError

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 for Python")
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402

from serl_core.shell_node import ShellNode  # noqa: E402


class Noted(ShellNode):
    """Notes what it is told to do."""

    def __init__(self) -> None:
        super().__init__("noted")
        self.done: list[str] = []

    def setup(self) -> None:
        self.done.append("setup")

    def start(self) -> None:
        self.done.append("start")

    def stop(self) -> None:
        self.done.append("stop")

    def release(self) -> None:
        self.done.append("release")


class Final(Noted):
    """A node that is stopped for good."""

    stops_for_good = True


class Refusing(Noted):
    """A node that cannot be set up."""

    def setup(self) -> None:
        raise ConfigError("no such arm")


@pytest.fixture
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


def edges(node: Noted, *names: str) -> list[bool]:
    """Take the edges one after the other; return which succeeded."""
    took = [getattr(node, f"trigger_{name}")() == TransitionCallbackReturn.SUCCESS for name in names]
    node.destroy_node()
    return took


UP, PAUSE = ("configure", "activate"), ("deactivate", "activate")


def test_a_node_may_pause_as_often_as_it_likes(ros: None) -> None:
    node = Noted()
    assert all(edges(node, *UP, *PAUSE, *PAUSE, "deactivate", "cleanup", "shutdown"))
    assert node.done == ["setup", *3 * ["start", "stop"], "release", "stop", "release"]
    assert not node.failure and not node.ended.is_set()


def test_a_node_that_stops_for_good_ends_when_it_is_activated_again(ros: None) -> None:
    node = Final()
    assert edges(node, *UP, *PAUSE) == [True, True, True, False]
    assert node.done == ["setup", "start", "stop"]
    assert node.failure == "noted cannot be activated again after it was deactivated: start the node anew"
    assert node.ended.is_set()


@pytest.mark.parametrize("kind", [Noted, Final])
def test_a_node_is_set_up_once(kind: type[Noted], ros: None) -> None:
    node = kind()
    assert edges(node, "configure", "cleanup", "configure") == [True, True, False]
    assert node.done == ["setup", "release"]
    assert node.failure == "noted cannot be configured again after it was cleaned up: start the node anew"
    assert node.ended.is_set()


def test_a_node_that_cannot_be_set_up_says_why(ros: None) -> None:
    node = Refusing()
    assert edges(node, "configure") == [False]
    assert node.failure == "no such arm" and node.ended.is_set()
