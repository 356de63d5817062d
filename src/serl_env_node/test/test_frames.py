# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Poses and twists obey their axioms, and twists are what finite differences of poses say."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_env_node.frames import Pose, adjoint, displaced, limited_rotation, twist_in_tcp

SEEDS = range(8)


def random_pose(rng: np.random.Generator) -> Pose:
    return Pose(rng.uniform(-1, 1, 3), Rotation.random(random_state=int(rng.integers(2**31))))


def assert_same_pose(left: Pose, right: Pose, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(left.position, right.position, atol=tolerance)
    assert (left.rotation.inv() * right.rotation).magnitude() <= tolerance


@pytest.mark.parametrize("seed", SEEDS)
def test_poses_form_a_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (random_pose(rng) for _ in range(3))
    identity = Pose(np.zeros(3), Rotation.identity())
    assert_same_pose(a * a.inverse(), identity)
    assert_same_pose(a.inverse() * a, identity)
    assert_same_pose((a * b) * c, a * (b * c))
    assert_same_pose((a * b).inverse(), b.inverse() * a.inverse())


@pytest.mark.parametrize("seed", SEEDS)
def test_adjoint_agrees_with_finite_differences(seed: int) -> None:
    """X_AB constant, B's body moves by exp(V_B h): the same motion seen from A is X_AB exp(V_B h) X_BA."""
    rng = np.random.default_rng(seed)
    X_AB, V_B, h = random_pose(rng), rng.uniform(-1, 1, 6), 1e-6
    motion = Pose(h * V_B[:3], Rotation.from_rotvec(h * V_B[3:]))
    seen_from_A = X_AB * motion * X_AB.inverse()
    np.testing.assert_allclose(seen_from_A.vector() / h, adjoint(X_AB) @ V_B, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_adjoints_compose_as_poses_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_pose(rng), random_pose(rng)
    np.testing.assert_allclose(adjoint(a * b), adjoint(a) @ adjoint(b), atol=1e-12)
    np.testing.assert_allclose(adjoint(a.inverse()), np.linalg.inv(adjoint(a)), atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_twist_in_tcp_agrees_with_finite_differences(seed: int) -> None:
    """Velocity of the origin and angular velocity, both in base axes, seen along the tcp's axes."""
    rng = np.random.default_rng(seed)
    X_BE, V_E, h = random_pose(rng), rng.uniform(-1, 1, 6), 1e-6
    after = displaced(X_BE, h * V_E)
    velocity = (after.position - X_BE.position) / h
    angular = (after.rotation * X_BE.rotation.inv()).as_rotvec() / h
    np.testing.assert_allclose(twist_in_tcp(X_BE, np.concatenate([velocity, angular])), V_E, atol=1e-5)


def test_a_twist_does_not_depend_on_where_the_tcp_is() -> None:
    turned = Rotation.from_euler("z", 90, degrees=True)
    V_BE = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 2.0])
    for position in (np.zeros(3), np.array([5.0, -3.0, 1.0])):
        np.testing.assert_allclose(
            twist_in_tcp(Pose(position, turned), V_BE), [0, -1, 0, 0, 0, 2], atol=1e-15
        )


def test_displacement_is_along_the_frames_own_axes_and_about_its_own_origin() -> None:
    X_BT = Pose(np.array([1.0, 2.0, 3.0]), Rotation.from_euler("z", 90, degrees=True))
    moved = displaced(X_BT, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(moved.position, [1.0, 2.1, 3.0], atol=1e-15)
    turned = displaced(X_BT, np.array([0.0, 0.0, 0.0, 0.3, 0.0, 0.0]))
    np.testing.assert_array_equal(turned.position, X_BT.position)
    np.testing.assert_allclose(
        (turned.rotation * X_BT.rotation.inv()).as_rotvec(), [0.0, 0.3, 0.0], atol=1e-15
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_both_quaternions_of_an_orientation_give_the_same_numbers(seed: int) -> None:
    q_xyzw = Rotation.random(random_state=seed).as_quat()
    one, other = (Pose.from_arrays(np.zeros(3), sign * q_xyzw) for sign in (1.0, -1.0))
    np.testing.assert_array_equal(one.quaternion_xyzw, other.quaternion_xyzw)
    assert one.quaternion_xyzw[3] >= 0.0


def test_a_pose_owns_its_numbers() -> None:
    position = np.zeros(3)
    pose = Pose.from_arrays(position, np.array([0.0, 0.0, 0.0, 1.0]))
    position[0] = 9.0
    np.testing.assert_array_equal(pose.position, np.zeros(3))


def test_a_quaternion_of_zero_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="norm"):
        Pose.from_arrays(np.zeros(3), np.zeros(4))


@pytest.mark.parametrize("angle", [0.0, 0.1, 0.2, 1.0, np.pi])
def test_a_limited_rotation_keeps_its_axis(angle: float) -> None:
    axis = np.array([2.0, -1.0, 2.0]) / 3.0
    limited = limited_rotation(Rotation.from_rotvec(angle * axis), 0.2)
    np.testing.assert_allclose(limited.as_rotvec(), min(angle, 0.2) * axis, atol=1e-12)
