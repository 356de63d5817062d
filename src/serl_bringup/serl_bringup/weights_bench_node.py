# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How soon an actor uses what was learned, and whether arriving weights hold up its actions. Over DDS."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from serl_bringup import graph
from serl_bringup.monitor_node import Monitor
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.supervisor import Supervisor, choose_domain
from serl_bringup.tasks import load_task
from serl_core import codec, contract
from serl_core.errors import SerlError
from serl_core.memory import keep_freed_memory
from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Observation
from serl_learner import weights
from serl_learner.actor_network import ActorConfig

STATE_SIZE, ACTION_SIZE = 30, 6
HIDDEN = (1100, 1100)
"""Units with which a policy has 5 MB of parameters."""
PERIOD = 0.1
PAUSE = 0.003
"""Between an answer and the next question [s]: asked without end, the actor would have less time for unpacking."""
WARM_UP = 10
"""Policies sent beforehand, which bring both processes' pages in."""
PATIENCE = 60.0


def benchmark_weights(swaps: int = 100, seconds: float = 20.0) -> dict[str, Any]:
    """Send policies of 5 MB to an actor node in a process of its own, as a learner does.

    First one after the other, for how soon it acts by a new policy: from the learner's parameters in memory over
    packing, DDS, checking and swapping to the first action of that version. Then observations at 10 Hz, without
    new weights and with some twice a second, for what these do to its answers.

    Args:
        swaps: Policies of the first part.
        seconds: For each half of the second part [s].

    Returns:
        Percentiles of the time until a new policy acts, and of the time to an answer [ms]; the share of answers
        later than one period of 10 Hz. SerlError if the actor falls silent.
    """
    choose_domain()
    keep_freed_memory()  # as every node does
    with tempfile.TemporaryDirectory() as folder, Monitor() as monitor, _Side() as side:
        parameters = Path(folder) / "parameters.yaml"
        load_task("pendulum", [], SCHEMAS).write(parameters)
        with Supervisor((graph.ACTOR,), parameters, Path(folder)) as supervisor:
            monitor.bring_up((graph.ACTOR,), supervisor.check)
            side.begin()
            until = np.array([side.until_used() for _ in range(WARM_UP + swaps)])[WARM_UP:]
            alone = side.answers(seconds, publish_every=0)
            beside = side.answers(seconds, publish_every=5)
            supervisor.end(10.0)
    return {
        "policy_mb": side.size / 1e6,
        "until_used_ms": 1e3 * float(np.median(until)),
        "until_used_ms_p99": 1e3 * float(np.quantile(until, 0.99)),
        "answer_ms": 1e3 * float(np.median(alone)),
        "answer_ms_p99": 1e3 * float(np.quantile(alone, 0.99)),
        "answer_with_weights_ms": 1e3 * float(np.median(beside)),
        "answer_with_weights_ms_p99": 1e3 * float(np.quantile(beside, 0.99)),
        "late_share": float(np.mean(alone > PERIOD)),
        "late_share_with_weights": float(np.mean(beside > PERIOD)),
    }


class _Side:
    """What an actor talks to: an environment and a learner."""

    def __enter__(self) -> _Side:
        self._node = Node("weights_bench")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._description = contract.publisher(self._node, contract.ENV_DESCRIPTION)
        self._observation = contract.publisher(self._node, contract.OBSERVATION)
        self._policy = contract.publisher(self._node, contract.POLICY)
        contract.subscription(self._node, contract.ACTION, self._on_action)
        state = (ArraySpec("state", (STATE_SIZE,)),)
        self._spec = EnvSpec("bench", state, (), ACTION_SIZE, "", ("state",), PERIOD, 1_000_000)
        self._config = ActorConfig(state_size=STATE_SIZE, action_size=ACTION_SIZE, hidden_sizes=HIDDEN)
        rng = np.random.default_rng(0)
        self._leaves = {
            name: (0.05 * rng.standard_normal(shape)).astype(np.float32)
            for name, shape in self._config.leaf_shapes().items()
        }
        self.size = sum(leaf.nbytes for leaf in self._leaves.values())
        self._seen = Observation(0, 0, 0.0, {"state": rng.standard_normal(STATE_SIZE).astype(np.float32)}, {})
        self._step = 0
        self._version = 0
        self._answer: Any = None
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.remove_node(self._node)
        self._node.destroy_node()

    def begin(self) -> None:
        """Describe the environment and wait for the first action."""
        self._description.publish(codec.to_description(self._spec, "bench"))
        self._publish()
        end = time.monotonic() + PATIENCE
        while self._ask(0.5) is None:
            if time.monotonic() > end:
                raise SerlError("the actor does not answer; see ./serl doctor")

    def until_used(self) -> float:
        """Publish a policy and ask until an action is by it; return how long that took [s]."""
        began = time.perf_counter()
        self._publish()
        while time.perf_counter() - began < PATIENCE:
            if self._ask(PATIENCE) == self._version:
                return time.perf_counter() - began
            time.sleep(PAUSE)
        raise SerlError("the actor does not take up new weights; see ./serl doctor")

    def answers(self, seconds: float, publish_every: int) -> np.ndarray:
        """Ask at 10 Hz, and publish a policy with every so many questions; return the times to answer [s]."""
        times = []
        due = time.perf_counter()
        for number in range(round(seconds / PERIOD)):
            due += PERIOD
            time.sleep(max(0.0, due - time.perf_counter()))
            if publish_every and number % publish_every == 0:
                self._publish()
            began = time.perf_counter()
            if self._ask(PATIENCE) is None:
                raise SerlError("the actor fell silent while it was measured")
            times.append(time.perf_counter() - began)
        return np.array(times)

    def _publish(self) -> None:
        self._version += 1
        packed = weights.encode(self._leaves, self._spec, self._config, self._version)
        self._policy.publish(codec.to_weights(packed))

    def _ask(self, patience: float) -> int | None:
        """Send an observation; return the version of the policy that answered, None if nobody did."""
        self._step += 1
        seen = dataclasses.replace(self._seen, step=self._step)
        self._observation.publish(codec.to_observation(self._spec, seen, request=True))
        end = time.perf_counter() + patience
        while (left := end - time.perf_counter()) > 0:
            self._executor.spin_once(timeout_sec=left)
            if self._answer is not None and self._answer.step == self._step:
                return int(self._answer.policy_version)
        return None

    def _on_action(self, message: Any) -> None:
        self._answer = message
