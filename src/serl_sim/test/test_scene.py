# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import math

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_sim.kinematics import InverseKinematics
from serl_sim.scenes.pcb_insertion import CHAMFER_M, PLUG_SIZE_M, SOCKET_DEPTH_M, build
from serl_sim.scenes.workcell import SceneConfig


def posed(scene, q):
    data = mujoco.MjData(scene.model)
    data.qpos[:] = q
    mujoco.mj_forward(scene.model, data)
    return data


def contacts_at(scene, offset, yaw=0.0):
    """Contacts with the tcp put at an offset from the goal (socket axes) by inverse kinematics."""
    R_BS = Rotation.from_quat(scene.goal_quaternion_xyzw) * Rotation.from_euler("x", math.pi)
    orientation = (Rotation.from_euler("z", yaw) * Rotation.from_quat(scene.goal_quaternion_xyzw)).as_quat()
    q = InverseKinematics(scene.model, scene.tcp_site).solve(
        scene.goal_position + R_BS.apply(offset), orientation, scene.q_home, tolerance=1e-8
    )
    return posed(scene, q).ncon


def test_flange_pose_agrees_with_the_published_kinematics(scene):
    """Independent product of Craig's transforms from the FR3 data sheet."""
    a = [0, 0, 0, 0.0825, -0.0825, 0, 0.088]
    d = [0.333, 0, 0.316, 0, 0.384, 0, 0]
    alpha = np.array([0, -1, 1, 1, -1, 1, 1]) * math.pi / 2
    q = np.array([0.3, -0.5, 0.7, -1.9, 0.2, 2.1, -0.4])
    X = np.eye(4)
    for a_i, d_i, alpha_i, q_i in zip(a, d, alpha, q, strict=True):
        about_x, along_x, about_z = np.eye(4), np.eye(4), np.eye(4)
        about_x[:3, :3] = Rotation.from_euler("x", alpha_i).as_matrix()
        along_x[0, 3] = a_i
        about_z[:3, :3] = Rotation.from_euler("z", q_i).as_matrix()
        about_z[2, 3] = d_i
        X = X @ about_x @ along_x @ about_z
    data = posed(scene, q)
    np.testing.assert_allclose(data.body("link7").xpos, X[:3, 3], atol=1e-12)
    np.testing.assert_allclose(data.body("link7").xmat.reshape(3, 3), X[:3, :3], atol=1e-12)


def test_gravity_is_compensated_on_the_whole_arm_and_tool(scene):
    data = posed(scene, scene.q_home)
    assert np.abs(data.qfrc_bias).max() > 5.0  # there is gravity to carry
    np.testing.assert_allclose(data.qfrc_gravcomp, data.qfrc_bias, atol=1e-9)


def test_home_is_above_the_goal_and_inside_the_joint_limits(scene):
    data = posed(scene, scene.q_home)
    np.testing.assert_allclose(
        data.site(scene.tcp_site).xpos, scene.goal_position + np.array([0, 0, 0.08]), atol=1e-5
    )
    np.testing.assert_allclose(data.site(scene.tcp_site).xmat.reshape(3, 3)[:, 2], [0, 0, -1], atol=1e-5)
    lower, upper = scene.model.jnt_range.T
    assert (scene.q_home > lower + 0.1).all() and (scene.q_home < upper - 0.1).all()


@pytest.mark.parametrize("yaw", [0.0, 0.5])
@pytest.mark.parametrize("clearance", [0.0001, 0.0003, 0.002])
def test_clearance_is_the_gap_between_plug_and_socket(clearance, yaw):
    """The plug touches a wall when it is off centre by half the clearance, and not before."""
    scene = build(SceneConfig(clearance_m=clearance, socket_yaw=yaw))
    half_way = SOCKET_DEPTH_M / 2
    for axis in ([1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]):
        direction = np.array(axis, dtype=float)
        assert contacts_at(scene, direction * (0.5 * clearance - 2e-5) + np.array([0, 0, half_way])) == 0
        assert contacts_at(scene, direction * (0.5 * clearance + 2e-5) + np.array([0, 0, half_way])) > 0


def test_the_lead_in_is_as_wide_as_stated(scene):
    """Just below the rim a plug off by nearly the chamfer is free; off by more it is not."""
    gap = 0.00015
    for axis, size in (([1, 0, 0], PLUG_SIZE_M[0]), ([0, 1, 0], PLUG_SIZE_M[1])):
        assert size > 2 * CHAMFER_M
        direction = np.array(axis, dtype=float)
        depth = np.array([0, 0, SOCKET_DEPTH_M - 5e-5])
        assert contacts_at(scene, direction * (gap + CHAMFER_M - 2e-4) + depth) == 0
        assert contacts_at(scene, direction * (gap + CHAMFER_M + 2e-4) + depth) > 0


def test_seated_touches_the_floor_only_below_the_goal(scene):
    assert contacts_at(scene, [0, 0, 2e-5]) == 0
    assert contacts_at(scene, [0, 0, -2e-5]) > 0


def test_socket_follows_its_parameters():
    scene = build(SceneConfig(socket_position=(0.45, 0.1, 0.08), socket_yaw=-0.4))
    np.testing.assert_allclose(scene.goal_position, [0.45, 0.1, 0.08])
    expected = Rotation.from_euler("z", -0.4) * Rotation.from_euler("x", math.pi)
    assert (Rotation.from_quat(scene.goal_quaternion_xyzw).inv() * expected).magnitude() < 1e-9
    assert contacts_at(scene, [0, 0, 0.005]) == 0


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"clearance_m": 0.0}, "clearance_m"),
        ({"clearance_m": float("nan")}, "clearance_m"),
        ({"clearance_m": "0.3mm"}, "clearance_m"),
        ({"friction": -0.1}, "friction"),
        ({"socket_yaw": 2.0}, "socket_yaw"),
        ({"socket_position": (0.5, 0.0)}, "socket_position"),
        ({"socket_position": (1.5, 0.0, 0.05)}, "socket_position x"),
        ({"contact_time_constant": 0.0001}, "contact_time_constant"),
    ],
)
def test_bad_parameters_are_named_in_one_line(parameters, name):
    with pytest.raises(ValueError, match=name) as error:
        SceneConfig(**parameters)
    assert "\n" not in str(error.value)


def test_inverse_kinematics_reaches_random_poses(scene):
    solver = InverseKinematics(scene.model, scene.tcp_site)
    rng = np.random.default_rng(1)
    for _ in range(20):
        position = scene.goal_position + rng.uniform([-0.05, -0.05, 0.03], [0.05, 0.05, 0.06])
        orientation = Rotation.from_rotvec(rng.uniform(-0.2, 0.2, 3)) * Rotation.from_quat(
            scene.goal_quaternion_xyzw
        )
        data = posed(scene, solver.solve(position, orientation.as_quat(), scene.q_home))
        np.testing.assert_allclose(data.site(scene.tcp_site).xpos, position, atol=2e-6)
        measured = Rotation.from_matrix(data.site(scene.tcp_site).xmat.reshape(3, 3))
        assert (measured.inv() * orientation).magnitude() < 5e-6


def test_inverse_kinematics_says_what_is_out_of_reach(scene):
    solver = InverseKinematics(scene.model, scene.tcp_site)
    with pytest.raises(ValueError, match="no joint positions reach"):
        solver.solve([1.5, 0, 0.5], scene.goal_quaternion_xyzw, scene.q_home)
    with pytest.raises(ValueError, match="finite"):
        solver.solve([np.nan, 0, 0.5], scene.goal_quaternion_xyzw, scene.q_home)
