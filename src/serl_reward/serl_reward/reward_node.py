# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of a reward in a process of its own: observations in, verdicts out."""

from __future__ import annotations

import time
from typing import Any

from serl_core import codec, contract
from serl_core.errors import SchemaError
from serl_core.shell_node import ShellNode, run
from serl_core.specs import EnvSpec
from serl_reward.assembly import make_reward
from serl_reward.classifier.config import RewardNodeConfig
from serl_reward.judge import Judge


class RewardNode(ShellNode):
    """Publishes a verdict on every observation while active."""

    def __init__(self) -> None:
        super().__init__("reward")
        self._active = False
        self._spec: EnvSpec | None = None
        self._judge: Judge | None = None

    def setup(self) -> None:
        """Build the reward named by the parameters and connect the topics."""
        config = self.config(RewardNodeConfig)
        self._reward = make_reward(config.reward, self.config)
        self._judge = Judge(self._reward, config.deadline_s)
        self._verdicts = contract.publisher(self, contract.REWARD)
        contract.subscription(self, contract.ENV_DESCRIPTION, self.guarded(self._on_description))
        contract.subscription(self, contract.OBSERVATION, self.guarded(self._on_observation))

    def start(self) -> None:
        """Begin to judge."""
        self._active = True

    def stop(self) -> None:
        """Fall silent; the environment takes the verdict as unknown."""
        self._active = False

    def diagnostics(self) -> dict[str, Any]:
        """Counts, and time from observation to verdict."""
        return self._judge.figures() if self._judge is not None else {}

    def _on_description(self, message: Any) -> None:
        spec = codec.from_description(message)
        missing = [camera for camera in self._reward.cameras if camera not in spec.image_keys]
        if missing:
            listing = ", ".join(spec.image_keys) or "none"
            raise SchemaError(
                f"reward {self._reward.name} judges by camera {missing[0]!r};"
                f" the environment of {spec.task} sends {listing}"
            )
        self._spec = spec
        self._judge.restart()

    def _on_observation(self, message: Any, info: dict[str, int]) -> None:
        arrival = time.monotonic() - contract.age(info)
        if not self._active or self._spec is None:
            return
        observation = codec.from_observation(self._spec, message)
        verdict = self._judge.judge(observation, arrival, time.monotonic)
        if verdict is not None:
            self._verdicts.publish(
                codec.to_reward(observation.episode_id, observation.step, verdict, observation.stamp)
            )


def main() -> None:
    """Run the reward node."""
    run(RewardNode)


if __name__ == "__main__":
    main()
