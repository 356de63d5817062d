# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of an arm behind ros2_control: topics of its controllers, cameras and gripper."""

from __future__ import annotations

import threading
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from serl_core import codec, contract
from serl_core.errors import SchemaError
from serl_env_node.arm_services_node import ArmServices
from serl_env_node.frames import Pose
from serl_env_node.streamed_arm import Ros2ControlArmConfig, StreamedArm

WAIT_SECONDS = 0.05


class RosLink(ArmServices):
    """Implements `serl_env_node.streamed_arm.ArmLink`: a node of its own, spun by a thread of its own."""

    def __init__(self, config: Ros2ControlArmConfig) -> None:
        c = config
        # The process's own remappings, above all that of the name, are meant for the environment's node.
        super().__init__(Node("env_arm", namespace=c.namespace, use_global_arguments=False), config)
        self._target = contract.publisher(self.node, contract.under(c.controller, contract.TARGET_POSE))
        self._gripper: Any = None
        self._closed = threading.Event()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="arm", daemon=True)

    def connect(self, arm: StreamedArm) -> None:
        """Deliver to the arm what comes in."""
        c, node = self._config, self.node
        contract.subscription(
            node,
            contract.under(c.controller, contract.STATE),
            lambda m: arm.stream.put(codec.from_controller_state(m)),
        )
        if c.wrench_source == "topic":
            node.create_subscription(
                WrenchStamped,
                c.wrench_topic,
                lambda m: arm.stream.put_wrench(c.wrench_scale * codec.from_wrench(m.wrench)),
                qos_profile_sensor_data,
            )
        for camera in c.cameras:
            topic = c.image_topic.replace("{camera}", camera)
            node.create_subscription(Image, topic, self._on_image(arm, camera), qos_profile_sensor_data)
        if c.gripper_action:
            from control_msgs.action import GripperCommand  # absent where there is no ROS 2 installation

            self._gripper, self._gripper_goal = (
                ActionClient(node, GripperCommand, c.gripper_action),
                GripperCommand.Goal,
            )
            self._on_gripper = arm.put_gripper
        self._thread.start()

    def send_target(self, X_BT: Pose, stamp: float) -> None:
        """Publish a target."""
        message = PoseStamped(pose=codec.to_pose(X_BT.position, X_BT.quaternion_xyzw))
        message.header.stamp, message.header.frame_id = codec.to_time(stamp), self._config.base_frame
        self._target.publish(message)

    def command_gripper(self, position: float, effort: float) -> None:
        """Send a goal; what it reports back is the width."""
        goal = self._gripper_goal()
        goal.command.position, goal.command.max_effort = position, effort
        future = self._gripper.send_goal_async(
            goal, feedback_callback=lambda m: self._on_gripper(m.feedback.position)
        )
        future.add_done_callback(self._on_gripper_goal)

    def close(self) -> None:
        """End the thread and the node."""
        self._closed.set()
        self._thread.join(timeout=2.0)
        self._executor.remove_node(self.node)
        self.node.destroy_node()

    def _on_gripper_goal(self, future: Any) -> None:
        handle = future.result()
        if handle is None or not handle.accepted:
            self.node.get_logger().error(f"{self._config.gripper_action} refused a goal")
            return
        handle.get_result_async().add_done_callback(lambda f: self._on_gripper(f.result().result.position))

    def _on_image(self, arm: StreamedArm, camera: str) -> Any:
        def on_image(message: Image) -> None:
            try:
                arm.frames.put(camera, codec.from_time(message.header.stamp), codec.from_image(message))
            except SchemaError as error:
                arm.stream.fault = arm.stream.fault or f"camera {camera}: {error}"

        return on_image

    def _spin(self) -> None:
        while not self._closed.is_set() and rclpy.ok():
            self._executor.spin_once(timeout_sec=WAIT_SECONDS)


class Ros2ControlArm(StreamedArm):
    """An arm behind ros2_control; see `StreamedArm`."""

    Config = Ros2ControlArmConfig

    @classmethod
    def from_parameters(cls, config: Ros2ControlArmConfig) -> Ros2ControlArm:
        """Connect to the controllers named by the parameters; rclpy must be initialised."""
        link = RosLink(config)
        arm = cls(config, link)
        link.connect(arm)
        return arm
