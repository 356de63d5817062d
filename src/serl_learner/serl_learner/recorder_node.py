# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the recorder: demonstrations and evaluations go to a bag, acknowledged as by a learner."""

from __future__ import annotations

import time
from typing import Any

from rclpy.serialization import deserialize_message

from serl_core import codec, contract
from serl_core.errors import ConfigError
from serl_core.shell_node import ShellNode, run
from serl_learner.config import RecorderConfig
from serl_learner.recording import Recording, last_sequences

ACK_SECONDS = 0.2
"""Acknowledgements are repeated this often: one may be lost while nodes still discover each other."""

NO_LIMIT = 2**62


class RecorderNode(ShellNode):
    """Writes transitions, episodes and controller states to a bag."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self._recording: Recording | None = None

    def setup(self) -> None:
        """Look into the bag, if there is one; wait for the environment's description to go on with it."""
        config = self.config(RecorderConfig)
        if not config.bag:
            raise ConfigError("recorder: the parameter bag must name a folder")
        self._bag = config.bag
        self._known = last_sequences(self._bag)
        self._ack = contract.publisher(self, contract.TRANSITION_ACK)
        self.create_timer(ACK_SECONDS, self.guarded(self._acknowledge))
        contract.subscription(self, contract.ENV_DESCRIPTION, self.guarded(self._on_description))
        contract.subscription(self, contract.TRANSITION, self.guarded(self._on_transition), raw=True)
        for topic in (contract.EPISODE, contract.CONTROLLER_STATE):
            contract.subscription(self, topic, self.guarded(self._keep(topic.name)), raw=True)

    def release(self) -> None:
        """Finish the bag."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None

    def diagnostics(self) -> dict[str, Any]:
        """What was written."""
        return self._recording.figures() if self._recording is not None else {}

    def _on_description(self, message: Any) -> None:
        spec = codec.from_description(message)
        if self._recording is None:
            self._recording = Recording(
                self._bag, spec, time.time_ns(), lambda last, environments: NO_LIMIT, self._known
            )
        self._recording.greet(message.env_id, spec)

    def _acknowledge(self) -> None:
        for ack in self._recording.acks() if self._recording is not None else ():
            self._ack.publish(codec.to_ack(ack))

    def _on_transition(self, cdr: bytes) -> None:
        if self._recording is None:
            return  # the environment sends it again
        message = deserialize_message(cdr, contract.TRANSITION.type)
        if self._recording.expects(message.env_id):
            transition = codec.from_transition(self._recording.spec, message)
            receipt = self._recording.receive(transition, time.time_ns(), cdr)
            self._ack.publish(codec.to_ack(receipt.ack))

    def _keep(self, topic: str) -> Any:
        def keep(cdr: bytes) -> None:
            if self._recording is not None:
                self._recording.keep(topic, time.time_ns(), cdr)

        return keep


def main() -> None:
    """Run the recorder."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
