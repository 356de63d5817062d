# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Rigid-body poses and twists, with frames in the names: X_BE is the pose of frame E in frame B."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Pose:
    """A rigid transform X_AB: position of B's origin in A [m] and orientation of B in A."""

    position: np.ndarray
    rotation: Rotation

    @staticmethod
    def from_arrays(position: np.ndarray, quaternion_xyzw: np.ndarray) -> Pose:
        """Build a pose from a position (3,) and a quaternion (4,) xyzw; ValueError if its norm is zero."""
        return Pose(np.asarray(position, float).copy(), Rotation.from_quat(quaternion_xyzw))

    @property
    def quaternion_xyzw(self) -> np.ndarray:
        """Unit quaternion (4,), with w >= 0 so that equal orientations give equal numbers."""
        return self.rotation.as_quat(canonical=True)

    def __mul__(self, other: Pose) -> Pose:
        """X_AB * X_BC = X_AC."""
        return Pose(self.position + self.rotation.apply(other.position), self.rotation * other.rotation)

    def inverse(self) -> Pose:
        """X_AB -> X_BA."""
        inverse = self.rotation.inv()
        return Pose(-inverse.apply(self.position), inverse)

    def vector(self) -> np.ndarray:
        """Return (6,): position [m] and rotation vector [rad]."""
        return np.concatenate([self.position, self.rotation.as_rotvec()])


def displaced(X_BT: Pose, displacement: np.ndarray) -> Pose:
    """Move a frame by a displacement expressed in its own axes (paper IV-F: actions are twists in the tcp frame).

    Args:
        X_BT: Frame to move.
        displacement: (6,): translation [m] and rotation vector [rad] along T's axes, about T's origin.
    """
    return X_BT * Pose(np.asarray(displacement[:3], float), Rotation.from_rotvec(displacement[3:]))


def adjoint(X_AB: Pose) -> np.ndarray:
    """Return the (6, 6) matrix that takes a twist (linear, angular) from frame B to frame A.

    HIL-SERL supplement D.1. The linear part belongs to the frame's own origin: V_A = [R, [p]R; 0, R] V_B.
    """
    R = X_AB.rotation.as_matrix()
    x, y, z = X_AB.position
    p_cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.block([[R, p_cross @ R], [np.zeros((3, 3)), R]])


def twist_in_tcp(X_BE: Pose, V_BE_Eo: np.ndarray) -> np.ndarray:
    """Express the tcp's twist, measured at its own origin in base axes, in tcp axes (6,).

    This is the inverse adjoint of the pure rotation R_BE: the reference point stays the tcp's origin.
    """
    return adjoint(Pose(np.zeros(3), X_BE.rotation.inv())) @ V_BE_Eo


def limited_rotation(rotation: Rotation, limit: float) -> Rotation:
    """Return a rotation about the same axis by at most `limit` [rad]."""
    vector = rotation.as_rotvec()
    angle = float(np.linalg.norm(vector))
    return rotation if angle <= limit else Rotation.from_rotvec(vector * (limit / angle))
