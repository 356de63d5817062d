# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Plans of several actions, executed in part and made anew (receding horizon; Chi et al. 2024, section 2.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from serl_core.types import Observation
from serl_learner.actor_network import ChunkShape

Planner = Callable[[np.ndarray, Observation, np.random.Generator], np.ndarray]
"""From the latest state vectors, one after the other, the present observation and noise to a plan of actions."""


class RecedingHorizon:
    """Executes the first actions of each plan.

    Plans and state vectors belong to an unbroken row of steps: at an episode's start, or after a step that it was not
    asked for, both begin anew, with the present state vector in the place of those before it.

    Args:
        shape: How many state vectors a plan is made of, and how many actions of it are executed.
        plan: Makes a plan float32 (prediction, action_size).
    """

    def __init__(self, shape: ChunkShape, plan: Planner) -> None:
        self._execution = shape.execution
        self._plan = plan
        self._seen: deque[np.ndarray] = deque(maxlen=shape.observation)
        self._left: deque[np.ndarray] = deque()
        self._expected: tuple[int, int] | None = None

    def act(self, state: np.ndarray, observation: Observation, rng: np.random.Generator | None) -> np.ndarray:
        """Return the action (action_size,) at an observation.

        Args:
            state: Its state vector.
            observation: Of the next step, or of another episode or step.
            rng: Source of the plans' noise; None: the episode and step decide, so that it can be repeated.
        """
        here = (observation.episode_id, observation.step)
        if here != self._expected:
            self._left.clear()
            self._seen.clear()
            self._seen.extend([state] * (self._seen.maxlen or 1))
        else:
            self._seen.append(state)
        if not self._left:
            noise = rng if rng is not None else np.random.default_rng(here)
            self._left.extend(self._plan(np.concatenate(self._seen), observation, noise)[: self._execution])
        self._expected = (observation.episode_id, observation.step + 1)
        return self._left.popleft()
