# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the wrist cameras: joint states in, images out, under the names that realsense2_camera uses."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState

from serl_core.errors import SchemaError
from serl_core.shell_node import ShellNode, run
from serl_sim.cameras import CameraConfig, WristCameras, joint_positions, load_scene
from serl_sim.description import optical_frame


class CameraNode(ShellNode):
    """Renders the newest joint state `rate_hz` times a second; an image's stamp is that of its joint state."""

    def __init__(self) -> None:
        super().__init__("cameras")
        self._cameras: WristCameras | None = None
        self._newest: bytes | None = None
        self._timer: Any = None
        self._rendered = 0

    def setup(self) -> None:
        """Read the scene, open the renderer, connect the topics."""
        config = self.config(CameraConfig)
        self._rate_hz = config.rate_hz
        self._model = load_scene(config.model_path)
        self._cameras = WristCameras(self._model, config.cameras, config.height, config.width)
        self._images = {
            name: self.create_publisher(Image, f"{name}/color/image_raw", 2) for name in config.cameras
        }
        newest_only = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        # Raw: of the many states in a period, only the one that is rendered is worth reading.
        self._states = self.create_subscription(JointState, "joint_states", self._keep, newest_only, raw=True)

    def start(self) -> None:
        """Start rendering."""
        self._timer = self.create_timer(1.0 / self._rate_hz, self.guarded(self._render))

    def stop(self) -> None:
        """Cease rendering."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def release(self) -> None:
        """Free the renderer and the topics."""
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
            self.destroy_subscription(self._states)
            for publisher in self._images.values():
                self.destroy_publisher(publisher)

    def diagnostics(self) -> dict[str, Any]:
        """Return how many states were rendered."""
        return {"rendered": self._rendered}

    def _keep(self, message: bytes) -> None:
        self._newest = message

    def _render(self) -> None:
        newest, self._newest = self._newest, None
        if newest is None or self._cameras is None:
            return
        state = deserialize_message(newest, JointState)
        try:
            qpos = joint_positions(self._model, state.name, state.position)
        except SchemaError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        for name, pixels in self._cameras.render(qpos).items():
            self._images[name].publish(_image(state.header.stamp, optical_frame(name), pixels))
        self._rendered += 1


def _image(stamp: Any, frame_id: str, pixels: np.ndarray) -> Image:
    height, width, channels = pixels.shape
    image = Image(height=height, width=width, encoding="rgb8", step=width * channels)
    image.header.stamp, image.header.frame_id = stamp, frame_id
    image.data = array.array("B", pixels.tobytes())  # which rclpy takes without a copy per element
    return image


def main() -> None:
    """Run the camera node."""
    run(CameraNode)


if __name__ == "__main__":
    main()
