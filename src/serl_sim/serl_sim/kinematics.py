# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics of the arm of a scene."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

ARM_JOINTS = 7


class InverseKinematics:
    """Damped least squares on the tcp site E, with the redundant joint drawn towards the starting posture.

    Per iteration: q += J^T (J J^T + d^2 I)^-1 e + N (q_init - q), e the tcp error (linear [m], angular
    [rad]) in base axes, N the null-space projector of J; positions stay inside the joint limits.

    Args:
        model: a model whose first seven joints are the arm.
        tcp_site: the name of E.
    """

    def __init__(self, model: mujoco.MjModel, tcp_site: str) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, tcp_site)
        if self._site < 0:
            raise ValueError(f"the model has no site named '{tcp_site}'")
        self._lower, self._upper = model.jnt_range[:ARM_JOINTS].T

    def solve(
        self,
        position: ArrayLike,
        quaternion_xyzw: ArrayLike,
        q_init: ArrayLike,
        tolerance: float = 1e-6,
        max_iterations: int = 200,
    ) -> NDArray[np.float64]:
        """Joint positions that put E at a pose.

        Args:
            position: p_BE, shape (3,) [m].
            quaternion_xyzw: R_BE, shape (4,), normalised here.
            q_init: where to start and which posture to stay near, shape (7,) [rad].
            tolerance: largest accepted error, [m] and [rad].
            max_iterations: give up after so many.

        Returns:
            q, shape (7,) [rad].

        Raises:
            ValueError: if an argument is not finite, or the pose is out of reach.
        """
        target = np.asarray(position, dtype=np.float64).reshape(3)
        quaternion_wxyz = np.roll(np.asarray(quaternion_xyzw, dtype=np.float64).reshape(4), 1)
        q_rest = np.array(q_init, dtype=np.float64).reshape(ARM_JOINTS)
        if not (
            np.isfinite(target).all() and np.isfinite(q_rest).all() and np.linalg.norm(quaternion_wxyz) > 1e-6
        ):
            raise ValueError(
                "inverse kinematics needs a finite position, a unit quaternion and finite joint positions"
            )
        mujoco.mju_normalize4(quaternion_wxyz)

        model, data = self._model, self._data
        q = np.clip(q_rest, self._lower, self._upper)
        error, jacobian = np.empty(6), np.empty((6, model.nv))
        measured_wxyz, inverse_wxyz, difference_wxyz = np.empty(4), np.empty(4), np.empty(4)
        identity = np.eye(ARM_JOINTS)
        for _ in range(max_iterations):
            data.qpos[:ARM_JOINTS] = q
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            error[:3] = target - data.site_xpos[self._site]
            mujoco.mju_mat2Quat(measured_wxyz, data.site_xmat[self._site])
            mujoco.mju_negQuat(inverse_wxyz, measured_wxyz)
            mujoco.mju_mulQuat(difference_wxyz, quaternion_wxyz, inverse_wxyz)
            mujoco.mju_quat2Vel(error[3:], difference_wxyz, 1.0)
            if np.abs(error).max() < tolerance:
                return q
            mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], self._site)
            J = jacobian[:, :ARM_JOINTS]
            # The projector is not damped: what a damped one lets through holds the tcp off its goal for good.
            to_posture = (identity - np.linalg.pinv(J) @ J) @ (q_rest - q)
            step = J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(6), error) + 0.1 * to_posture
            # A long step leaves the region in which the linearisation holds.
            q = np.clip(q + step * min(1.0, 0.3 / max(np.abs(step).max(), 1e-9)), self._lower, self._upper)
        raise ValueError(
            f"no joint positions reach the tcp position {np.round(target, 4).tolist()} with that orientation "
            f"(error left: {np.abs(error[:3]).max():.4f} m, {np.abs(error[3:]).max():.4f} rad)"
        )
