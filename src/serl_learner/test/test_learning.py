# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A small task with a sparse reward is learned from few, slow demonstrations."""

from __future__ import annotations

import numpy as np

from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Observation, Source, Transition
from serl_learner import weights
from serl_learner.agents.config import RLPDConfig
from serl_learner.training_loop import LoopConfig, TrainingLoop

STEPS = 25
GOAL = np.array([0.6, -0.4], np.float32)
SPEC = EnvSpec("reach", (ArraySpec("position", (2,)),), (), 2, "0.15 per step", ("position",), 0.1, STEPS)


class Reaching:
    """Move a point to a goal that no observation tells; 1 on arrival, 0 before."""

    def __init__(self, env_id: str, seed: int) -> None:
        self.env_id = env_id
        self.rng = np.random.default_rng(seed)
        self.sequence = 0
        self.episode = -1

    def play(self, act, source: Source) -> tuple[list[Transition], bool]:
        """Play one episode of a policy; return its transitions and whether it arrived."""
        self.episode += 1
        position = self.rng.uniform(-1, 1, 2).astype(np.float32)
        first = self._observe(0, position)
        transitions: list[Transition] = []
        for step in range(STEPS):
            action = act(position)
            position = (position + 0.15 * action).astype(np.float32)
            arrived = bool(np.linalg.norm(position - GOAL) < 0.12)
            self.sequence += 1
            transitions.append(
                Transition(
                    task="reach",
                    env_id=self.env_id,
                    sequence=self.sequence,
                    episode_id=self.episode,
                    step=step,
                    policy_version=0,
                    source=source,
                    source_detail="",
                    action=action,
                    reward=float(arrived),
                    reward_source="distance",
                    discount=float(not arrived),
                    last=arrived or step == STEPS - 1,
                    success=arrived,
                    next_observation=self._observe(step + 1, position),
                    first_observation=first if step == 0 else None,
                )
            )
            if arrived:
                return transitions, True
        return transitions, False

    def _observe(self, step: int, position: np.ndarray) -> Observation:
        return Observation(self.episode, step, 0.1 * step, {"position": position.copy()})


def test_reaching_is_learned_in_seconds():
    agent = RLPDConfig(
        hidden_sizes=(32, 32), ensemble_size=4, batch_size=64, actor_lr=1e-3, critic_lr=1e-3, discount=0.9
    )
    loop = TrainingLoop(SPEC, LoopConfig(min_online=50), agent, None, seed=0)
    teacher, world, rng = Reaching("teacher", 1), Reaching("world", 2), np.random.default_rng(3)

    def demonstrate(position: np.ndarray) -> np.ndarray:
        slow = 0.5 * (GOAL - position) / np.linalg.norm(GOAL - position)
        return np.clip(slow + 0.3 * rng.standard_normal(2), -1, 1).astype(np.float32)

    demos = [teacher.play(demonstrate, Source.HUMAN)[0] for _ in range(10)]
    for episode in demos:
        for transition in episode:
            loop.ingest(transition, demo=True)

    untrained = weights.decode(loop.policy_weights(0.0), SPEC)
    before = np.mean([Reaching("test", s).play(untrained.mean, Source.POLICY)[1] for s in range(50)])
    for _ in range(60):
        network = weights.decode(loop.policy_weights(0.0), SPEC)
        for transition in world.play(lambda p, n=network: n.sample(p, rng), Source.POLICY)[0]:
            loop.ingest(transition)
            if loop.ready():
                loop.step(0.0)

    trained = weights.decode(loop.policy_weights(0.0), SPEC)
    trials = [Reaching("test", s).play(trained.mean, Source.POLICY) for s in range(50)]
    assert before < 0.5
    assert np.mean([arrived for _, arrived in trials]) == 1.0
    # Faster than it was shown, as only learning from reward can be.
    assert np.mean([len(t) for t, _ in trials]) < 0.7 * np.mean([len(t) for t in demos])
    assert loop.metrics["skipped"] == 0
