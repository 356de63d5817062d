# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of a scripted operator: answers observations with interventions, as a person's device would."""

from __future__ import annotations

from typing import Any

from serl_actor.intervention.config import OperatorConfig
from serl_actor.intervention.corrective import scripted_operator
from serl_core import codec, contract
from serl_core.plugins import load
from serl_core.shell_node import ShellNode, run
from serl_core.types import Intervention


class OperatorNode(ShellNode):
    """Gives a word on each observation; asked again, it repeats the same."""

    def __init__(self) -> None:
        super().__init__("operator")
        self._active = False
        self._word: Intervention | None = None
        self._answers = 0
        self._corrections = 0
        self._human_steps = 0

    def setup(self) -> None:
        """Build the operator and connect the topics."""
        config = self.config(OperatorConfig)
        self._operator = scripted_operator(load(config.expert, "expert")(seed=config.seed), config)
        self._publisher = contract.publisher(self, contract.INTERVENTION)
        contract.subscription(self, contract.OBSERVATION, self.guarded(self._on_observation))

    def start(self) -> None:
        """Begin to answer."""
        self._active = True

    def stop(self) -> None:
        """Fall silent: hands off."""
        self._active = False

    def diagnostics(self) -> dict[str, Any]:
        """Answers given, take-overs, and share of the steps in control."""
        return {
            "answers": self._answers,
            "takeovers": self._corrections,
            "human_share": round(self._human_steps / max(1, self._answers), 3),
        }

    def _on_observation(self, message: Any) -> None:
        if not self._active or not message.request:
            return
        observation = codec.from_observation(None, message)
        before = self._word
        asked = (observation.episode_id, observation.step)
        if before is None or asked != (before.episode_id, before.step):
            self._word = self._operator.word(observation)
            self._answers += 1
            self._human_steps += self._word.active
            self._corrections += self._word.active and not (before is not None and before.active)
        self._publisher.publish(codec.to_intervention(self._word, observation.stamp))


def main() -> None:
    """Run the scripted operator."""
    run(OperatorNode)


if __name__ == "__main__":
    main()
