# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What every task's scene must keep: truth at the goal and nowhere else, and physics that bears abuse."""

from importlib import import_module

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_controllers import ImpedanceGains
from serl_sim import LockstepHost
from serl_sim.kinematics import InverseKinematics
from serl_sim.scenes import SCENES, SceneConfig
from serl_sim.scenes.cable_routing import crossing

FORCE_LIMIT_N = 120.0


INSERTIONS = [name for name in SCENES if name != "block_lift"]
every_scene = pytest.mark.parametrize("built", SCENES, indirect=True)
every_insertion = pytest.mark.parametrize("built", INSERTIONS, indirect=True)


@pytest.fixture(scope="module")
def built(request):
    return import_module(f"serl_sim.scenes.{request.param}").build(SceneConfig(clearance_m=0.0005))


def offset_at(scene, offset):
    """The part's offset with the tcp put at an offset from the goal, the joints of a cable straight."""
    data = mujoco.MjData(scene.model)
    data.qpos[:7] = InverseKinematics(scene.model, scene.tcp_site).solve(
        scene.goal_position + offset, scene.goal_quaternion_xyzw, scene.q_home, tolerance=1e-8
    )
    mujoco.mj_forward(scene.model, data)
    return scene.part_offset(scene.model, data), data.ncon


@every_insertion
def test_the_part_is_at_its_place_where_the_goal_is(built):
    offset, _ = offset_at(built, [0, 0, 2e-5])
    np.testing.assert_allclose(offset, [0, 0, 2e-5], atol=1e-6)


@every_insertion
def test_the_part_fits_and_touches_nothing_there(built):
    assert offset_at(built, [0, 0, 2e-5])[1] == 0
    assert offset_at(built, [0, 0, -2e-4])[1] > 0, "below is the floor"
    assert offset_at(built, [0, 1e-3, 1e-3])[1] > 0, "beside is a wall"


@every_scene
def test_random_pushing_stays_finite_and_within_the_force_limit(built):
    host = LockstepHost(built, ImpedanceGains.precise())
    rng = np.random.default_rng(3)
    downwards = Rotation.from_quat(built.goal_quaternion_xyzw)
    target, peak = built.goal_position + np.array([0.01, 0.01, 0.02]), 0.0
    host.move_to(target, built.goal_quaternion_xyzw, 1.0)
    for step in range(200):
        if step % 5 == 0:
            motion = rng.uniform([-0.01, -0.01, -0.01], [0.01, 0.01, 0.004])
        s = host.snapshot()
        lead = target + motion - s.position
        target = s.position + lead * min(1.0, 0.02 / np.linalg.norm(lead))
        target = built.goal_position + np.clip(target - built.goal_position, -0.05, [0.05, 0.05, 0.03])
        turned = Rotation.from_rotvec(rng.uniform(-0.1, 0.1, 3)) * downwards
        s = host.step(target, turned.as_quat(), 100)
        peak = max(peak, s.peak_force)
        assert np.isfinite(host.qpos).all() and np.abs(s.dq).max() < 3.0
    assert 1.0 < peak < FORCE_LIMIT_N, "it did touch"


def test_a_cable_pressed_on_a_jaw_bends_and_springs_back():
    scene = import_module("serl_sim.scenes.cable_routing").build()
    host = LockstepHost(scene, ImpedanceGains.compliant())
    beside, above = scene.goal_position + np.array([0.0, 0.008, 0.0]), np.array([0.0, 0.0, 0.03])
    host.move_to(beside + above, scene.goal_quaternion_xyzw, 1.0)
    straight = np.abs(host.qpos[7:]).max()
    host.move_to(beside, scene.goal_quaternion_xyzw, 1.0)
    bent = np.abs(host.qpos[7:]).max()
    host.move_to(beside + above, scene.goal_quaternion_xyzw, 1.0)
    assert bent > 0.03 > 5 * straight
    assert np.abs(host.qpos[7:]).max() < 0.01


class TestGripper:
    RAISED = np.array([0.0, 0.0, 0.05])

    @pytest.fixture
    def at_block(self):
        scene = import_module("serl_sim.scenes.block_lift").build()
        host = LockstepHost(scene, ImpedanceGains.compliant())
        host.move_to(scene.goal_position, scene.goal_quaternion_xyzw, 1.0)
        return scene, host

    def lift(self, scene, host):
        host.move_to(scene.goal_position + self.RAISED, scene.goal_quaternion_xyzw, 1.0)
        data = mujoco.MjData(scene.model)
        data.qpos[:] = host.qpos
        mujoco.mj_kinematics(scene.model, data)
        return scene.part_offset(scene.model, data)

    def test_an_open_one_leaves_the_block_where_it_is(self, at_block):
        scene, host = at_block
        assert host.snapshot().gripper_width == pytest.approx(0.08, abs=1e-3)
        np.testing.assert_allclose(self.lift(scene, host), [0.0, 0.0, -0.05], atol=5e-4)

    def test_a_closed_one_holds_it_and_an_opened_one_lets_it_fall(self, at_block):
        scene, host = at_block
        host.close_gripper(True)
        held = host.step(scene.goal_position, scene.goal_quaternion_xyzw, 800)
        assert held.gripper_width == pytest.approx(0.024, abs=5e-4)
        np.testing.assert_allclose(self.lift(scene, host), 0.0, atol=3e-3)
        host.close_gripper(False)
        host.step(scene.goal_position + self.RAISED, scene.goal_quaternion_xyzw, 800)
        assert self.lift(scene, host)[2] == pytest.approx(-0.05, abs=2e-3)

    def test_its_force_is_bounded_wherever_the_fingers_are_sent(self, at_block):
        scene, host = at_block
        host.close_gripper(True)
        host.step(scene.goal_position, scene.goal_quaternion_xyzw, 800)
        data = mujoco.MjData(scene.model)
        data.qpos[:] = host.qpos
        data.ctrl[7:] = 0.04
        mujoco.mj_forward(scene.model, data)
        assert np.abs(data.actuator_force[7:]) == pytest.approx([20.0, 20.0], abs=1e-6)

    def test_a_reset_opens_it_and_puts_the_block_back(self, at_block):
        scene, host = at_block
        host.close_gripper(True)
        host.step(scene.goal_position, scene.goal_quaternion_xyzw, 800)
        self.lift(scene, host)
        host.reset(scene.q_home)
        after = host.step(*tcp_of(host), 500)
        assert after.gripper_width == pytest.approx(0.08, abs=1e-3)
        np.testing.assert_allclose(host.qpos[9:12], [0.5, 0.0, 0.065], atol=1e-4)


def tcp_of(host):
    s = host.snapshot()
    return np.array(s.position), np.array(s.quaternion_xyzw)


def test_crossing_is_where_the_polyline_meets_the_plane():
    line = np.array([[-0.02, 0.0, 0.0], [-0.01, 0.001, 0.0], [0.01, 0.003, 0.004]])
    np.testing.assert_allclose(crossing(line), [0.0, 0.002, 0.002])
    np.testing.assert_allclose(crossing(line[:2]), line[1], err_msg="it ends before the plane")
