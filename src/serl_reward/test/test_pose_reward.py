# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Success is being within tolerance on every axis of the goal, and nothing else is rewarded."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError
from serl_core.parameters import from_mapping
from serl_reward.pose import PoseReward, PoseRewardConfig

TOLERANCE_M = (0.001, 0.002, 0.003)
TOLERANCE_RAD = (0.05, 0.1, 0.2)
REWARD = PoseReward.from_parameters(PoseRewardConfig(TOLERANCE_M, TOLERANCE_RAD))


def seen_from(position: object = (0.0, 0.0, 0.0), rotation: Rotation | None = None) -> dict[str, np.ndarray]:
    """Return the observation of a tcp whose pose in the goal frame is given."""
    R_GE = rotation or Rotation.identity()
    goal_position = -R_GE.inv().apply(np.asarray(position, float))
    return {"goal_pose": np.concatenate([goal_position, R_GE.inv().as_rotvec()]).astype(np.float32)}


def test_the_goal_itself_is_success() -> None:
    verdict = REWARD(seen_from())
    assert (verdict.value, verdict.success, verdict.source) == (1.0, True, "pose")
    assert np.isnan(verdict.probability)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(("part", "success"), [(0.98, True), (1.02, False)])
def test_every_axis_has_its_own_distance(axis: int, sign: float, part: float, success: bool) -> None:
    position = np.zeros(3)
    position[axis] = sign * part * TOLERANCE_M[axis]
    verdict = REWARD(seen_from(position))
    assert (verdict.value, verdict.success) == (float(success), success)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(("part", "success"), [(0.98, True), (1.02, False)])
def test_every_axis_has_its_own_rotation(axis: int, sign: float, part: float, success: bool) -> None:
    vector = np.zeros(3)
    vector[axis] = sign * part * TOLERANCE_RAD[axis]
    assert REWARD(seen_from(rotation=Rotation.from_rotvec(vector))).success is success


def test_distances_are_measured_along_the_goals_axes_not_the_tools() -> None:
    turned = Rotation.from_rotvec([0.0, 0.0, 0.19])
    assert REWARD(seen_from((0.00098, 0.0019, 0.0), turned)).success  # 1.3 mm along the tool's x
    assert not REWARD(seen_from((0.00105, -0.0018, 0.0), turned)).success  # 0.7 mm along the tool's x


def test_upside_down_is_no_success_in_the_right_place() -> None:
    assert not REWARD(seen_from(rotation=Rotation.from_rotvec([np.pi, 0.0, 0.0]))).success


def test_being_close_on_two_of_three_axes_is_no_success() -> None:
    assert not REWARD(seen_from((0.0, 0.0, 0.05))).success


def test_nan_is_never_a_success() -> None:
    for index in range(6):
        goal = np.zeros(6)
        goal[index] = np.nan
        assert not REWARD({"goal_pose": goal}).success


def test_the_tolerance_itself_is_within() -> None:
    exact = PoseReward(PoseRewardConfig((0.25,) * 3, (0.25,) * 3))
    assert exact({"goal_pose": np.array([0.25, 0.0, 0.0, 0.0, 0.0, 0.0])}).success
    assert exact({"goal_pose": np.array([0.0, 0.0, 0.0, 0.0, 0.25, 0.0])}).success


def test_no_tolerance_asks_for_the_goal_itself() -> None:
    strict = PoseReward(PoseRewardConfig((0.0,) * 3, (0.0,) * 3))
    assert strict(seen_from()).success
    assert not strict(seen_from((1e-6, 0.0, 0.0))).success


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"goal_tolerance_m": [0.001]}, "must have 3 elements"),
        ({"goal_tolerance_m": [-0.001, 0.001, 0.001]}, "must lie in"),
        ({"goal_tolerance": [0.1]}, "did you mean goal_tolerance_m"),
    ],
)
def test_wrong_tolerances_are_refused(values: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        from_mapping(PoseReward.Config, values, "env.yaml")
