# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The C++ law against an evaluation of its equations in NumPy and SciPy that shares no code with it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from serl_controllers import CartesianImpedanceLaw, Command, Flag, ImpedanceGains, Pose, RobotState

GLIDING = (
    "stiffness",
    "damping",
    "error_min",
    "error_max",
    "integral_gain",
    "integral_limit",
    "nullspace_stiffness",
    "nullspace_damping",
)


class NumpyLaw:
    """State of the law as plain arrays; orientations as SciPy rotations."""

    def __init__(self, gains: ImpedanceGains, state: RobotState) -> None:
        self.gains = {name: np.copy(getattr(gains, name)) for name in GLIDING}
        self.position = np.copy(state.X_BE.position)
        self.rotation = Rotation.from_quat(state.X_BE.orientation_xyzw)
        self.integral = np.zeros(6)
        self.torque = np.clip(state.coriolis, -gains.max_torque, gains.max_torque)

    def update(
        self, goal: ImpedanceGains, state: RobotState, command: Command, dt: float
    ) -> dict[str, np.ndarray]:
        glide = 1.0 if goal.gain_time_constant == 0 else 1 - np.exp(-dt / goal.gain_time_constant)
        for name in GLIDING:
            self.gains[name] = (1 - glide) * self.gains[name] + glide * np.asarray(getattr(goal, name))
        g = self.gains

        target = Rotation.from_quat(command.X_BE_target.orientation_xyzw)
        move = 1.0 if goal.target_time_constant == 0 else 1 - np.exp(-dt / goal.target_time_constant)
        self.position = (1 - move) * self.position + move * command.X_BE_target.position
        self.rotation = Slerp([0, 1], Rotation.concatenate([self.rotation, target]))(move)

        measured = Rotation.from_quat(state.X_BE.orientation_xyzw)
        error = np.concatenate(
            [self.position - state.X_BE.position, (self.rotation * measured.inv()).as_rotvec()]
        )
        clipped = np.clip(error, g["error_min"], g["error_max"])

        twist = state.J_BE @ state.dq
        most = g["damping"] * (g["error_max"] - g["error_min"]) / dt
        damping = np.clip(-g["damping"] * twist, -most, most)
        self.integral = np.clip(
            self.integral + g["integral_gain"] * clipped * dt, -g["integral_limit"], g["integral_limit"]
        )
        wrench = g["stiffness"] * clipped + damping + self.integral + command.feed_forward

        # The damped pseudo-inverse from the singular values, where the library solves normal equations.
        _, sigma, vt = np.linalg.svd(state.J_BE, full_matrices=False)
        project = np.eye(7) - vt.T @ np.diag(sigma**2 / (sigma**2 + 1e-4)) @ vt
        spring = g["nullspace_stiffness"] * (command.q_nullspace - state.q)
        posture = spring - g["nullspace_damping"] * state.dq
        wanted = state.J_BE.T @ wrench + project @ posture + state.coriolis

        step = goal.max_torque_rate * dt
        inside = np.clip(wanted, -goal.max_torque, goal.max_torque)
        self.torque = self.torque + np.clip(inside - self.torque, -step, step)
        return {
            "torque": self.torque,
            "error": error,
            "clipped_error": clipped,
            "wrench": wrench,
            "integral_wrench": self.integral,
            "smoothed_position": self.position,
            "smoothed_matrix": self.rotation.as_matrix(),
            "clipped_position": state.X_BE.position + clipped[:3],
            "clipped_matrix": (Rotation.from_rotvec(clipped[3:]) * measured).as_matrix(),
        }


def random_gains(rng: np.random.Generator) -> ImpedanceGains:
    gains = ImpedanceGains()
    gains.stiffness = rng.uniform(0, 3000, 6)
    gains.damping = rng.uniform(0, 100, 6)
    gains.error_min = rng.uniform(-0.2, 0, 6)
    gains.error_max = rng.uniform(0, 0.2, 6)
    gains.integral_gain = rng.uniform(0, 500, 6)
    gains.integral_limit = rng.uniform(0, 5, 6)
    gains.nullspace_stiffness = rng.uniform(0, 20)
    gains.nullspace_damping = rng.uniform(0, 5)
    gains.target_time_constant = rng.choice([0.0, 0.02, 0.1])
    gains.gain_time_constant = rng.choice([0.0, 0.05])
    gains.max_torque = rng.uniform(20, 200, 7)
    gains.max_torque_rate = rng.uniform(1e3, 1e5, 7)
    return gains


def random_pose(rng: np.random.Generator) -> Pose:
    return Pose(rng.uniform(-0.2, 0.2, 3), Rotation.random(random_state=rng).as_quat() * rng.choice([-1, 1]))


def random_state(rng: np.random.Generator) -> RobotState:
    state = RobotState()
    state.q = rng.uniform(-3, 3, 7)
    state.dq = rng.uniform(-1, 1, 7) * 10 ** rng.uniform(-2, 2)
    state.coriolis = rng.uniform(-2, 2, 7)
    state.X_BE = random_pose(rng)
    state.J_BE = rng.uniform(-1, 1, (6, 7))
    return state


def random_command(rng: np.random.Generator) -> Command:
    command = Command()
    command.X_BE_target = random_pose(rng)
    command.feed_forward = rng.uniform(-10, 10, 6)
    command.q_nullspace = rng.uniform(-3, 3, 7)
    return command


@pytest.mark.parametrize("seed", range(20))
def test_agrees_over_random_sequences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    goal, state, command = random_gains(rng), random_state(rng), random_command(rng)
    law, oracle = CartesianImpedanceLaw(goal), NumpyLaw(goal, state)
    assert law.reset(state)
    flags = Flag(0)
    for cycle in range(200):
        if cycle % 40 == 20:
            goal = random_gains(rng)
            law.set_gains(goal)
        if cycle % 25 == 0:
            command = random_command(rng)
        if cycle % 3 == 0:
            state = random_state(rng)
        dt = rng.uniform(2e-4, 2e-3)
        output = law.update(state, command, dt)
        expected = oracle.update(goal, state, command, dt)
        flags |= Flag(output.flags)
        actual = {
            "torque": output.torque,
            "error": output.error,
            "clipped_error": output.clipped_error,
            "wrench": output.wrench,
            "integral_wrench": output.integral_wrench,
            "smoothed_position": output.X_BE_smoothed.position,
            "smoothed_matrix": Rotation.from_quat(output.X_BE_smoothed.orientation_xyzw).as_matrix(),
            "clipped_position": output.X_BE_clipped.position,
            "clipped_matrix": Rotation.from_quat(output.X_BE_clipped.orientation_xyzw).as_matrix(),
        }
        for name, value in actual.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-9, err_msg=f"{name} {cycle}")
    # The sequence went through the limits, not only between them.
    assert flags & Flag.ERROR_CLIPPED and flags & Flag.TORQUE_SATURATED and flags & Flag.TORQUE_RATE_LIMITED
