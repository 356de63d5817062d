# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import math

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_controllers import Flag, ImpedanceGains
from serl_sim import LockstepHost, benchmark_steps

BESIDE_SOCKET = np.array([0.03, 0.03, 0.0])  # from the goal: over bare board


def deepest_penetration(scene, snapshot):
    data = mujoco.MjData(scene.model)
    data.qpos[:] = snapshot.q
    mujoco.mj_forward(scene.model, data)
    return -min(data.contact.dist, default=0.0)


def press_on_board(host, scene, depth=0.05):
    """From 5 mm over the board aim far inside of it; return the last second's trace and the peak force."""
    over = scene.goal_position + BESIDE_SOCKET
    host.reset(scene.q_home)
    host.move_to(over + np.array([0, 0, 0.005]), scene.goal_quaternion_xyzw, 1.0)
    host.step(over + np.array([0, 0, 0.005]), scene.goal_quaternion_xyzw, 500)
    peak = max(
        host.step(over - np.array([0, 0, depth]), scene.goal_quaternion_xyzw, 1000).peak_force
        for _ in range(2)
    )
    return host.trace(), peak


def test_arm_holds_still_where_it_is_told_to(host, scene):
    start = host.reset(scene.q_home)
    end = host.step(start.position, start.quaternion_xyzw, 3000)
    np.testing.assert_allclose(end.position, start.position, atol=2e-5)
    assert np.abs(end.dq).max() < 1e-3
    assert end.peak_force == 0.0
    assert end.time == pytest.approx(3.0)


def test_arm_follows_its_target_in_free_space(host, scene):
    target = scene.goal_position + np.array([0.04, -0.05, 0.06])
    orientation = (Rotation.from_euler("z", 0.2) * Rotation.from_quat(scene.goal_quaternion_xyzw)).as_quat()
    host.reset(scene.q_home)
    host.move_to(target, orientation, 1.0)
    end = host.step(target, orientation, 1500)
    np.testing.assert_allclose(end.position, target, atol=2e-4)
    assert (
        Rotation.from_quat(end.quaternion_xyzw).inv() * Rotation.from_quat(orientation)
    ).magnitude() < 2e-3
    np.testing.assert_allclose(end.target_position, target, atol=1e-12)


def test_twist_is_the_rate_of_the_pose(host, scene):
    host.reset(scene.q_home)
    target = scene.goal_position + np.array([0.03, 0.02, 0.05])
    end = host.step(target, scene.goal_quaternion_xyzw, 100)
    positions = host.trace()["measured_position"]
    np.testing.assert_allclose(end.twist[:3], (positions[-1] - positions[-2]) / 0.001, atol=2e-3)
    assert np.linalg.norm(end.twist[:3]) > 0.02


def test_contact_force_is_bounded_by_the_reference_limit(host, scene):
    """Paper IV-E: at rest against a surface the arm presses with k_p |Delta|, not with k_p times 5 cm."""
    gains = ImpedanceGains.compliant()
    bound = gains.stiffness[2] * gains.error_max[2]
    trace, peak = press_on_board(host, scene)
    force = trace["external_wrench"][:, 2]
    assert force[-500:].max() < 1.05 * bound
    assert force[-500:].min() > 0.9 * bound  # it does press, and does not rattle
    assert peak < 4 * bound  # the blow of a fall through 5 mm, which no reference limit can take away
    assert Flag(host.snapshot().flags) & Flag.ERROR_CLIPPED
    # Fig. 5, left: the clipped target stays within the limit of the tcp while the commanded one is 5 cm away.
    lead = trace["clipped_position"][-1] - trace["measured_position"][-1]
    assert abs(lead[2]) <= gains.error_max[2] + 1e-4
    assert trace["commanded_position"][-1, 2] - trace["measured_position"][-1, 2] == pytest.approx(
        -0.05, abs=1e-3
    )


def test_half_the_limit_is_half_the_force(scene):
    gains = ImpedanceGains.compliant()
    gains.error_max = gains.error_max / 2
    gains.error_min = gains.error_min / 2
    trace, _ = press_on_board(LockstepHost(scene, gains), scene)
    assert trace["external_wrench"][-1, 2] == pytest.approx(0.5 * 2000 * 0.01, rel=0.05)


def test_measured_wrench_balances_the_commanded_one(host, scene):
    """At rest what the board does to the tool is the negative of what the law asks for."""
    trace, _ = press_on_board(host, scene)
    balance = trace["external_wrench"][-200:].mean(0) + trace["wrench"][-200:].mean(0)
    np.testing.assert_allclose(balance[:3], 0, atol=0.5)
    np.testing.assert_allclose(balance[3:], 0, atol=0.1)


def test_nothing_penetrates_under_load(host, scene):
    rng = np.random.default_rng(0)
    host.reset(scene.q_home)
    host.move_to(scene.goal_position + np.array([0, 0, 0.02]), scene.goal_quaternion_xyzw, 1.0)
    deepest = 0.0
    for _ in range(60):
        target = scene.goal_position + rng.uniform([-0.006, -0.006, -0.02], [0.006, 0.006, 0.012])
        for _ in range(5):
            snapshot = host.step(target, scene.goal_quaternion_xyzw, 20)
            assert np.isfinite(snapshot.q).all() and np.isfinite(snapshot.wrench).all()
            deepest = max(deepest, deepest_penetration(scene, snapshot))
    assert 0 < deepest < 3e-4


