# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the policy sees and does through an arm: frames, leash, safety box, resets, limits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError
from serl_core.types import RewardSignal, Source
from serl_env_node.arm import ArmState
from serl_env_node.arm_environment import ArmEnvironment
from serl_env_node.config import EnvConfig
from serl_env_node.factory import make_environment
from serl_env_node.frames import Pose
from serl_env_node.step_loop import Decision, StepLoop

HERE = Pose(np.zeros(3), Rotation.identity())
DOWN = Rotation.from_euler("x", 180, degrees=True)
AT_GOAL: dict[str, Any] = {"reset_xy": 0.0, "reset_height": (0.0, 0.0), "reset_yaw": 0.0}
FREE: dict[str, Any] = {
    "leash_translation": 0.2,
    "leash_rotation": 1.0,
    "box_low": (-1.0,) * 3,
    "box_high": (1.0,) * 3,
    "box_rotation": 3.1,
}


class FakeArm:
    """An arm that is at its target at once, or does not move at all while `stuck`.

    Everything about it, goal and forces included, is rigidly moved by X_BB0, so that tests can ask what
    depends on where the base is.
    """

    cameras = ("wrist_left", "wrist_right")
    has_gripper = True

    def __init__(self, X_BB0: Pose = HERE) -> None:
        self.goal = X_BB0 * Pose(np.array([0.5, 0.0, 0.1]), DOWN)
        self.time = 0.0
        self.stuck = False
        self.peak_force = 0.0
        self.fault = ""
        self.restarts: list[int] = []
        self.moves: list[Pose] = []
        self.tracked: list[Pose] = []
        self.closed = False
        self.gripped: list[float] = []
        self._R = X_BB0.rotation
        self._home = X_BB0 * Pose(np.array([0.4, 0.1, 0.3]), DOWN)
        self.X_BE = self._home

    def restart(self, seed: int) -> ArmState:
        self.restarts.append(seed)
        self.fault = ""
        self.X_BE = self._home
        return self.state()

    def state(self) -> ArmState:
        wrench = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3])
        twist = np.array([0.01, 0.02, 0.03, 0.4, 0.5, 0.6])
        both = np.kron(np.eye(2), self._R.as_matrix())
        return ArmState(
            time=self.time, X_BE=self.X_BE, V_BE=both @ twist, F_E_B=both @ wrench,
            gripper_width=0.02, peak_force=self.peak_force, fault=self.fault,
        )  # fmt: skip

    def track(self, X_BT: Pose, seconds: float) -> ArmState:
        self.tracked.append(X_BT)
        self.time += seconds
        if not self.stuck:
            self.X_BE = X_BT
        return self.state()

    def move(self, X_BT: Pose, seconds: float) -> ArmState:
        self.moves.append(X_BT)
        return self.track(X_BT, seconds)

    def grip(self, action: float) -> None:
        self.gripped.append(action)

    def images(self) -> dict[str, np.ndarray]:
        return {name: np.full((128, 128, 3), 7, np.uint8) for name in self.cameras}

    def trace(self) -> dict[str, np.ndarray]:
        return {"flags": np.zeros(100)}

    def close(self) -> None:
        self.closed = True


class Verdict:
    """A reward that says what the test wants."""

    name = "verdict"
    success = False
    cameras: tuple[str, ...] = ()
    resets = 0

    def reset(self) -> None:
        self.resets += 1

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        self.seen = images
        return RewardSignal(float(self.success), self.success, self.name)


def made(arm: FakeArm | None = None, **changes: Any) -> tuple[FakeArm, ArmEnvironment]:
    arm = arm or FakeArm()
    return arm, ArmEnvironment(arm, Verdict(), EnvConfig(task="fake", **changes))


def unit(axis: int, value: float = 1.0) -> np.ndarray:
    action = np.zeros(6, np.float32)
    action[axis] = value
    return action


def test_every_observation_fits_the_spec() -> None:
    _, environment = made(obs="image", policy_keys_image=("tcp_force", "wrist_left"))
    state, images = environment.reset(0)
    assert list(state) == [a.name for a in environment.spec.state]
    for spec in environment.spec.state:
        assert spec.check(state[spec.name]).dtype == np.float32
        scales = np.atleast_1d(spec.scale)
        assert scales.size in (1, int(np.prod(spec.shape)))
        assert (scales > 0.0).all()
        assert spec.unit
    for camera in environment.spec.images:
        camera.check(images[camera.name])
    assert environment.spec.image_keys == FakeArm.cameras
    assert environment.spec.policy_vector(state).shape == (3,)


