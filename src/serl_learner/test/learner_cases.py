# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Small environments, transitions and batches for the learner's tests."""

from __future__ import annotations

import numpy as np

from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Observation, Source, Transition
from serl_learner.agents.config import RLPDConfig

SPEC = EnvSpec(
    task="point",
    state=(ArraySpec("position", (3,)), ArraySpec("ignored", (2,))),
    images=(),
    action_size=2,
    action_unit="m",
    policy_keys=("position",),
    step_seconds=0.1,
    max_steps=20,
)

SMALL = RLPDConfig(hidden_sizes=(16, 16), ensemble_size=3, batch_size=8, utd_ratio=3)


def observation(episode: int, step: int) -> Observation:
    """An observation whose position tells where it belongs."""
    position = np.array([episode, step, 0.5], np.float32)
    return Observation(episode, step, 0.1 * step, {"position": position, "ignored": np.zeros(2, np.float32)})


def transition(
    sequence: int,
    episode: int,
    step: int,
    last: bool = False,
    source: Source = Source.POLICY,
    env_id: str = "env",
    reward: float = 0.0,
    discount: float = 1.0,
) -> Transition:
    """A transition between two such observations."""
    return Transition(
        task="point",
        env_id=env_id,
        sequence=sequence,
        episode_id=episode,
        step=step,
        policy_version=1,
        source=source,
        source_detail="",
        action=np.array([0.1, -0.2], np.float32),
        reward=reward,
        reward_source="test",
        discount=discount,
        last=last,
        success=False,
        next_observation=observation(episode, step + 1),
        first_observation=observation(episode, 0) if step == 0 else None,
    )


def recording(
    episodes: int, steps: int, env_id: str = "env", source: Source = Source.POLICY
) -> list[Transition]:
    """Complete episodes in order; a reward of 1 ends each."""
    return [
        transition(
            e * steps + t + 1,
            e,
            t,
            last=t == steps - 1,
            source=source,
            env_id=env_id,
            reward=float(t == steps - 1),
            discount=float(t < steps - 1),
        )
        for e in range(episodes)
        for t in range(steps)
    ]


def random_batches(updates: int, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Batches of noise in the shapes of `SPEC`."""
    rng = np.random.default_rng(seed)

    def normal(*tail: int) -> np.ndarray:
        return rng.standard_normal((updates, batch, *tail)).astype(np.float32)

    return {
        "state": normal(3),
        "next_state": normal(3),
        "action": np.tanh(normal(2)),
        "reward": normal(),
        "discount": (rng.random((updates, batch)) < 0.8).astype(np.float32),
    }
