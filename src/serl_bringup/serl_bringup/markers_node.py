# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell that draws the controller's targets, the safety box and the episodes for rviz and Foxglove."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Point, Vector3
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from serl_bringup import markers
from serl_bringup.config import MarkersConfig
from serl_core import codec, contract
from serl_core.shell_node import declared

DRAW_HZ = 10.0
LIFETIME_SECONDS = 1.0
"""Targets and forces vanish when nothing is heard of the controller; goal, box and text stay."""

KINDS = {"axes": Marker.LINE_LIST, "sphere": Marker.SPHERE, "box": Marker.CUBE, "arrow": Marker.ARROW,
         "text": Marker.TEXT_VIEW_FACING}  # fmt: skip
LASTING = {"task", "episode"}


class MarkersNode(Node):
    """Publishes `markers` from a controller's state and the episodes' summaries."""

    def __init__(self) -> None:
        super().__init__("markers")
        self._config = c = declared(self, MarkersConfig)
        self._publisher = self.create_publisher(MarkerArray, "markers", 2)
        self._state: bytes | None = None
        self._successes = self._episodes = 0
        state = replace(contract.STATE, name=c.state_topic)
        # Raw: of ten states between two drawings only the last is worth reading.
        contract.subscription(self, state, self._on_state, raw=True)
        contract.subscription(self, contract.EPISODE, self._on_episode)
        self.create_timer(1.0 / DRAW_HZ, self._draw)
        self.create_timer(1.0, self._draw_task)

    def _on_state(self, cdr: bytes) -> None:
        self._state = cdr

    def _draw(self) -> None:
        if self._state is not None:
            state = codec.from_controller_state(deserialize_message(self._state, contract.STATE.type))
            self._publish(markers.of_controller(state))
            self._state = None

    def _draw_task(self) -> None:
        c = self._config
        self._publish(markers.of_task(c.goal_position, c.box_low, c.box_high))

    def _on_episode(self, message: Any) -> None:
        episode = codec.from_episode(message)
        self._episodes += 1
        self._successes += episode.success
        x, y, z = self._config.goal_position or (0.0, 0.0, 0.0)
        above = (x, y, z + 0.2)
        self._publish([markers.of_episodes(episode, self._successes, self._episodes, above)])

    def _publish(self, shapes: Sequence[markers.Shape]) -> None:
        if shapes:
            self._publisher.publish(MarkerArray(markers=[self._marker(shape) for shape in shapes]))

    def _marker(self, shape: markers.Shape) -> Marker:
        marker = Marker(ns=shape.group, id=shape.number, type=KINDS[shape.kind], text=shape.text)
        marker.header.frame_id = self._config.base_frame
        marker.header.stamp = Time().to_msg()  # the latest transform will do
        marker.color = ColorRGBA(**dict(zip("rgba", shape.colour, strict=True)))
        if shape.group not in LASTING:
            marker.lifetime.sec = int(LIFETIME_SECONDS)
        position, size = np.array(shape.position), np.array(shape.size)
        if shape.kind == "arrow":
            marker.points = [_point(position), _point(position + size)]
            marker.scale = Vector3(x=0.004, y=0.008, z=0.0)
            return marker
        marker.pose = codec.to_pose(position, np.array(shape.quaternion_xyzw))
        if shape.kind == "axes":
            axes = np.eye(3) * size[0]
            marker.points = [_point(end) for axis in axes for end in (np.zeros(3), axis)]
            marker.scale.x = 0.002
        else:
            scale = np.full(3, size[0]) if shape.kind == "text" else size
            marker.scale = Vector3(**dict(zip("xyz", map(float, scale), strict=True)))
        return marker


def _point(p: np.ndarray) -> Point:
    return Point(x=float(p[0]), y=float(p[1]), z=float(p[2]))


def main() -> None:
    """Run the markers node until it is told to end."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node, ended = MarkersNode(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.2)
    executor.remove_node(node)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
