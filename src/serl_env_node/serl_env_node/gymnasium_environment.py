# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Any Gymnasium environment with a box of actions as an `Environment`."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces

from serl_core.errors import ConfigError, suggest
from serl_core.interfaces import StepResult
from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import RewardSignal
from serl_env_node.config import EnvConfig


class GymnasiumEnvironment:
    """Implements `serl_core.interfaces.Environment` over `gymnasium.make(config.env_id)`.

    Box observations are called "state"; a Dict of boxes keeps its keys, uint8 boxes of rank 3 become images.
    Actions are rescaled from [-1, 1] to the environment's box. Gymnasium's own time limit is taken off: the
    loop has one (`max_steps`), and it bootstraps.
    """

    live = False

    def __init__(self, config: EnvConfig) -> None:
        try:
            self._env = gymnasium.make(config.env_id).unwrapped
        except (gymnasium.error.Error, ModuleNotFoundError) as error:
            known = "" if config.env_id in gymnasium.registry else suggest(config.env_id, gymnasium.registry)
            raise ConfigError(
                f"env_id {config.env_id!r} cannot be made: {str(error).splitlines()[0]}{known}"
            ) from error
        box = self._env.action_space
        if not isinstance(box, spaces.Box) or not np.isfinite([box.low, box.high]).all():
            raise ConfigError(
                f"env_id {config.env_id!r}: the action space must be a bounded Box, it is {box}"
            )
        self._low, self._high = box.low.reshape(-1), box.high.reshape(-1)
        self._action_shape = box.shape
        space = self._env.observation_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {"state": space}
        state, images = [], []
        for name, part in parts.items():
            if not isinstance(part, spaces.Box):
                raise ConfigError(
                    f"env_id {config.env_id!r}: observation {name!r} must be a Box, it is {part}"
                )
            if part.dtype == np.uint8 and len(part.shape) == 3:
                images.append(ArraySpec(name, part.shape, "uint8", "rgb"))
            else:
                state.append(ArraySpec(name, part.shape))
        self._dict = isinstance(space, spaces.Dict)
        dt = getattr(self._env, "dt", None)
        self.spec = EnvSpec(
            task=config.task or config.env_id,
            state=tuple(state),
            images=tuple(images),
            action_size=int(np.prod(box.shape)),
            action_unit=f"[-1, 1] scaled to the action box of {config.env_id}",
            policy_keys=config.policy_keys_state or tuple(spec.name for spec in state),
            step_seconds=float(dt) if isinstance(dt, (int, float)) else 1.0 / config.rate_hz,
            max_steps=config.max_steps,
        )
        self._seed: int | None = config.seed
        self._time = 0.0
        self._last: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})

    @property
    def time(self) -> float:
        """Steps taken times the step's duration [s]."""
        return self._time

    def reset(self, seed: int | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Start an episode."""
        observation, _ = self._env.reset(seed=self._seed if seed is None else seed)
        self._seed = None
        self._last = self._split(observation)
        return self._last

    def step(self, action: np.ndarray | None) -> StepResult:
        """Take one step; a hold takes the middle of the action box, which is all that Gymnasium offers."""
        unit = np.zeros(self.spec.action_size) if action is None else action
        scaled = self._low + (np.asarray(unit) + 1.0) * 0.5 * (self._high - self._low)
        observation, reward, terminated, truncated, info = self._env.step(
            scaled.reshape(self._action_shape).astype(np.float32)
        )
        self._time += self.spec.step_seconds
        self._last = self._split(observation)
        success = bool(info.get("is_success", info.get("success", False)))
        return StepResult(
            state=self._last[0],
            images=self._last[1],
            reward=RewardSignal(float(reward), success, self._env.spec.id if self._env.spec else "gymnasium"),
            terminated=bool(terminated),
            truncated=bool(truncated),
            end_reason="success"
            if success
            else "terminated"
            if terminated
            else "truncated"
            if truncated
            else "",
        )

    def figures(self) -> dict[str, float]:
        """Return the environment's clock."""
        return {"env_time_s": round(self._time, 3)}

    def halt(self) -> None:
        """A step is computed at once: there is nothing to end."""

    def close(self) -> None:
        """Close the Gymnasium environment."""
        self._env.close()

    def _split(self, observation: object) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        parts = observation if self._dict else {"state": observation}
        return (
            {spec.name: np.asarray(parts[spec.name], np.float32) for spec in self.spec.state},  # type: ignore[index]
            {spec.name: np.asarray(parts[spec.name], np.uint8) for spec in self.spec.images},  # type: ignore[index]
        )
