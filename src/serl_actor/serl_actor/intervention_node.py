# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of a person's devices: readings in, one word on each observation out."""

from __future__ import annotations

import time
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from sensor_msgs.msg import Joy as JoyMessage

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.factory import leader_chain, make_teleoperation, source
from serl_actor.intervention.streams import LeaderArm
from serl_actor.intervention.teleoperation import Teleoperation
from serl_core import codec, contract
from serl_core.errors import ConfigError
from serl_core.shell_node import ShellNode, run
from serl_core.types import Intervention, Observation


class InterventionNode(ShellNode):
    """Answers each observation at once and, while the person has the arm, speaks at the rate of the readings."""

    def __init__(self) -> None:
        super().__init__("intervention")
        self._active = False
        self._teleoperation: Teleoperation | None = None
        self._observation: Observation | None = None
        self._spoken: Intervention | None = None
        self._lost: dict[str, str] = {}
        self._takeovers = 0

    def setup(self) -> None:
        """Build the devices named by the parameters and connect their topics."""
        config = self.config(InterventionConfig)
        self._teleoperation = make_teleoperation(config)
        for index, kind in enumerate(config.devices):
            self._connect(config, kind, source(config, index), self._teleoperation.hands[index].device.device)
        for hand in self._teleoperation.hands:
            hand.update(time.monotonic())  # what is missing is said now, and what is missing for good ends it
        self._tell_of_losses()
        self._publisher = contract.publisher(self, contract.INTERVENTION)
        contract.subscription(self, contract.ENV_DESCRIPTION, self.guarded(self._on_description))
        contract.subscription(self, contract.OBSERVATION, self.guarded(self._on_observation))
        # A person's hands move in real time, whatever the simulation's clock does.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / config.rate_hz, self.guarded(self._on_timer), clock=wall)

    def start(self) -> None:
        """Begin to speak."""
        self._active = True

    def stop(self) -> None:
        """Hands off, said aloud, so that no old word goes on counting."""
        if self._active and self._teleoperation is not None and self._observation is not None:
            self._say(self._teleoperation.let_go(self._observation))
        self._active = False

    def release(self) -> None:
        """Let go of the devices."""
        if self._teleoperation is not None:
            self._teleoperation.end()
            self._teleoperation = None

    def diagnostics(self) -> dict[str, Any]:
        """Who is in control, take-overs, and what is lost."""
        if self._teleoperation is None:
            return {}
        return {
            "in_control": self._spoken is not None and self._spoken.active,
            "holding": self._teleoperation.holding,
            "takeovers": self._takeovers,
            "losses": sum(hand.device.losses for hand in self._teleoperation.hands),
            **self._teleoperation.lost,
        }

    def _connect(self, config: InterventionConfig, kind: str, topic: str, device: Any) -> None:
        def listen(message: Any, name: str, take: Any) -> None:
            self.create_subscription(message, name, self.guarded(take), qos_profile_sensor_data)

        if kind in ("spacenav", "joy"):
            listen(JoyMessage, topic, lambda m: device.put(m.axes, m.buttons, time.monotonic()))
        elif kind == "leader_pose":
            listen(PoseStamped, topic, lambda m: device.put(codec.from_pose(m.pose), time.monotonic()))
        elif kind == "leader_joints":
            chain = leader_chain(config)
            listen(
                JointState,
                topic,
                lambda m: device.put(
                    chain.tip_pose(dict(zip(m.name, m.position, strict=False))), time.monotonic()
                ),
            )
        if isinstance(device, LeaderArm) and config.leader_clutch_topic:
            listen(JoyMessage, config.leader_clutch_topic, lambda m: device.put_clutch(any(m.buttons)))

    def _on_description(self, message: Any) -> None:
        wanted = codec.from_description(message).action_size
        if self._teleoperation is not None and self._teleoperation.size != wanted:
            raise ConfigError(
                f"the devices give {self._teleoperation.size} numbers, actions of {message.task} have {wanted}:"
                " set axis_map, or devices for each arm"
            )

    def _on_observation(self, message: Any) -> None:
        self._observation = codec.from_observation(None, message)
        if self._active and message.request:
            self._say(self._hear(self._observation))

    def _on_timer(self) -> None:
        if not self._active or self._observation is None:
            return
        was_active = self._spoken is not None and self._spoken.active
        word = self._hear(self._observation)
        if word.active or was_active:
            self._say(word)

    def _hear(self, observation: Observation) -> Intervention:
        word = self._teleoperation.word(observation, time.monotonic())
        self._tell_of_losses()
        return word

    def _tell_of_losses(self) -> None:
        lost = self._teleoperation.lost
        for key in lost.keys() - self._lost.keys():
            told = "; the arm holds until it is back" if self._teleoperation.holding else ""
            self.get_logger().error(f"{key} lost: {lost[key]}{told}")
        for key in self._lost.keys() - lost.keys():
            self.get_logger().info(f"{key} is back")
        self._lost = lost

    def _say(self, word: Intervention) -> None:
        self._takeovers += word.active and not (self._spoken is not None and self._spoken.active)
        self._spoken = word
        self._publisher.publish(codec.to_intervention(word, self._observation.stamp))


def main() -> None:
    """Run the intervention node."""
    run(InterventionNode)


if __name__ == "__main__":
    main()
