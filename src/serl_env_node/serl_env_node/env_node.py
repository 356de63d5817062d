# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the environment: topics in and out of `EnvDriver`."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from rosgraph_msgs.msg import Clock
from serl_msgs.msg import ControllerState
from serl_msgs.srv import Reset

from serl_core import codec, contract
from serl_core.plugins import load
from serl_core.shell_node import ShellNode, run
from serl_env_node.config import EnvConfig
from serl_env_node.driver import EnvDriver, Outlets
from serl_env_node.factory import make_environment
from serl_env_node.step_loop import StepLoop


class EnvNode(ShellNode):
    """Publishes observations, executes actions, publishes final transitions."""

    def __init__(self) -> None:
        super().__init__("env")
        self._driver: EnvDriver | None = None
        self._thread: threading.Thread | None = None

    def setup(self) -> None:
        """Build the environment named by the parameters and connect the topics."""
        config = self.config(EnvConfig)
        parts = {}
        if not config.env_id:
            parts = {"arm": load(config.arm, "arm"), "reward": load(config.reward, "reward")}
            parts = {name: part.from_parameters(self.config(part.Config)) for name, part in parts.items()}
        self._environment = make_environment(config, **parts)
        env_id = f"{config.task or config.env_id}-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        loop = StepLoop(self._environment, env_id)
        self._spec = loop.spec
        self._description = contract.publisher(self, contract.ENV_DESCRIPTION)
        self._description.publish(codec.to_description(self._spec, env_id))
        observation = contract.publisher(self, contract.OBSERVATION)
        transition = contract.publisher(self, contract.TRANSITION)
        episode = contract.publisher(self, contract.EPISODE)
        self._clock_publisher = contract.publisher(self, contract.CLOCK)
        self._controller_state = contract.publisher(self, contract.CONTROLLER_STATE)
        self._driver = EnvDriver(
            loop,
            config,
            Outlets(
                observation=lambda o: observation.publish(codec.to_observation(self._spec, o, request=True)),
                encode=lambda t: codec.to_transition(self._spec, t),
                transition=transition.publish,
                episode=lambda e: episode.publish(codec.to_episode(e)),
                stepped=self._publish_step,
            ),
        )
        driver = self._driver
        contract.subscription(self, contract.ACTION, lambda m: driver.put_action(codec.from_action(m)))
        contract.subscription(
            self, contract.INTERVENTION, lambda m: driver.put_intervention(codec.from_intervention(m))
        )
        contract.subscription(self, contract.TRANSITION_ACK, lambda m: driver.acknowledge(codec.from_ack(m)))
        self.create_service(Reset, "~/reset", self._on_reset)
        self._work = self.guarded(driver.run)

    def start(self) -> None:
        """Start stepping."""
        self._thread = threading.Thread(target=self._work, name="steps", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the present step; the arm holds."""
        if self._driver is not None and self._thread is not None:
            self._driver.stop()
            self._thread.join(timeout=5.0)
            self._thread = None

    def release(self) -> None:
        """Let go of the arm."""
        if self._driver is not None:
            self._environment.close()
            self._driver = None

    def diagnostics(self) -> dict[str, Any]:
        """Progress and what the environment waits for."""
        if self._driver is None:
            return {}
        return {
            "episodes": self._driver.episodes,
            "unacknowledged": self._driver.unacknowledged,
            "late_steps": self._driver.late_steps,
            "waiting_for": self._driver.waiting_for,
        }

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        if self._driver is None or self._thread is None:
            response.message = "the environment is not active: activate it first"
            return response
        self._driver.ask_reset(int(request.seed) or None)
        response.success = True
        return response

    def _publish_step(self, loop: StepLoop) -> None:
        assert loop.observation is not None and loop.last_result is not None
        stamp = codec.to_time(loop.observation.stamp)
        self._clock_publisher.publish(Clock(clock=stamp))
        trace = loop.last_result.trace
        if not trace:
            return
        message = ControllerState(flags=int(trace["flags"][-1]))
        message.header.stamp = stamp
        message.header.frame_id = codec.BASE_FRAME
        for name in ("measured", "commanded", "smoothed", "clipped"):
            pose = codec.to_pose(trace[f"{name}_position"][-1], trace[f"{name}_quaternion_xyzw"][-1])
            setattr(message, name, pose)
        message.error = trace["error"][-1].astype(float)
        message.wrench = trace["wrench"][-1].astype(float)
        message.external_wrench = trace["external_wrench"][-1].astype(float)
        message.joint_torque = trace["torque"][-1].astype(float).tolist()
        self._controller_state.publish(message)


def main() -> None:
    """Run the environment node."""
    run(EnvNode)


if __name__ == "__main__":
    main()
