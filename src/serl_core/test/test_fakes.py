# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The fakes keep the promises that tests of other packages build on."""

import numpy as np
import pytest

from serl_core.errors import SchemaError
from serl_core.testing.fakes import FakeEnvironment, FakePolicy, fake_spec, random_episode
from serl_core.types import Observation


def run_episode(environment: FakeEnvironment, seed: int) -> list[Observation]:
    policy, trail = FakePolicy(), []
    state, images = environment.reset(seed)
    for step in range(environment.spec.max_steps):
        trail.append(Observation(0, step, environment.time, state, images))
        result = environment.step(policy.act(trail[-1]))
        state, images = result.state, result.images
        if result.terminated:
            assert result.reward.success
            assert result.reward.value == 1.0
            return trail
        assert result.reward.value == 0.0
    raise AssertionError("the policy must reach the goal in time")


def test_the_policy_reaches_the_goal_and_equal_seeds_give_equal_episodes() -> None:
    first, second = (run_episode(FakeEnvironment(image_size=8), seed=3) for _ in range(2))
    assert len(first) == len(second) > 3
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left.state["offset"], right.state["offset"])
        np.testing.assert_array_equal(left.images["camera"], right.images["camera"])


def test_observations_fit_the_spec_and_the_image_shows_point_and_goal() -> None:
    environment = FakeEnvironment(image_size=8)
    state, images = environment.reset(0)
    for array in environment.spec.state:
        assert array.check(state[array.name]).dtype == np.float32
    pixels = environment.spec.images[0].check(images["camera"])
    assert [int((pixels[..., channel] == 255).sum()) for channel in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("action", [[2.0, 0.0], [0.0], [np.nan, 0.0]])
def test_the_environment_refuses_what_its_spec_forbids(action: list) -> None:
    environment = FakeEnvironment()
    environment.reset(0)
    with pytest.raises(SchemaError):
        environment.step(np.array(action, np.float32))


def test_holding_leaves_the_point_and_lets_time_pass() -> None:
    environment = FakeEnvironment()
    before, _ = environment.reset(0)
    result = environment.step(None)
    np.testing.assert_array_equal(result.state["position"], before["position"])
    assert environment.time == pytest.approx(0.1)
    assert environment.actions == [None]


def test_steps_out_of_turn_are_refused() -> None:
    environment = FakeEnvironment()
    with pytest.raises(RuntimeError):
        environment.step(None)
    run_episode(environment, seed=1)
    with pytest.raises(RuntimeError):
        environment.step(None)


@pytest.mark.parametrize("success", [True, False])
def test_a_random_episode_is_unbroken(success: bool) -> None:
    spec = fake_spec(image_size=8)
    episode = random_episode(spec, np.random.default_rng(0), 5, "env-1", 11, episode_id=2, success=success)
    assert [t.sequence for t in episode] == [11, 12, 13, 14, 15]
    assert [t.step for t in episode] == [0, 1, 2, 3, 4]
    assert [t.next_observation.step for t in episode] == [1, 2, 3, 4, 5]
    assert {t.episode_id for t in episode} == {t.next_observation.episode_id for t in episode} == {2}
    assert [t.first_observation is not None for t in episode] == [True] + [False] * 4
    assert [t.last for t in episode] == [False] * 4 + [True]
    assert [t.discount for t in episode] == [1.0] * 4 + [0.0 if success else 1.0]
    assert sum(t.reward for t in episode) == float(success)