def test_same_calls_give_bit_equal_results(scene):
    def play(host):
        host.reset(scene.q_home)
        rng = np.random.default_rng(3)
        log = []
        for _ in range(20):
            target = scene.goal_position + rng.uniform([-0.01, -0.01, -0.01], [0.01, 0.01, 0.03])
            s = host.step(target, scene.goal_quaternion_xyzw, 100)
            log.append(
                np.concatenate([[s.time], s.q, s.dq, s.torque, s.position, s.twist, s.wrench, [s.peak_force]])
            )
        return np.array(log)

    host = LockstepHost(scene, ImpedanceGains.compliant())
    first = play(host)
    assert first[:, -1].max() > 1.0  # there was contact
    host.step(scene.goal_position, scene.goal_quaternion_xyzw, 37)
    np.testing.assert_array_equal(play(host), first)
    np.testing.assert_array_equal(play(LockstepHost(scene, ImpedanceGains.compliant())), first)


def test_bad_targets_are_held_and_flagged(host, scene):
    start = host.reset(scene.q_home)
    end = host.step([np.nan, 0, 0], scene.goal_quaternion_xyzw, 200)
    assert Flag(end.flags) & Flag.HELD_NON_FINITE_TARGET
    np.testing.assert_allclose(end.position, start.position, atol=1e-5)
    end = host.step(scene.goal_position, [0, 0, 0, 2.0], 200)
    assert Flag(end.flags) & Flag.HELD_BAD_QUATERNION
    np.testing.assert_allclose(end.position, start.position, atol=1e-5)
    end = host.step(start.position, start.quaternion_xyzw, 10, [np.inf, 0, 0, 0, 0, 0])
    assert Flag(end.flags) & Flag.IGNORED_FEED_FORWARD


def test_feed_forward_wrench_pushes(host, scene):
    start = host.reset(scene.q_home)
    end = host.step(start.position, start.quaternion_xyzw, 1500, [6.0, 0, 0, 0, 0, 0])
    assert end.position[0] - start.position[0] == pytest.approx(6.0 / 2000, rel=0.1)


def test_move_to_is_a_minimum_jerk_motion_of_the_target(host, scene):
    target = scene.goal_position + np.array([0, 0, 0.05])
    start = host.reset(scene.q_home)
    host.move_to(target, scene.goal_quaternion_xyzw, 0.8)
    trace = host.trace()
    height = trace["commanded_position"][:, 2]
    assert len(height) == 800 and host.time == pytest.approx(0.8)
    assert height[399] == pytest.approx((start.position[2] + target[2]) / 2, abs=1e-6)
    assert height[-1] == pytest.approx(target[2], abs=1e-9)
    speed = np.diff(height) / 0.001
    assert np.abs(speed).max() == pytest.approx(1.875 * 0.03 / 0.8, rel=0.01)
    assert abs(speed[0]) < 1e-3 and abs(speed[-1]) < 1e-3


def test_trace_has_a_row_for_each_cycle(host, scene):
    host.reset(scene.q_home)
    host.step(scene.goal_position, scene.goal_quaternion_xyzw, 70)
    trace = host.trace()
    assert {len(column) for column in trace.values()} == {70}
    np.testing.assert_allclose(np.diff(trace["time"]), 0.001, atol=1e-12)
    np.testing.assert_array_equal(trace["commanded_position"], np.tile(scene.goal_position, (70, 1)))
    # The smoothed target lies between where it started and the commanded one.
    smoothed = trace["smoothed_position"][:, 2]
    assert (np.diff(smoothed) < 0).all() and smoothed[-1] > scene.goal_position[2]


def test_gains_can_change_between_steps(host, scene):
    trace, _ = press_on_board(host, scene)
    gains = ImpedanceGains.compliant()
    gains.error_min = np.array([-0.002] * 3 + [-0.05] * 3)
    host.set_gains(gains)
    target = scene.goal_position + BESIDE_SOCKET - [0, 0, 0.05]
    softer = host.step(target, scene.goal_quaternion_xyzw, 2000)
    assert softer.wrench[2] == pytest.approx(4.0, abs=0.4)
    assert trace["external_wrench"][-1, 2] > 15
    gains.stiffness = np.full(6, -1.0)
    with pytest.raises(ValueError, match="stiffness"):
        host.set_gains(gains)


def test_solve_ik_starts_an_episode_at_a_pose(host, scene):
    position = scene.goal_position + np.array([0.03, -0.04, 0.05])
    snapshot = host.reset(host.solve_ik(position, scene.goal_quaternion_xyzw, scene.q_home))
    np.testing.assert_allclose(snapshot.position, position, atol=2e-6)
    np.testing.assert_allclose(snapshot.target_position, position, atol=2e-6)


@pytest.mark.parametrize("cycles", [0, -5, 10**9])
def test_bad_cycle_counts_are_refused(host, scene, cycles):
    with pytest.raises(ValueError, match="cycles"):
        host.step(scene.goal_position, scene.goal_quaternion_xyzw, cycles)


def test_bad_arguments_are_refused(host, scene):
    with pytest.raises(ValueError, match="finite"):
        host.reset([math.nan] * 7)
    with pytest.raises(ValueError, match="duration"):
        host.move_to(scene.goal_position, scene.goal_quaternion_xyzw, 0.0)
    with pytest.raises(TypeError):
        host.step([0.5, 0.0], scene.goal_quaternion_xyzw)


def test_simulation_is_faster_than_real_time():
    result = benchmark_steps(1.0)
    assert result["real_time_ratio"] > 1.0
    assert result["free_steps_per_s"] > 0 and result["contact_steps_per_s"] > 0
    with pytest.raises(ValueError, match="positive"):
        benchmark_steps(0.0)
