# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A scripted person who lets the policy work and helps where it fails: sparse, short, corrective."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from serl_actor.intervention.config import OperatorConfig
from serl_core.errors import ConfigError, suggest
from serl_core.types import Intervention, Observation

DEVICE = "scripted"
NOTHING = np.zeros(0, np.float32)


class Expert(Protocol):
    """Knows how to do the task."""

    def reset(self) -> None:
        """Begin anew, from wherever the arm is."""

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """Return an action in [-1, 1] for an observation's state arrays."""


class Demonstrator:
    """Acts at every step: the operator of demonstrations."""

    def __init__(self, expert: Expert) -> None:
        self._expert = expert

    def word(self, observation: Observation) -> Intervention:
        """Return the expert's action on an observation."""
        if observation.step == 0:
            self._expert.reset()
        action = self._expert.act(observation.state)
        return Intervention(DEVICE, observation.episode_id, observation.step, True, action)


class Corrector:
    """Takes over when the policy is stuck or drifting, and lets go when it is on its way again.

    HIL-SERL, 3.4: a person intervenes where the policy is in an undesirable state or a local optimum, for a few
    steps, and otherwise lets it explore; 3.5 warns of long interventions that lead to success. So trouble must
    last for a reaction time before the take-over, a correction ends with the first clear progress or when it has
    taken long enough, and afterwards the policy is let be for a while. All times are of the observations' clock.

    What is trouble: the distance from done, ||observation.state[watch][:3]|| [m], has not come down by `progress`
    for `stuck_s`, or has grown by `drift` over the least so far.

    Args:
        expert: Whose actions correct; reset at each take-over.
        config: Thresholds and times.
    """

    def __init__(self, expert: Expert, config: OperatorConfig) -> None:
        self._expert = expert
        self._config = config
        self._rng = np.random.default_rng([config.seed, 1])  # apart from the expert's own stream
        self._episode: int | None = None
        self._mark = math.inf  # distance of the last progress [m]
        self._least = math.inf  # distance of the nearest point [m]
        self._let_go(0.0, math.inf)

    def word(self, observation: Observation) -> Intervention:
        """Watch an observation; observations of an episode come in order, each once."""
        now, distance = observation.stamp, self._distance(observation.state)
        if observation.episode_id != self._episode:
            self._episode = observation.episode_id
            self._let_go(now, distance)
            self._rest_until = now
        if self._correcting:
            if distance <= self._content_at or now >= self._longest_until:
                self._let_go(now, distance)
        elif self._in_trouble(now, distance) and now >= self._rest_until:
            self._take_over(now, distance)
        data = self._corrected(observation.state) if self._correcting else NOTHING
        return Intervention(DEVICE, observation.episode_id, observation.step, self._correcting, data)

    def _distance(self, state: dict[str, np.ndarray]) -> float:
        watch = self._config.watch
        if watch not in state:
            raise ConfigError(
                f"operator watches the state {watch}, which the observation has not{suggest(watch, state)}"
            )
        return float(np.linalg.norm(state[watch][:3]))

    def _in_trouble(self, now: float, distance: float) -> bool:
        """Return whether trouble has lasted for the reaction time."""
        c = self._config
        if distance <= self._mark - c.progress:
            self._mark, self._mark_time = distance, now
        self._least = min(self._least, distance)
        trouble = now - self._mark_time >= c.stuck_s or distance > self._least + c.drift
        if not trouble:
            self._noticed = math.inf
        elif math.isinf(self._noticed):
            self._noticed = now
            self._reaction = c.reaction_s * self._rng.uniform(0.5, 1.5)
        return trouble and now - self._noticed >= self._reaction

    def _take_over(self, now: float, distance: float) -> None:
        self._correcting = True
        self._expert.reset()
        # Near the goal half of the way is help enough: the policy shall find the end by itself.
        self._content_at = distance - min(self._config.correction, 0.5 * distance)
        self._longest_until = now + self._config.longest_s

    def _let_go(self, now: float, distance: float) -> None:
        """Judge the policy afresh from here."""
        self._correcting = False
        self._mark, self._mark_time = distance, now
        self._least = distance
        self._noticed = math.inf
        self._rest_until = now + self._config.refractory_s

    def _corrected(self, state: dict[str, np.ndarray]) -> np.ndarray:
        action = np.asarray(self._expert.act(state))
        noise = self._rng.normal(0.0, self._config.noise, action.shape)
        return np.clip(action + noise, -1.0, 1.0).astype(np.float32)


def scripted_operator(expert: Expert, config: OperatorConfig) -> Demonstrator | Corrector:
    """Return the operator of the style asked for."""
    return Corrector(expert, config) if config.style == "corrective" else Demonstrator(expert)
