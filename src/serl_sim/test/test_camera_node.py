# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The camera node in a graph: an image shows the joint state whose stamp it bears."""

import time

import numpy as np
import pytest

from serl_core.errors import SerlError
from serl_sim import cameras, describe
from serl_sim.scenes import SceneConfig

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 for Python")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402

NAMES = [f"joint{number}" for number in (3, 1, 2, 7, 6, 5, 4)]  # a broadcaster's order is its own
TIMEOUT_S = 30.0


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """Make the camera node with a scene's path, an executor with it and another node in it."""
    try:
        cameras.off_screen_backend()
    except SerlError as error:
        pytest.skip(str(error))
    from serl_sim.camera_node import CameraNode

    monkeypatch.chdir(tmp_path)  # where MuJoCo leaves its own log
    nodes = []

    def make(model_path):
        sizes = ["-p", "rate_hz:=20.0", "-p", "height:=48", "-p", "width:=64"]
        rclpy.init(args=["--ros-args", "-r", "__ns:=/camera_test", "-p", f"model_path:={model_path}", *sizes])
        executor = SingleThreadedExecutor()
        nodes.extend([CameraNode(), rclpy.create_node("other")])
        for node in nodes:
            executor.add_node(node)
        return executor, *nodes

    yield make
    nodes[0].stop()
    nodes[0].release()
    rclpy.shutdown()


def joint_state(second, q):
    state = JointState(name=NAMES, position=[float(q[int(name[-1]) - 1]) for name in NAMES])
    state.header.stamp.sec = second
    return state


def test_images_show_the_joint_state_whose_stamp_they_bear(graph, scene, tmp_path):
    describe.write(tmp_path, "mock", SceneConfig())
    executor, node, other = graph(tmp_path / "scene.mjb")
    received = []
    for name in scene.cameras:
        other.create_subscription(Image, f"{name}/color/image_raw", received.append, 10)
    states = other.create_publisher(JointState, "joint_states", 10)
    assert node.on_configure(None) == TransitionCallbackReturn.SUCCESS
    assert node.on_activate(None) == TransitionCallbackReturn.SUCCESS

    postures = {second: scene.q_home + 0.05 * second for second in (1, 2)}
    for second, q in postures.items():
        deadline = time.monotonic() + TIMEOUT_S
        while sum(image.header.stamp.sec == second for image in received) < 2:
            assert time.monotonic() < deadline, "no image came"
            states.publish(JointState(name=NAMES[:3], position=[0.0] * 3))  # another robot's: not shown
            states.publish(joint_state(second, q))
            executor.spin_once(timeout_sec=0.01)

    renderer = cameras.WristCameras(scene.model, scene.cameras, 48, 64)
    for image in received:
        expected = renderer.render(postures[image.header.stamp.sec])
        name = image.header.frame_id.removesuffix("_color_optical_frame")
        assert (image.height, image.width, image.step, image.encoding) == (48, 64, 192, "rgb8")
        np.testing.assert_array_equal(np.asarray(image.data).reshape(48, 64, 3), expected[name])
    renderer.close()
    assert {image.header.frame_id for image in received} == {
        "wrist_1_color_optical_frame",
        "wrist_2_color_optical_frame",
    }
    assert node.diagnostics()["rendered"] >= 2


def test_a_missing_scene_fails_the_transition_in_one_line(graph):
    _, node, _ = graph("/nowhere/scene.mjb")
    assert node.on_configure(None) == TransitionCallbackReturn.FAILURE
    assert (
        node.failure.startswith("no scene could be read from /nowhere/scene.mjb") and "\n" not in node.failure
    )
