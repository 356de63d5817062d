# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The simulated bringup as a user launches it: controllers active, 1 kHz held, episodes, bags that can be read.

Run by `test_launch_mujoco.py`, or by hand: `launch_test mujoco_bringup_case.py`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

import launch_testing.actions
import numpy as np
import rclpy
from ament_index_python.packages import get_package_share_directory
from control_msgs.msg import DynamicJointState
from controller_manager_msgs.srv import ListControllers
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.executors import SingleThreadedExecutor

from launch import LaunchDescription
from serl_core import codec, contract
from serl_learner.bag.reader import read_transitions

EPISODES = 2
PATIENCE = 180.0
CYCLE, DECIMATION = 0.001, 10
RECORDS = importlib.util.find_spec("ros2bag") is not None


def generate_test_description() -> tuple[LaunchDescription, dict[str, Any]]:
    """Record demonstrations of the scripted operator on the lockstep hardware."""
    out = Path(tempfile.mkdtemp(prefix="serl-launch-test-")) / "run"
    share = Path(get_package_share_directory("serl_bringup"))
    source = PythonLaunchDescriptionSource(str(share / "launch/record_demos.launch.py"))
    arguments = {
        "robot": "mujoco",
        "out": str(out),
        "episodes": str(EPISODES),
        "record": str(RECORDS).lower(),
        "seed": "1",
    }
    bringup = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    return LaunchDescription([bringup, launch_testing.actions.ReadyToTest()]), {"out": out}


class TestRunning(unittest.TestCase):
    """While it runs; the tests go in the order of their names."""

    @classmethod
    def setUpClass(cls) -> None:
        rclpy.init()
        cls.node = rclpy.create_node("launch_test")
        cls.stamps, cls.episodes = [], []
        own = contract.under("cartesian_impedance_controller", contract.STATE)
        contract.subscription(cls.node, own, lambda m: cls.stamps.append(codec.from_time(m.header.stamp)))
        contract.subscription(
            cls.node, contract.EPISODE, lambda m: cls.episodes.append(codec.from_episode(m))
        )
        cls.manager = cls.node.create_client(ListControllers, "/controller_manager/list_controllers")
        cls.executor = SingleThreadedExecutor()
        cls.executor.add_node(cls.node)
        cls.ended = threading.Event()
        cls.thread = threading.Thread(target=cls.spin)
        cls.thread.start()

    @classmethod
    def spin(cls) -> None:
        while not cls.ended.is_set():
            cls.executor.spin_once(timeout_sec=0.1)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.ended.set()
        cls.thread.join()
        cls.node.destroy_node()
        rclpy.shutdown()

    def until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"{what} did not happen")
            time.sleep(0.1)

    def controllers(self) -> dict[str, str]:
        future = self.manager.call_async(ListControllers.Request())
        deadline = time.monotonic() + 5.0
        while not future.done() and time.monotonic() < deadline:
            time.sleep(0.02)
        return {c.name: c.state for c in future.result().controller} if future.done() else {}

    def test_1_an_episode_runs_and_succeeds(self, proc_output: Any) -> None:
        self.until(lambda: self.episodes, "an episode")
        self.assertGreater(self.episodes[0].steps, 5)
        self.until(lambda: sum(e.success for e in self.episodes) >= EPISODES, f"{EPISODES} successes")
        self.assertTrue(all(not e.end_reason.startswith("fault") for e in self.episodes), self.episodes)

    def test_2_the_controllers_are_as_they_should_be(self) -> None:
        wanted = {"joint_state_broadcaster": "active", "cartesian_impedance_controller": "active",
                  "joint_reset_controller": "inactive"}  # fmt: skip
        self.until(lambda: self.controllers() == wanted, f"controllers {wanted}")

    def test_3_every_cycle_had_its_update(self) -> None:
        gaps = np.diff(self.stamps)
        self.assertGreater(len(gaps), 500)
        # A state each ten updates. A message that waits for the publisher's thread comes a cycle late, a restart of the
        # arm leaves a gap: neither changes what is usual, nor how many there are.
        self.assertAlmostEqual(float(np.median(gaps)), CYCLE * DECIMATION, places=6)
        within = gaps < 3.0 * CYCLE * DECIMATION
        self.assertGreater(np.mean(within), 0.95)
        self.assertAlmostEqual(float(np.mean(gaps[within])) / (CYCLE * DECIMATION), 1.0, delta=0.02)

    def test_4_every_cycle_is_one_step_of_the_physics(self) -> None:
        heard: list[tuple[float, float]] = []

        def hear(message: DynamicJointState) -> None:
            values = message.interface_values[message.joint_names.index("physics")]
            heard.append((codec.from_time(message.header.stamp), values.values[0]))

        subscription = self.node.create_subscription(DynamicJointState, "/dynamic_joint_states", hear, 1)
        self.until(lambda: len(heard) >= 100, "a hundred states of the hardware")
        self.node.destroy_subscription(subscription)
        stamps, steps = np.array(heard).T
        np.testing.assert_allclose(np.diff(steps), np.diff(stamps) / CYCLE, atol=1e-3)


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    """When all has ended."""

    def test_the_demonstrations_can_be_read(self, out: Path) -> None:
        transitions = list(read_transitions(out / "demos"))
        self.assertEqual(sum(t.success for t in transitions), EPISODES)
        stamps = np.array([t.next_observation.stamp for t in transitions if t.step > 0])
        self.assertTrue(np.all(np.diff(stamps) > 0.0))

    @unittest.skipUnless(RECORDS, "ros2bag is not installed: nothing was recorded")
    def test_the_recording_can_be_read(self, out: Path) -> None:
        done = subprocess.run(
            ["ros2", "bag", "info", str(out / "recording-1")], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        for topic in (
            "/transition",
            "/cartesian_impedance_controller/state",
            "/joint_states",
            "/diagnostics",
        ):
            self.assertIn(topic, done.stdout)

    def test_the_parameters_were_written_down(self, out: Path) -> None:
        self.assertIn("Ros2ControlArm", (out / "parameters.yaml").read_text())
        self.assertIn("stages", json.loads((out / "state.json").read_text()))
