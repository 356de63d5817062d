# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The ROS shell against a controller that is a node: topics, services, actions, frames and stamps."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from arm_cases import DOWN_XYZW, GOAL, HOME, IMPEDANCE, RESET, state_at
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from serl_msgs.action import MoveJoints
from serl_msgs.srv import Reset, SetGainSet

from serl_core import codec, contract
from serl_core.errors import SerlError
from serl_env_node.arm_stream import Halted
from serl_env_node.frames import Pose
from serl_env_node.ros2_control_arm_node import Ros2ControlArm, RosLink
from serl_env_node.streamed_arm import Ros2ControlArmConfig

PERIOD = 0.01


class FakeRobot(Node):
    """Both controllers, a simulation's reset and a camera, on a clock that starts at 1000 s."""

    def __init__(self) -> None:
        super().__init__("fake_robot", namespace="arm_test")
        group = ReentrantCallbackGroup()
        self.active = {IMPEDANCE}
        self.targets: list[PoseStamped] = []
        self.asked: list[tuple] = []
        self.time = 1000.0
        self.pose = HOME.copy()
        self.hold = 1
        self.alive = True
        self.refuse = ""
        self.block = threading.Event()
        self.block.set()
        own = contract.under(IMPEDANCE, contract.STATE)
        self.states = contract.publisher(self, own)
        self.images = self.create_publisher(Image, "wrist/color/image_raw", 5)
        contract.subscription(self, contract.under(IMPEDANCE, contract.TARGET_POSE), self._on_target)
        self.create_service(SetGainSet, f"{IMPEDANCE}/set_gain_set", self._on_gains)
        self.create_service(Reset, "simulation/reset", self._on_reset)
        self.server = ActionServer(
            self, MoveJoints, f"{RESET}/move_joints", self._on_motion, callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip
        self.create_timer(PERIOD, self._publish, callback_group=group)

    def _publish(self) -> None:
        self.time += PERIOD
        if self.alive and IMPEDANCE in self.active:
            self.states.publish(codec.to_controller_state(state_at(self.time, self.pose, hold=self.hold)))
            image = Image(height=2, width=2, step=8, encoding="bgr8", data=bytes(range(16)))
            image.header.stamp = codec.to_time(self.time)
            self.images.publish(image)

    def _on_target(self, message: PoseStamped) -> None:
        self.targets.append(message)
        self.hold = 0
        self.pose = codec.from_pose(message.pose)

    def _on_gains(self, request: Any, response: Any) -> Any:
        self.asked.append(("gains", request.name))
        response.success, response.message = request.name != "odd", "no such set"
        return response

    def _on_reset(self, request: Any, response: Any) -> Any:
        self.asked.append(("reset", request.seed))
        response.success, response.message = not self.refuse, self.refuse
        return response

    def _on_motion(self, goal: Any) -> MoveJoints.Result:
        self.asked.append(("motion", tuple(goal.request.positions)))
        waiting = threading.Event()
        for _ in range(1000):
            if self.block.is_set() or goal.is_cancel_requested:
                break
            waiting.wait(0.01)
        if goal.is_cancel_requested:
            goal.canceled()
            return MoveJoints.Result(success=False, message="cancelled")
        if self.refuse:
            goal.abort()
            return MoveJoints.Result(success=False, message=self.refuse)
        goal.succeed()
        return MoveJoints.Result(success=True)

    def switch(self, request: Any) -> Any:
        self.asked.append(
            ("switch", tuple(request.activate_controllers), tuple(request.deactivate_controllers))
        )
        self.active = (self.active | set(request.activate_controllers)) - set(request.deactivate_controllers)
        self.hold = 1
        return types.SimpleNamespace(ok=not self.refuse, message=self.refuse)


@pytest.fixture
def robot(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRobot]:
    rclpy.init()
    node = FakeRobot()
    executor = MultiThreadedExecutor(4)
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    stand_in_for_controller_manager(node, monkeypatch)
    yield node
    ended.set()
    thread.join()
    executor.shutdown()
    node.server.destroy()
    node.destroy_node()
    rclpy.shutdown()


def stand_in_for_controller_manager(node: FakeRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages come with a ROS 2 installation only: answer in its place, one call below the services."""

    class Request(types.SimpleNamespace):
        STRICT = 2

        def __init__(self, **fields: Any) -> None:
            super().__init__(timeout=types.SimpleNamespace(sec=0), **fields)

    services = types.ModuleType("controller_manager_msgs.srv")
    services.ListControllers = types.SimpleNamespace(Request=Request)  # type: ignore[attr-defined]
    services.SwitchController = types.SimpleNamespace(Request=Request)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "controller_manager_msgs", types.ModuleType("controller_manager_msgs"))
    monkeypatch.setitem(sys.modules, "controller_manager_msgs.srv", services)

    def answer(_: RosLink, kind: Any, name: str, request: Any) -> Any:
        if name == "switch_controller":
            return node.switch(request)
        controllers = [types.SimpleNamespace(name=n, state="active") for n in node.active]
        return types.SimpleNamespace(controller=controllers)

    monkeypatch.setattr(RosLink, "_manager", answer)


@pytest.fixture
def arm(robot: FakeRobot) -> Iterator[Callable[..., Ros2ControlArm]]:
    made: list[Ros2ControlArm] = []

    def make(**changes: Any) -> Ros2ControlArm:
        # Long, so that a busy machine's pause is no fault; the test of that fault sets its own.
        settings = {"goal_position": GOAL, "namespace": "arm_test", "lift": 0.0, "service_timeout_s": 10.0,
                    "state_timeout_s": 10.0}  # fmt: skip
        made.append(Ros2ControlArm.from_parameters(Ros2ControlArmConfig(**{**settings, **changes})))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_restart_and_a_step_over_the_wire(robot: FakeRobot, arm: Callable[..., Ros2ControlArm]) -> None:
    one = arm(home=(0.5,) * 7, simulation_reset="simulation/reset")
    first = one.restart(9)
    assert robot.asked == [
        ("switch", (), (IMPEDANCE,)), ("reset", 9), ("switch", (RESET,), ()), ("motion", (0.5,) * 7),
        ("switch", (IMPEDANCE,), (RESET,)),
    ]  # fmt: skip
    X_BT = Pose.from_arrays(HOME[:3] + np.array([0.01, 0.0, 0.0]), HOME[3:])
    state = one.track(X_BT, 0.1)
    assert (first.fault, state.fault) == ("", "")
    assert robot.asked[-1] == ("gains", "compliant")
    np.testing.assert_allclose(state.X_BE.position, X_BT.position)
    target = robot.targets[-1]
    assert target.header.frame_id == "base"
    assert (
        first.time - 0.02 <= codec.from_time(target.header.stamp) <= state.time
    )  # the controller's own clock
    np.testing.assert_allclose(codec.from_pose(target.pose), [*X_BT.position, *DOWN_XYZW])
    assert len(robot.targets) >= 3  # it is a heartbeat too


def test_a_picture_comes_with_its_state(robot: FakeRobot, arm: Callable[..., Ros2ControlArm]) -> None:
    one = arm(cameras=("wrist",), image_topic="{camera}/color/image_raw", image_max_age_s=1.0)
    one.restart(0)
    state = one.track(Pose.from_arrays(HOME[:3], HOME[3:]), 0.3)
    picture = one.images()["wrist"]
    assert one.state().fault == ""
    assert picture.shape == (128, 128, 3)
    # bgr8 with two bytes of padding at the end of each row.
    np.testing.assert_array_equal(picture[0, 0], [2, 1, 0])
    np.testing.assert_array_equal(picture[-1, -1], [13, 12, 11])
    assert abs(one.frames.ages["wrist"]) < 1.0 and state.time > 1000.0


def test_a_controller_that_dies_is_a_fault(robot: FakeRobot, arm: Callable[..., Ros2ControlArm]) -> None:
    one = arm(state_timeout_s=1.0)
    one.restart(0)
    robot.alive = False
    assert "no state from the controller for" in one.track(Pose.from_arrays(HOME[:3], HOME[3:]), 10.0).fault


def test_refusals_carry_the_words_of_who_refused(
    robot: FakeRobot, arm: Callable[..., Ros2ControlArm]
) -> None:
    one = arm(gains="odd", simulation_reset="simulation/reset")
    one.restart(0)
    with pytest.raises(SerlError, match="gain set 'odd' refused: no such set"):
        one.track(Pose.from_arrays(HOME[:3], HOME[3:]), 0.1)
    robot.refuse = "a controller claims the arm"
    with pytest.raises(SerlError, match=r"cannot be switched to \[\] from .*: a controller claims the arm"):
        one.restart(0)
    robot.active = set()
    with pytest.raises(SerlError, match="simulation/reset refused: a controller claims the arm"):
        one.restart(0)
    with pytest.raises(SerlError, match="the joints did not move home: a controller claims the arm"):
        one._link.move_joints(())


def test_a_service_that_is_not_there(robot: FakeRobot, arm: Callable[..., Ros2ControlArm]) -> None:
    one = arm(simulation_reset="nowhere/reset", service_timeout_s=0.2)
    with pytest.raises(SerlError, match=r"no service .*nowhere/reset within 0 s: is its node running\?"):
        one.restart(0)


def test_a_halt_cancels_the_motion_home(robot: FakeRobot, arm: Callable[..., Ros2ControlArm]) -> None:
    one = arm()
    one.restart(0)
    robot.block.clear()
    threading.Timer(0.3, one.halt).start()
    with pytest.raises(Halted):
        one.restart(0)
    assert robot.active == {RESET}  # which holds where the joints stopped


def test_a_gripper_is_sent_off_and_tells_its_width(
    robot: FakeRobot, arm: Callable[..., Ros2ControlArm]
) -> None:
    reason = "control_msgs is not installed: it comes with a ROS 2 installation"
    GripperCommand = pytest.importorskip("control_msgs.action", reason=reason).GripperCommand
    goals: list[tuple[float, float]] = []
    told = threading.Event()

    def on_goal(handle: Any) -> Any:
        command = handle.request.command
        goals.append((command.position, command.max_effort))
        handle.succeed()
        told.set()
        return GripperCommand.Result(position=0.01, stalled=True)

    server = ActionServer(robot, GripperCommand, "gripper/gripper_action", on_goal)
    one = arm(gripper_action="gripper/gripper_action", gripper_width=0.05)
    one.restart(0)
    assert one._link._gripper.wait_for_server(10.0)
    one.grip(-1.0)
    assert told.wait(10.0)
    assert goals == [(0.0, 40.0)]
    for _ in range(500):
        if one.state().gripper_width != 0.05:
            break
        one.track(Pose.from_arrays(HOME[:3], HOME[3:]), 0.02)
    assert one.state().gripper_width == pytest.approx(0.02)
    server.destroy()
