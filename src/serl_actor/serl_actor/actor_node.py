# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""ROS shell of the actor: observations in, actions out, weights swapped between steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from serl_actor.config import ActorConfig
from serl_actor.policy_runner import PolicyRunner
from serl_actor.weight_slot import WeightSlot
from serl_core import codec, contract
from serl_core.errors import SchemaError
from serl_core.latency import RecentLatencies
from serl_core.shell_node import ShellNode, run
from serl_core.specs import EnvSpec
from serl_core.types import Action, PolicyWeights


class ActorNode(ShellNode):
    """Answers each observation once; asked again, it repeats its answer."""

    def __init__(self) -> None:
        super().__init__("actor")
        self._active = False
        self._spec: EnvSpec | None = None
        self._slot: WeightSlot[PolicyRunner] | None = None
        self._waiting: PolicyWeights | None = None
        self._answer: Action | None = None
        self._latencies = RecentLatencies()

    def setup(self) -> None:
        """Load the checkpoint named by the parameters, or listen for the learner's weights."""
        config = self.config(ActorConfig)
        self._rng = None if config.deterministic else np.random.default_rng(config.seed)
        self._resnet10_weights = config.resnet10_weights
        self._from_checkpoint = bool(config.checkpoint)
        if self._from_checkpoint:
            from serl_learner.checkpoint import load_policy

            loaded = load_policy(config.checkpoint)
            self._waiting = loaded.weights
            self._resnet10_weights = loaded.backbone_file
        else:
            contract.subscription(self, contract.POLICY, lambda m: self._on_weights(codec.from_weights(m)))
        self._actions = contract.publisher(self, contract.ACTION)
        contract.subscription(self, contract.ENV_DESCRIPTION, self.guarded(self._on_description))
        contract.subscription(self, contract.OBSERVATION, self.guarded(self._on_observation))

    def start(self) -> None:
        """Begin to answer."""
        self._active = True

    def stop(self) -> None:
        """Fall silent; the environment holds."""
        self._active = False

    def release(self) -> None:
        """End the thread that unpacks weights."""
        if self._slot is not None:
            self._slot.close()
            self._slot = None

    def diagnostics(self) -> dict[str, Any]:
        """Weights in use, and time from an observation's arrival to its answer over the recent ones [ms]."""
        runner = self._slot.take() if self._slot is not None else None
        return {
            "policy_version": runner.version if runner is not None else "none yet",
            "weights_received": self._slot.received if self._slot is not None else 0,
            "weights_refused": self._slot.rejected if self._slot is not None else 0,
            **self._latencies.figures(),
        }

    def _on_description(self, message: Any) -> None:
        self.release()
        spec = codec.from_description(message)
        self._spec = spec
        self._answer = None  # another environment counts its steps from 0 again
        resnet10_weights = self._resnet10_weights
        self._slot = WeightSlot(
            lambda weights: PolicyRunner(spec, weights, resnet10_weights), self._on_refused
        )
        if self._waiting is not None:
            self._slot.put(self._waiting)

    def _on_weights(self, weights: PolicyWeights) -> None:
        self._waiting = weights
        if self._slot is not None:
            self._slot.put(weights)

    def _on_refused(self, reason: str) -> None:
        self.get_logger().error(f"weights refused: {reason}")
        if self._from_checkpoint:
            self.fail(SchemaError(reason))  # no others will come

    def _on_observation(self, message: Any, info: dict[str, int]) -> None:
        runner = self._slot.take() if self._slot is not None else None
        if not self._active or runner is None or not message.request:
            return
        asked = (message.episode_id, message.step)
        if self._answer is None or asked != (self._answer.episode_id, self._answer.step):
            self._answer = runner.act(codec.from_observation(self._spec, message), self._rng)
        self._actions.publish(codec.to_action(self._answer, codec.from_time(message.header.stamp)))
        self._latencies.add(contract.age(info))


def main() -> None:
    """Run the actor."""
    run(ActorNode)


if __name__ == "__main__":
    main()
