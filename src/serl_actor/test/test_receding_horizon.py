# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Plans are executed in part, made anew, and never carried over to another episode."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from serl_actor.policy_runner import PolicyRunner
from serl_actor.receding_horizon import RecedingHorizon
from serl_core import codec
from serl_core.specs import env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Observation, Source
from serl_learner.actor_network import ChunkShape
from serl_learner.agents.config import DiffusionConfig
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import load_policy
from serl_learner.offline import train_offline

CONFIG = DiffusionConfig(
    observation_chunk=1, action_prediction=4, action_chunk=2, diffusion_steps=20, inference_steps=5, hidden_sizes=(16,),
    updates=20, batch_size=4, small_filters=(4, 4), spatial_embeddings=2, bottleneck_size=6, proprio_size=4,
)  # fmt: skip


def test_it_plans_when_the_executed_part_is_used_up_and_begins_anew_with_an_episode():
    asked: list[list[float]] = []

    def plan(states: np.ndarray, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        asked.append(states.tolist())
        return 10.0 * len(asked) + np.arange(4.0)[:, None]

    horizon = RecedingHorizon(ChunkShape(3, 4, 2, 10, 5, 0.0, 4), plan)

    def act(episode: int, step: int) -> float:
        state = np.array([100.0 * episode + step])
        return float(horizon.act(state, Observation(episode, step, 0.0, {}), np.random.default_rng(0))[0])

    assert [act(1, step) for step in range(5)] == [10, 11, 20, 21, 30]
    assert asked == [[100, 100, 100], [100, 101, 102], [102, 103, 104]]
    assert act(2, 0) == 40 and asked[-1] == [200, 200, 200], "a plan outlived its episode"
    assert act(2, 2) == 50 and asked[-1] == [202, 202, 202], "a plan went on over a step of someone else"


@pytest.mark.parametrize("image_size", [0, 12])
def test_from_demonstrations_to_actions(tmp_path: Path, image_size: int) -> None:
    spec = fake_spec(image_size=image_size)
    topics = {"/transition": ("serl_msgs/msg/Transition", False)}
    with BagWriter(tmp_path / "bag", topics, {"env_spec": env_spec_to_json(spec)}) as bag:
        for number in range(2):
            rng = np.random.default_rng(number)
            for t in random_episode(spec, rng, 8, f"demo{number}", success=True, source=Source.HUMAN):
                bag.write("/transition", t.sequence, serialize_message(codec.to_transition(spec, t)))
    result = train_offline(tmp_path / "bag", spec.task, CONFIG, tmp_path / "run", 0, lambda text: None)
    assert result.demos == 2 and np.isfinite(result.losses).all()

    loaded = load_policy(tmp_path / "run")
    assert loaded.metadata["method"] == "diffusion"
    runners = [PolicyRunner(spec, loaded.weights) for _ in range(2)]
    seen = [t.next_observation for t in random_episode(spec, np.random.default_rng(7), 6, "other")]
    acted = [[runner.act(o, None) for o in seen] for runner in runners]
    for action, again in zip(*acted, strict=True):
        assert action.data.shape == (2,) and np.abs(action.data).max() <= 1.0
        assert np.array_equal(action.data, again.data), "an evaluation cannot be repeated"
    other = dataclasses.replace(seen[0], episode_id=99)
    assert not np.array_equal(runners[0].act(other, None).data, acted[0][0].data)


def test_a_diffusion_policy_of_states_acts_without_jax():
    code = "import sys, serl_actor.policy_runner; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
