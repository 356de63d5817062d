# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the environment: topics in and out of `EnvDriver`."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from rosgraph_msgs.msg import Clock
from serl_msgs.srv import Reset

from serl_core import codec, contract
from serl_core.plugins import load
from serl_core.shell_node import ShellNode, run
from serl_env_node.config import EnvConfig
from serl_env_node.controller_trace import last_state
from serl_env_node.driver import EnvDriver, Outlets
from serl_env_node.factory import make_environment
from serl_env_node.step_loop import StepLoop
from serl_reward.assembly import make_reward
from serl_reward.awaited import AwaitedReward


class EnvNode(ShellNode):
    """Publishes observations, executes actions, publishes final transitions."""

    stops_for_good = True  # its episode has ended as stopped, and its arm was halted

    def __init__(self) -> None:
        super().__init__("env")
        self._driver: EnvDriver | None = None
        self._thread: threading.Thread | None = None
        self._awaited: AwaitedReward | None = None

    def setup(self) -> None:
        """Build the environment named by the parameters and connect the topics."""
        config = self.config(EnvConfig)
        parts: dict[str, Any] = {}
        if not config.env_id:
            arm = load(config.arm, "arm")
            parts = {"reward": make_reward(config.reward, self.config)}
            if config.ground_truth:
                parts["ground_truth"] = make_reward(config.ground_truth, self.config)
            parts["arm"] = arm.from_parameters(self.config(arm.Config))
        reward = parts.get("reward")
        self._awaited = reward if isinstance(reward, AwaitedReward) else None
        self._environment = make_environment(config, **parts)
        env_id = f"{config.task or config.env_id}-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self._loop = loop = StepLoop(self._environment, env_id)
        self._rate_from = (0, time.monotonic())
        self._spec = loop.spec
        self._description = contract.publisher(self, contract.ENV_DESCRIPTION)
        self._description.publish(codec.to_description(self._spec, env_id))
        observation = contract.publisher(self, contract.OBSERVATION)
        transition = contract.publisher(self, contract.TRANSITION)
        episode = contract.publisher(self, contract.EPISODE)
        # A live environment's time comes from elsewhere, and so does its /clock where it is simulated.
        # A graph has one clock: simulated robots in namespaces, each in a time of its own, leave it alone.
        timed = not loop.live and self.get_namespace() == "/"
        self._clock_publisher = contract.publisher(self, contract.CLOCK) if timed else None
        self._controller_state = contract.publisher(self, contract.CONTROLLER_STATE)
        self._driver = EnvDriver(
            loop,
            config,
            Outlets(
                observation=lambda o: observation.publish(codec.to_observation(self._spec, o, request=True)),
                final=lambda o: observation.publish(codec.to_observation(self._spec, o)),
                encode=lambda t: codec.to_transition(self._spec, t),
                transition=transition.publish,
                episode=lambda e: episode.publish(codec.to_episode(e)),
                stepped=self._publish_step,
            ),
            self._awaited,
        )
        driver = self._driver
        if self._awaited is not None:
            verdicts = self._awaited.verdicts
            contract.subscription(
                self, contract.REWARD, lambda m: verdicts.put(m.episode_id, m.step, codec.from_reward(m))
            )
        contract.subscription(self, contract.ACTION, lambda m: driver.put_action(codec.from_action(m)))
        contract.subscription(
            self, contract.INTERVENTION, lambda m: driver.put_intervention(codec.from_intervention(m))
        )
        contract.subscription(
            self, contract.TRANSITION_ACK, self.guarded(lambda m: driver.acknowledge(codec.from_ack(m)))
        )
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
            self._environment.halt()
            self._thread.join(timeout=5.0)
            self._thread = None

    def release(self) -> None:
        """Let go of the arm."""
        if self._driver is not None:
            self._environment.close()
            self._driver = None

    def diagnostics(self) -> dict[str, Any]:
        """Progress, rates, the queue of the unacknowledged, and what the environment waits for."""
        if self._driver is None:
            return {}
        (steps, since), self._rate_from = self._rate_from, (self._loop.sequence, time.monotonic())
        return {
            "episodes": self._driver.episodes,
            "successes": self._driver.successes,
            "steps": self._loop.sequence,
            "step_rate_hz": round((self._loop.sequence - steps) / max(1e-3, self._rate_from[1] - since), 1),
            "unacknowledged": self._driver.unacknowledged,
            "late_steps": self._driver.late_steps,
            "waiting_for": self._driver.waiting_for,
            "ignored_interventions": self._driver.ignored_interventions,
            **({} if self._awaited is None else self._awaited.figures()),
            **self._environment.figures(),
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
        stamp, trace = loop.observation.stamp, loop.last_result.trace
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=codec.to_time(stamp)))
        if trace:
            state = last_state(trace, stamp, codec.BASE_FRAME)
            self._controller_state.publish(codec.to_controller_state(state))


def main() -> None:
    """Run the environment node."""
    run(EnvNode)


if __name__ == "__main__":
    main()
