# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Stands where the environment is and asks an actor for actions, to see how long it takes."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from serl_bringup import graph
from serl_bringup.monitor_node import Monitor
from serl_core import codec, contract
from serl_core.errors import SerlError
from serl_core.specs import EnvSpec
from serl_core.types import Observation


class ActionProbe(Monitor):
    """Publishes observations of noise and awaits the action for each.

    Args:
        spec: The environment to pass for.
    """

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__()
        self._spec = spec
        self._answered = threading.Event()
        self._step = -1

    def __enter__(self) -> ActionProbe:
        super().__enter__()
        description = contract.publisher(self._node, contract.ENV_DESCRIPTION)
        self._observations = contract.publisher(self._node, contract.OBSERVATION)
        contract.subscription(self._node, contract.ACTION, self._on_action)
        description.publish(codec.to_description(self._spec, "probe"))
        return self

    def node_figures(self, timeout: float = 10.0) -> dict[str, float]:
        """Return the actor's own "p50_ms" and "p99_ms" over its last 1000 answers, message in to message out [ms].

        Args:
            timeout: Longest wait for its next report [s], SerlError beyond it.
        """
        before = self.diagnostics.get(graph.ACTOR.path)
        deadline = time.monotonic() + timeout
        while (figures := self.diagnostics.get(graph.ACTOR.path)) is before or figures is None:
            if time.monotonic() > deadline:
                raise SerlError(f"the actor reported nothing for {timeout:.0f} s")
            time.sleep(0.05)
        return {name: float(figures[name]) for name in ("p50_ms", "p99_ms")}

    def round_trips(self, count: int, period: float, timeout: float = 120.0) -> np.ndarray:
        """Return how long `count` actions took, from the publishing of an observation to the action's arrival [s].

        Args:
            count: Observations.
            period: From one to the next [s].
            timeout: Longest wait for an answer [s], SerlError beyond it; the first may have to wait for compilation.
        """
        rng = np.random.default_rng(0)
        seconds = []
        for step in range(count + 1):
            state = {a.name: rng.standard_normal(a.shape).astype(np.float32) for a in self._spec.state}
            images = {a.name: rng.integers(0, 256, a.shape, np.uint8) for a in self._spec.images}
            message = codec.to_observation(self._spec, Observation(0, step, 0.0, state, images), request=True)
            self._answered.clear()
            self._step = step
            deadline = time.monotonic() + timeout
            began = time.perf_counter()
            self._observations.publish(message)
            while not self._answered.wait(1.0 if step == 0 else timeout):
                if time.monotonic() > deadline:
                    raise SerlError(f"the actor did not answer observation {step} within {timeout:.0f} s")
                began = time.perf_counter()
                self._observations.publish(message)  # the first may come before the actor's weights
            if step > 0:
                seconds.append(self._arrived - began)
            time.sleep(max(0.0, period - (time.perf_counter() - began)))
        return np.array(seconds)

    def _on_action(self, message: Any) -> None:
        if int(message.step) == self._step:
            self._arrived = time.perf_counter()
            self._answered.set()
