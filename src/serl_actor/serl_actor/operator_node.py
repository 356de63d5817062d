# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of a scripted operator: answers observations with interventions, as a person's device would."""

from __future__ import annotations

from typing import Any

from serl_actor.config import OperatorConfig
from serl_core import codec, contract
from serl_core.plugins import load
from serl_core.shell_node import ShellNode, run
from serl_core.types import Intervention

DEVICE = "scripted"


class OperatorNode(ShellNode):
    """Takes over at every step with the scripted expert's action."""

    def __init__(self) -> None:
        super().__init__("operator")
        self._active = False
        self._answers = 0
        self._answered: tuple[int, int] | None = None

    def setup(self) -> None:
        """Build the expert and connect the topics."""
        config = self.config(OperatorConfig)
        self._expert = load(config.expert, "expert")(seed=config.seed)
        self._publisher = contract.publisher(self, contract.INTERVENTION)
        contract.subscription(self, contract.OBSERVATION, self.guarded(self._on_observation))

    def start(self) -> None:
        """Begin to answer."""
        self._active = True

    def stop(self) -> None:
        """Fall silent: hands off."""
        self._active = False

    def diagnostics(self) -> dict[str, Any]:
        """Answers given."""
        return {"answers": self._answers}

    def _on_observation(self, message: Any) -> None:
        if not self._active or not message.request:
            return
        observation = codec.from_observation(None, message)
        now = (observation.episode_id, observation.step)
        if now != self._answered:  # asked again: repeat the same answer
            if observation.step == 0:
                self._expert.reset()
            self._word = Intervention(DEVICE, *now, True, self._expert.act(observation.state))
            self._answered = now
            self._answers += 1
        self._publisher.publish(codec.to_intervention(self._word, observation.stamp))


def main() -> None:
    """Run the scripted operator."""
    run(OperatorNode)


if __name__ == "__main__":
    main()
