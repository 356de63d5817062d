# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Any Gymnasium environment is served with the same promises as an arm."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from serl_core.errors import ConfigError
from serl_core.types import Source
from serl_env_node.config import EnvConfig
from serl_env_node.factory import make_environment
from serl_env_node.gymnasium_environment import GymnasiumEnvironment
from serl_env_node.step_loop import Decision, StepLoop


class CountingWorld(gymnasium.Env):
    """Counts steps; has a camera, a lopsided action box and an end of its own."""

    observation_space = spaces.Dict(
        {"count": spaces.Box(-np.inf, np.inf, (1,)), "camera": spaces.Box(0, 255, (4, 5, 3), np.uint8)}
    )
    action_space = spaces.Box(np.array([[0.0, -4.0]], np.float32), np.array([[10.0, 2.0]], np.float32))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self.count, self.actions = 0, []
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple:
        assert self.action_space.contains(action)
        self.actions.append(action)
        self.count += 1
        return (
            self._observation(),
            float(self.count),
            self.count == 3,
            self.count == 2,
            {"is_success": self.count == 3},
        )

    def _observation(self) -> dict:
        return {
            "count": np.array([self.count], np.float32),
            "camera": np.full((4, 5, 3), self.count, np.uint8),
        }


@pytest.fixture(autouse=True)
def registered_world() -> None:
    if "Counting-v0" not in gymnasium.registry:
        gymnasium.register("Counting-v0", CountingWorld)


def test_pendulum_is_served_by_its_id() -> None:
    environment = make_environment(EnvConfig(env_id="Pendulum-v1", max_steps=200))
    assert isinstance(environment, GymnasiumEnvironment)
    spec = environment.spec
    assert (spec.task, spec.action_size, spec.max_steps, spec.policy_keys) == (
        "Pendulum-v1",
        1,
        200,
        ("state",),
    )
    assert spec.step_seconds == 0.05
    assert [(a.name, a.shape) for a in spec.state] == [("state", (3,))]
    state, images = environment.reset(0)
    spec.state[0].check(state["state"])
    assert images == {}
    environment.close()


@pytest.mark.parametrize(("unit", "torque"), [(-1.0, -2.0), (0.0, 0.0), (0.25, 0.5), (1.0, 2.0)])
def test_actions_are_scaled_to_the_box(unit: float, torque: float) -> None:
    environment = GymnasiumEnvironment(EnvConfig(env_id="Pendulum-v1"))
    environment.reset(0)
    environment.step(np.array([unit], np.float32))
    assert environment._env.last_u == pytest.approx(torque)


def test_pendulum_is_seeded_once_and_its_episodes_differ() -> None:
    def starts(seed: int) -> list[np.ndarray]:
        environment = GymnasiumEnvironment(EnvConfig(env_id="Pendulum-v1", seed=seed))
        return [environment.reset(None)[0]["state"] for _ in range(2)]

    np.testing.assert_array_equal(starts(1), starts(1))
    assert not np.allclose(starts(1)[0], starts(2)[0])
    assert not np.allclose(*starts(1))


def test_the_loops_time_limit_replaces_gymnasiums_and_bootstraps() -> None:
    loop = StepLoop(GymnasiumEnvironment(EnvConfig(env_id="Pendulum-v1", max_steps=250)), "env-1")
    loop.start_episode(0)
    row = [loop.step(Decision(Source.POLICY, np.zeros(1, np.float32))) for _ in range(250)]
    assert [t.last for t in row] == [False] * 249 + [True]
    assert row[-1].discount == 1.0
    assert row[-1].next_observation.stamp == pytest.approx(250 * 0.05)
    assert loop.summary().end_reason == "time_limit"


def test_images_names_and_lopsided_boxes_are_kept() -> None:
    environment = GymnasiumEnvironment(EnvConfig(env_id="Counting-v0", task="count", rate_hz=5.0))
    spec = environment.spec
    assert (spec.task, spec.action_size, spec.step_seconds, spec.image_keys) == ("count", 2, 0.2, ("camera",))
    assert [a.name for a in spec.state] == ["count"]
    environment.reset(None)
    result = environment.step(np.array([-1.0, 1.0], np.float32))
    np.testing.assert_allclose(environment._env.actions[-1], [[0.0, 2.0]])
    spec.images[0].check(result.images["camera"])
    assert result.images["camera"].max() == 1
    environment.step(None)
    np.testing.assert_allclose(environment._env.actions[-1], [[5.0, -1.0]])


def test_truncation_bootstraps_and_termination_does_not() -> None:
    environment = GymnasiumEnvironment(EnvConfig(env_id="Counting-v0"))
    environment.reset(None)
    ends = [environment.step(None) for _ in range(3)]
    assert [(e.terminated, e.truncated, e.end_reason) for e in ends] == [
        (False, False, ""), (False, True, "truncated"), (True, False, "success"),
    ]  # fmt: skip
    assert ends[2].reward.value == 3.0
    assert ends[2].reward.success


@pytest.mark.parametrize(
    ("env_id", "told"),
    [
        ("Pendulun-v1", r"Pendulun.*did you mean Pendulum-v1"),
        ("Pendulum-v7", r"v7.*did you mean Pendulum-v1"),
        ("serl_absent_worlds:World-v0", "No module named 'serl_absent_worlds'"),
        ("CartPole-v1", "must be a bounded Box, it is Discrete"),
    ],
)
def test_an_id_that_cannot_be_served_is_one_line(env_id: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        GymnasiumEnvironment(EnvConfig(env_id=env_id))
    assert repr(env_id) in str(caught.value)
    assert "\n" not in str(caught.value)
