# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of an arm's services: gain sets, switching of controllers, a simulation's reset, the motion home."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from serl_msgs.action import MoveJoints
from serl_msgs.srv import Reset, SetGainSet

from serl_core.errors import SerlError
from serl_env_node.streamed_arm import Ros2ControlArmConfig


class ArmServices:
    """Calls that wait for their answers, from another thread than the one that spins the node."""

    def __init__(self, node: Node, config: Ros2ControlArmConfig) -> None:
        self.node = node
        self._config = config
        self._motion = ActionClient(node, MoveJoints, f"{config.reset_controller}/move_joints")
        self._clients: dict[str, Any] = {}
        self._goal: Any = None
        self._halted = threading.Event()

    def use_gains(self, name: str) -> None:
        """Call the controller's `set_gain_set`."""
        service = f"{self._config.controller}/set_gain_set"
        response = self._call(SetGainSet, service, SetGainSet.Request(name=name))
        if not response.success:
            raise SerlError(f"gain set {name!r} refused: {response.message}")

    def active_controllers(self) -> set[str]:
        """Ask the controller manager."""
        from controller_manager_msgs.srv import ListControllers

        response = self._manager(ListControllers, "list_controllers", ListControllers.Request())
        return {controller.name for controller in response.controller if controller.state == "active"}

    def switch(self, activate: Sequence[str], deactivate: Sequence[str]) -> None:
        """Ask the controller manager for all of it or nothing."""
        from controller_manager_msgs.srv import SwitchController

        request = SwitchController.Request(
            activate_controllers=list(activate), deactivate_controllers=list(deactivate),
            strictness=SwitchController.Request.STRICT,
        )  # fmt: skip
        request.timeout.sec = int(self._config.service_timeout_s)
        response = self._manager(SwitchController, "switch_controller", request)
        if not response.ok:
            why = getattr(response, "message", "") or "see the controller manager's log"
            raise SerlError(
                f"controllers cannot be switched to {list(activate)} from {list(deactivate)}: {why}"
            )

    def reset_simulation(self, seed: int) -> None:
        """Call the simulation's own reset."""
        response = self._call(Reset, self._config.simulation_reset, Reset.Request(seed=seed))
        if not response.success:
            raise SerlError(f"{self._config.simulation_reset} refused: {response.message}")

    def move_joints(self, positions: Sequence[float]) -> None:
        """Run the reset controller's action to its end."""
        c = self._config
        if not self._motion.wait_for_server(timeout_sec=c.service_timeout_s):
            raise SerlError(f"no action server {c.reset_controller}/move_joints: is the controller active?")
        goal = MoveJoints.Goal(positions=[float(q) for q in positions], duration=0.0)
        what = f"{c.reset_controller}/move_joints"
        self._goal = self._result(self._motion.send_goal_async(goal), what, c.service_timeout_s)
        if not self._goal.accepted:
            raise SerlError(f"{what} refused the goal: see the controller's log")
        if self._halted.is_set():  # told to while the goal was on its way
            self._goal.cancel_goal_async()
        result = self._result(self._goal.get_result_async(), what, c.motion_timeout_s).result
        self._goal = None
        if not (result.success or self._halted.is_set()):
            raise SerlError(f"the joints did not move home: {result.message}")

    def halt(self) -> None:
        """Cancel the motion of the joints: its controller holds where they are."""
        self._halted.set()
        goal = self._goal
        if goal is not None:
            goal.cancel_goal_async()

    def _manager(self, kind: Any, name: str, request: Any) -> Any:
        return self._call(kind, f"{self._config.controller_manager}/{name}", request)

    def _call(self, kind: Any, service: str, request: Any) -> Any:
        seconds = self._config.service_timeout_s
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        client = self._clients[service]
        if not client.wait_for_service(timeout_sec=seconds):
            raise SerlError(f"no service {client.srv_name} within {seconds:.0f} s: is its node running?")
        return self._result(client.call_async(request), client.srv_name, seconds)

    def _result(self, future: Any, what: str, seconds: float) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(seconds):
            raise SerlError(f"{what} did not answer within {seconds:.0f} s")
        return future.result()
