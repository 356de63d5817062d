# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Stand-ins for tests: a point that must reach a goal, a policy that knows how, and random transitions.

They are strict on purpose: a fake that forgives a wrong action or a step out of turn hides the caller's bug.
"""

from __future__ import annotations

import numpy as np

from serl_core.errors import SchemaError
from serl_core.interfaces import StepResult
from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Observation, RewardSignal, Source, Transition

STRIDE = 0.1
"""Distance that an action of 1 moves the point along one axis [m]."""

REACH = 0.1
"""Distance from the goal that counts as reached [m]."""


def fake_spec(max_steps: int = 20, image_size: int = 0, task: str = "fake_reach") -> EnvSpec:
    """Return the specification of `FakeEnvironment`.

    Args:
        max_steps: Steps until an episode times out.
        image_size: Width and height of its camera [pixels]; 0: no camera.
        task: Name of the task.
    """
    camera = ArraySpec("camera", (image_size, image_size, 3), "uint8", "rgb")
    return EnvSpec(
        task=task,
        state=(
            ArraySpec("position", (2,), unit="point in the unit square: m"),
            ArraySpec("offset", (2,), unit="goal minus point: m", scale=(0.5, 0.5)),
            ArraySpec("elapsed", (1,), unit="steps since the reset", scale=float(max_steps)),
        ),
        images=(camera,) if image_size else (),
        action_size=2,
        action_unit=f"displacement of the point, x {STRIDE} m",
        policy_keys=("position", "offset", *(("camera",) if image_size else ())),
        step_seconds=0.1,
        max_steps=max_steps,
    )


class FakeEnvironment:
    """Implements `serl_core.interfaces.Environment`: move a point in the unit square to a random goal.

    Deterministic: the same seed and actions give the same observations. An action out of its specification is
    a SchemaError, a step before a reset or after the goal a RuntimeError.

    Attributes:
        actions: What `step` was called with, holds included, since the environment was made.
        seeds: What `reset` was called with.
        closed: Whether `close` was called.
    """

    live = False

    def __init__(self, max_steps: int = 20, image_size: int = 0, seed: int = 0) -> None:
        self.spec = fake_spec(max_steps, image_size)
        self.actions: list[np.ndarray | None] = []
        self.seeds: list[int | None] = []
        self.closed = False
        self._rng = np.random.default_rng(seed)
        self._position = np.zeros(2)
        self._goal = np.zeros(2)
        self._elapsed = 0
        self._ready = False

    @property
    def time(self) -> float:
        """Steps taken times the step's duration [s]."""
        return len(self.actions) * self.spec.step_seconds

    def reset(self, seed: int | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Put the point and its goal far enough apart that one step cannot reach it."""
        self.seeds.append(seed)
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._position = self._rng.uniform(-0.9, -0.4, 2)
        self._goal = self._rng.uniform(0.0, 0.9, 2)
        self._elapsed = 0
        self._ready = True
        return self._state(), self._images()

    def step(self, action: np.ndarray | None) -> StepResult:
        """Move the point; None leaves it where it is."""
        if not self._ready:
            raise RuntimeError("reset must come before step, and after the end of an episode")
        if action is not None:
            valid = self.spec.check_action(action)
            if not np.array_equal(valid, action):
                raise SchemaError(f"action: {action} lies outside of [-1, 1]")
            self._position = np.clip(self._position + STRIDE * valid, -1.0, 1.0)
        self.actions.append(None if action is None else np.array(action, np.float32))
        self._elapsed += 1
        reached = bool(np.linalg.norm(self._goal - self._position) <= REACH)
        self._ready = not reached
        return StepResult(
            state=self._state(),
            images=self._images(),
            reward=RewardSignal(float(reached), reached, "reach"),
            terminated=reached,
            end_reason="success" if reached else "",
        )

    def figures(self) -> dict[str, int]:
        """Return the number of steps taken."""
        return {"fake_steps": len(self.actions)}

    def halt(self) -> None:
        """A step takes no time: there is nothing to end."""

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _state(self) -> dict[str, np.ndarray]:
        arrays = {
            "position": self._position,
            "offset": self._goal - self._position,
            "elapsed": np.array([self._elapsed]),
        }
        return {name: value.astype(np.float32) for name, value in arrays.items()}

    def _images(self) -> dict[str, np.ndarray]:
        """Point in red, goal in green on black."""
        images = {}
        for camera in self.spec.images:
            pixels = np.zeros(camera.shape, np.uint8)
            for channel, place in enumerate((self._position, self._goal)):
                row, column = np.round((place + 1.0) * 0.5 * (camera.shape[0] - 1)).astype(int)
                pixels[row, column, channel] = 255
            images[camera.name] = pixels
        return images


class FakePolicy:
    """Acts in `FakeEnvironment`: straight to the goal.

    Args:
        noise: Standard deviation of Gaussian noise on every action.
        seed: Seed of the noise.
    """

    def __init__(self, noise: float = 0.0, seed: int = 0) -> None:
        self._noise = noise
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Observation) -> np.ndarray:
        """Return a float32 action (2,) in [-1, 1] from `observation.state["offset"]`."""
        action = observation.state["offset"] / STRIDE + self._noise * self._rng.standard_normal(2)
        return np.clip(action, -1.0, 1.0).astype(np.float32)


def random_observation(
    spec: EnvSpec, rng: np.random.Generator, episode_id: int = 0, step: int = 0, stamp: float | None = None
) -> Observation:
    """Return a random observation that fits `spec`; `stamp` None: the step's time in its episode [s]."""
    return Observation(
        episode_id=episode_id,
        step=step,
        stamp=step * spec.step_seconds if stamp is None else stamp,
        state={a.name: rng.standard_normal(a.shape).astype(np.float32) for a in spec.state},
        images={a.name: rng.integers(0, 256, a.shape, np.uint8) for a in spec.images},
    )


def random_transition(
    spec: EnvSpec,
    rng: np.random.Generator,
    *,
    env_id: str = "fake-0",
    sequence: int = 1,
    episode_id: int = 0,
    step: int = 0,
    source: Source = Source.POLICY,
    policy_version: int = 0,
    reward: float = 0.0,
    discount: float = 1.0,
    last: bool = False,
    success: bool = False,
) -> Transition:
    """Return a random transition that fits `spec`; a hold has the zero action, as the step loop records it.

    The first observation is there exactly where `step` is 0.
    """
    details = {Source.POLICY: "", Source.HUMAN: "scripted", Source.HOLD: "no action in time"}
    action = rng.uniform(-1.0, 1.0, spec.action_size).astype(np.float32)
    return Transition(
        task=spec.task,
        env_id=env_id,
        sequence=sequence,
        episode_id=episode_id,
        step=step,
        policy_version=policy_version if source is Source.POLICY else 0,
        source=source,
        source_detail=details[source],
        action=np.zeros_like(action) if source is Source.HOLD else action,
        reward=reward,
        reward_source="fake",
        discount=discount,
        last=last,
        success=success,
        next_observation=random_observation(spec, rng, episode_id, step + 1),
        first_observation=random_observation(spec, rng, episode_id, 0) if step == 0 else None,
    )


def random_episode(
    spec: EnvSpec,
    rng: np.random.Generator,
    length: int,
    env_id: str = "fake-0",
    first_sequence: int = 1,
    *,
    episode_id: int = 0,
    success: bool = True,
    source: Source = Source.POLICY,
    policy_version: int = 0,
) -> list[Transition]:
    """Return an unbroken episode of `length` transitions.

    Sequences and steps rise by one. With `success` the last step is rewarded with 1 and terminates
    (discount 0); without it the episode times out (discount 1).
    """
    return [
        random_transition(
            spec,
            rng,
            env_id=env_id,
            sequence=first_sequence + step,
            episode_id=episode_id,
            step=step,
            source=source,
            policy_version=policy_version,
            reward=float(success and step == length - 1),
            discount=0.0 if success and step == length - 1 else 1.0,
            last=step == length - 1,
            success=success and step == length - 1,
        )
        for step in range(length)
    ]