def test_state_observations_take_no_pictures() -> None:
    _, environment = made()
    assert environment.spec.images == ()
    assert environment.reset(0)[1] == {}


def test_the_relative_pose_starts_at_the_identity_wherever_the_episode_starts() -> None:
    _, environment = made()
    for seed in range(3):
        state, _ = environment.reset(seed)
        np.testing.assert_allclose(state["tcp_pose_rel"], [0, 0, 0, 0, 0, 0, 1], atol=1e-7)
    moved = environment.step(unit(0)).state["tcp_pose_rel"]
    np.testing.assert_allclose(moved, [0.01, 0, 0, 0, 0, 0, 1], atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_moving_arm_and_goal_together_leaves_relative_observations_unchanged(seed: int) -> None:
    """Paper IV-F: only the absolute pose may tell one base from another."""
    rng = np.random.default_rng(seed)
    X_BB0 = Pose(rng.uniform(-1, 1, 3), Rotation.random(random_state=seed))
    here, there = (made(FakeArm(X), **AT_GOAL, **FREE)[1] for X in (HERE, X_BB0))
    pairs = [(here.reset(0)[0], there.reset(0)[0])]
    for _ in range(10):
        action = rng.uniform(-1, 1, 6).astype(np.float32)
        pairs.append((here.step(action).state, there.step(action).state))
    for left, right in pairs:
        for name in left:
            if name == "tcp_pose":
                assert not np.allclose(left[name], right[name])
            else:
                np.testing.assert_allclose(left[name], right[name], atol=1e-6, err_msg=name)
    assert np.linalg.norm(pairs[-1][0]["tcp_pose_rel"][:3]) > 1e-3


def test_twist_and_force_are_in_tcp_axes() -> None:
    _, environment = made(**AT_GOAL)
    state, _ = environment.reset(0)  # the tool points down: y and z are reversed
    np.testing.assert_allclose(state["tcp_twist"], [0.01, -0.02, -0.03, 0.4, -0.5, -0.6], atol=1e-6)
    np.testing.assert_allclose(state["tcp_force"], [1, -2, -3], atol=1e-6)
    np.testing.assert_allclose(state["tcp_torque"], [0.1, -0.2, -0.3], atol=1e-6)
    np.testing.assert_allclose(state["gripper"], [0.02], atol=1e-7)


def test_goal_and_target_are_seen_from_the_tcp() -> None:
    arm, environment = made(**{**AT_GOAL, "reset_height": (0.04, 0.04)})
    state, _ = environment.reset(0)
    np.testing.assert_allclose(state["goal_pose"], [0, 0, 0.04, 0, 0, 0], atol=1e-7)
    arm.stuck = True
    state = environment.step(unit(2)).state
    np.testing.assert_allclose(state["target_offset"], [0, 0, 0.01, 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize("axis", range(6))
def test_an_action_is_a_displacement_along_the_tcps_axes(axis: int) -> None:
    arm, environment = made(reset_xy=0.01, reset_yaw=0.3)
    environment.reset(1)
    X_BE = arm.X_BE
    environment.step(unit(axis, 0.5))
    expected = np.zeros(6)
    expected[axis] = 0.5 * (0.01 if axis < 3 else 0.05)
    np.testing.assert_allclose((X_BE.inverse() * arm.tracked[-1]).vector(), expected, atol=1e-9)
    assert not np.allclose(X_BE.rotation.as_matrix(), np.eye(3))


def test_holding_leaves_the_target_where_it_is() -> None:
    arm, environment = made()
    environment.reset(0)
    environment.step(unit(0))
    target = arm.tracked[-1]
    environment.step(None)
    assert arm.tracked[-1] is target


def test_a_step_lasts_as_long_as_the_spec_says() -> None:
    arm, environment = made(rate_hz=20.0)
    environment.reset(0)
    before = environment.time
    environment.step(None)
    assert environment.time - before == pytest.approx(0.05) == environment.spec.step_seconds
    assert environment.time == arm.time


def test_the_target_does_not_wind_up_against_a_contact() -> None:
    arm, environment = made(leash_translation=0.02, leash_rotation=0.15)
    environment.reset(0)
    arm.stuck = True
    action = np.array([1, 1, 0.5, 1, 0, 1], np.float32)
    for _ in range(20):
        environment.step(action)
    lead = (arm.X_BE.inverse() * arm.tracked[-1]).vector()
    assert np.linalg.norm(lead[:3]) == pytest.approx(0.02)
    assert np.linalg.norm(lead[3:]) == pytest.approx(0.15)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.booleans(), st.integers(0, 5), st.sampled_from([-1.0, 1.0]))
def test_the_safety_box_has_the_last_word(seed: int, stuck: bool, axis: int, sign: float) -> None:
    """Wherever the tcp is pushed to, even out of the box, no target lies outside; rotation included."""
    arm, environment = made(leash_rotation=1.0)
    environment.reset(seed)
    config, rng = environment.config, np.random.default_rng(seed)
    for step in range(30):
        if stuck and step == 10:
            arm.stuck = True
            push = Pose(rng.uniform(-0.2, 0.2, 3), Rotation.from_rotvec(rng.uniform(-0.8, 0.8, 3)))
            arm.X_BE = Pose(arm.X_BE.position + push.position, push.rotation * arm.X_BE.rotation)
        action = rng.uniform(-1, 1, 6).astype(np.float32)
        action[axis] = sign
        environment.step(action)
        target = arm.tracked[-1]
        offset = target.position - arm.goal.position
        assert (offset >= np.array(config.box_low) - 1e-9).all()
        assert (offset <= np.array(config.box_high) + 1e-9).all()
        assert (arm.goal.rotation.inv() * target.rotation).magnitude() <= config.box_rotation + 1e-9


def test_the_box_is_reached_and_not_crossed() -> None:
    arm, environment = made(**AT_GOAL)
    environment.reset(0)
    for _ in range(10):
        environment.step(unit(0))
    for _ in range(10):
        environment.step(unit(5))
    np.testing.assert_allclose(arm.tracked[-1].position - arm.goal.position, [0.06, 0, 0], atol=1e-9)
    assert (arm.goal.rotation.inv() * arm.tracked[-1].rotation).magnitude() == pytest.approx(0.35)


def test_too_great_a_force_ends_the_episode_and_bootstraps() -> None:
    arm, environment = made(force_limit=60.0)
    loop = StepLoop(environment, "env-1")
    loop.start_episode(0)
    arm.peak_force = 60.0
    assert not loop.step(Decision(Source.POLICY, unit(0))).last
    arm.peak_force = 60.1
    end = loop.step(Decision(Source.POLICY, unit(0)))
    assert (end.last, end.discount, end.success) == (True, 1.0, False)
    assert (loop.summary().end_reason, loop.summary().peak_force) == ("force_limit", 60.1)


def test_success_is_a_true_end_even_under_force() -> None:
    arm = FakeArm()
    reward = Verdict()
    environment = ArmEnvironment(arm, reward, EnvConfig())
    environment.reset(0)
    reward.success, arm.peak_force = True, 100.0
    result = environment.step(unit(0))
    assert (result.terminated, result.truncated, result.end_reason) == (True, False, "success")
    assert result.reward == RewardSignal(1.0, True, "verdict", probability=result.reward.probability)


def test_a_fault_ends_the_episode_by_name_and_the_next_reset_restarts_the_arm() -> None:
    arm, environment = made()
    environment.reset(0)
    assert len(arm.restarts) == 1
    environment.reset(None)
    assert len(arm.restarts) == 1
    arm.fault = "target not finite"
    result = environment.step(unit(0))
    assert (result.terminated, result.truncated, result.end_reason) == (
        False,
        True,
        "fault: target not finite",
    )
    environment.reset(None)
    assert len(arm.restarts) == 2


def test_starts_cover_the_papers_region_and_nothing_more() -> None:
    """Table II: 10 cm by 10 cm around the goal."""
    arm, environment = made()
    starts = []
    for _ in range(300):
        environment.reset(None)
        starts.append(arm.X_BE)
    offsets = np.array([s.position - arm.goal.position for s in starts])
    low, high = offsets.min(axis=0), offsets.max(axis=0)
    assert (low >= [-0.05, -0.05, 0.03]).all()
    assert (high <= [0.05, 0.05, 0.06]).all()
    assert (low <= [-0.048, -0.048, 0.031]).all()
    assert (high >= [0.048, 0.048, 0.059]).all()
    turns = np.array([(s.rotation * arm.goal.rotation.inv()).as_rotvec() for s in starts])
    np.testing.assert_allclose(turns[:, :2], 0.0, atol=1e-9)
    assert -0.2 <= turns[:, 2].min() < -0.19
    assert 0.19 < turns[:, 2].max() <= 0.2


def test_starts_are_seeded_and_differ_within_a_stream() -> None:
    def stream(seed: int | None, config_seed: int = 0) -> np.ndarray:
        arm, environment = made(seed=config_seed)
        environment.reset(seed)
        first = arm.X_BE.position
        environment.reset(None)
        return np.array([first, arm.X_BE.position])

    np.testing.assert_array_equal(stream(3), stream(3))
    np.testing.assert_array_equal(stream(None, 5), stream(None, 5))
    assert not np.allclose(stream(3), stream(4))
    assert not np.allclose(stream(None, 5), stream(None, 6))
    assert not np.allclose(*stream(3))


def test_a_reset_first_retracts_straight_up() -> None:
    arm, environment = made(**{**AT_GOAL, "retract_height": 0.05})
    environment.reset(0)
    here = arm.X_BE
    environment.reset(0)
    up = arm.moves[-2]
    np.testing.assert_allclose(up.position, here.position + np.array([0, 0, 0.05]), atol=1e-9)
    assert (up.rotation.inv() * here.rotation).magnitude() < 1e-9


def test_a_reset_never_moves_down_to_retract() -> None:
    arm, environment = made()
    environment.reset(0)
    np.testing.assert_allclose(arm.moves[0].position, [0.4, 0.1, 0.3])


def test_a_target_left_behind_by_the_last_episode_is_not_used() -> None:
    arm, environment = made(**AT_GOAL)
    environment.reset(0)
    environment.step(unit(0))
    environment.reset(0)
    environment.step(None)
    np.testing.assert_allclose(arm.tracked[-1].position, arm.goal.position)


def test_steps_before_a_reset_are_refused() -> None:
    with pytest.raises(RuntimeError, match="reset must come before step"):
        made()[1].step(None)


def test_the_controllers_log_is_handed_on_and_close_lets_go() -> None:
    arm, environment = made()
    environment.reset(0)
    trace = environment.step(None).trace
    assert set(trace) == {
        "flags",
        "twist",
        "peak_force",
    }  # what the log lacks and the state knows comes on top
    np.testing.assert_array_equal(trace["twist"][-1], arm.state().V_BE)
    environment.close()
    assert arm.closed


def test_heights_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"reset_height: lowest 0.06 exceeds highest 0.03"):
        made(reset_height=(0.06, 0.03))


def test_a_reward_sees_its_cameras_even_where_the_policy_sees_none() -> None:
    reward = Verdict()
    reward.cameras = ("wrist_right",)
    environment = ArmEnvironment(FakeArm(), reward, EnvConfig(task="fake", obs="state"))
    assert environment.spec.image_keys == ("wrist_right",)
    _, images = environment.reset(0)
    assert list(images) == ["wrist_right"]
    result = environment.step(None)
    assert reward.seen is result.images


def test_a_reward_by_a_camera_that_the_arm_lacks_is_refused() -> None:
    reward = Verdict()
    reward.cameras = ("side",)
    with pytest.raises(
        ConfigError, match="verdict judges by camera 'side'; the arm has wrist_left, wrist_right"
    ):
        ArmEnvironment(FakeArm(), reward, EnvConfig(task="fake"))


def test_a_reward_is_told_of_every_episode() -> None:
    reward = Verdict()
    environment = ArmEnvironment(FakeArm(), reward, EnvConfig(task="fake"))
    for episodes in (1, 2):
        environment.reset(None)
        assert reward.resets == episodes


def test_an_environment_needs_an_arm_and_a_reward() -> None:
    config = EnvConfig(task="fake")
    assert isinstance(make_environment(config, FakeArm(), Verdict()), ArmEnvironment)
    for parts in ({}, {"arm": FakeArm()}, {"reward": Verdict()}):
        with pytest.raises(ConfigError, match="needs either env_id, or both arm and reward"):
            make_environment(config, **parts)


def test_the_fingerprint_follows_what_an_action_means() -> None:
    prints = {
        made(**changes)[1].spec.fingerprint
        for changes in (
            {},
            {"translation_scale": 0.02},
            {"rotation_scale": 0.1},
            {"rate_hz": 5.0},
            {"obs": "image"},
        )
    }
    assert len(prints) == 5
    same = dataclasses.replace(EnvConfig(task="fake"), seed=3, force_limit=20.0)
    assert ArmEnvironment(FakeArm(), Verdict(), same).spec.fingerprint in prints


@pytest.mark.parametrize(
    "change",
    [{"reset_xy": 0.07}, {"reset_height": (0.03, 0.11)}, {"reset_yaw": 0.4}],
    ids=lambda c: next(iter(c)),
)
def test_starts_outside_the_safety_box_are_refused(change: dict) -> None:
    with pytest.raises(ConfigError, match="safety box"):
        made(**change)


# The truth beside a learned reward.


@pytest.mark.parametrize("truth", [False, True])
def test_ground_truth_is_recorded_and_decides_nothing(truth: bool) -> None:
    reward, known = Verdict(), Verdict()
    known.success = truth
    environment = ArmEnvironment(FakeArm(), reward, EnvConfig(task="fake", max_steps=2), known)
    loop = StepLoop(environment, "e")
    loop.start_episode(0)
    steps = [loop.step(Decision(Source.POLICY, unit(0))) for _ in range(2)]
    assert [(s.reward, s.discount, s.last) for s in steps] == [(0.0, 1.0, False), (0.0, 1.0, True)]
    summary = loop.summary()
    assert (summary.success, summary.ground_truth, summary.achieved) == (False, truth, truth)
    assert known.resets == 1


def test_a_false_positive_of_the_reward_is_no_achievement() -> None:
    reward, known = Verdict(), Verdict()
    reward.success, known.success = True, False
    loop = StepLoop(ArmEnvironment(FakeArm(), reward, EnvConfig(task="fake"), known), "e")
    loop.start_episode(0)
    assert loop.step(Decision(Source.POLICY, unit(0))).discount == 0.0
    assert (loop.summary().success, loop.summary().achieved, loop.summary().fooled) == (True, False, True)


def test_without_ground_truth_the_reward_is_believed() -> None:
    _, environment = made(max_steps=1)
    loop = StepLoop(environment, "e")
    loop.start_episode(0)
    loop.step(Decision(Source.POLICY, unit(0)))
    assert loop.summary().ground_truth is None
    assert loop.summary().achieved == loop.summary().success
    assert not loop.summary().fooled


def test_a_gripper_is_the_seventh_element_of_an_action() -> None:
    arm, environment = made(gripper=True)
    assert environment.spec.action_size == 7 and "gripper" in environment.spec.action_unit
    environment.reset(0)
    before = arm.tracked[-1]
    environment.step(np.array([0, 0, 0, 0, 0, 0, -1.0], np.float32))
    environment.step(None)
    assert arm.gripped == [-1.0], "holding tells it nothing"
    np.testing.assert_array_equal(arm.tracked[-1].position, before.position)


def test_a_simulation_puts_what_was_gripped_back_before_every_episode() -> None:
    for gripper, restarts in ((True, 3), (False, 1)):
        arm, environment = made(gripper=gripper)
        for seed in range(3):
            environment.reset(seed)
        assert len(arm.restarts) == restarts


def test_a_gripper_that_the_arm_lacks_is_refused() -> None:
    arm = FakeArm()
    arm.has_gripper = False
    with pytest.raises(ConfigError, match="none that opens and closes"):
        made(arm, gripper=True)


def test_where_the_part_is_must_be_known_to_be_observed() -> None:
    with pytest.raises(ConfigError, match="observe_part: FakeArm"):
        made(observe_part=True)

    class Seeing(FakeArm):
        def state(self) -> ArmState:
            return dataclasses.replace(super().state(), part_offset=np.array([0.1, 0.2, 0.3]))

    _, environment = made(Seeing(), observe_part=True)
    np.testing.assert_allclose(environment.reset(0)[0]["part_offset"], [0.1, 0.2, 0.3], rtol=1e-6)
    assert "part_offset" in [spec.name for spec in environment.spec.state]
