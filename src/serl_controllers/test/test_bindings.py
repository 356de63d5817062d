# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the bindings add to the law: conversions, errors, flags, copies, the benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from serl_controllers import (
    CartesianImpedanceLaw,
    Command,
    Flag,
    ImpedanceGains,
    Pose,
    RobotState,
    benchmark_update,
    orientation_error,
)
from serl_controllers._law import FLAGS


def test_quaternions_are_xyzw_both_ways() -> None:
    quarter_turn_about_z = np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)])
    pose = Pose([1.0, 2.0, 3.0], quarter_turn_about_z)
    np.testing.assert_array_equal(pose.orientation_xyzw, quarter_turn_about_z)
    np.testing.assert_array_equal(pose.position, [1.0, 2.0, 3.0])
    error = orientation_error(quarter_turn_about_z, [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(error, [0.0, 0.0, np.pi / 2], atol=1e-15)


def test_bad_gains_raise_and_the_old_ones_stay() -> None:
    law = CartesianImpedanceLaw()
    gains = ImpedanceGains.precise()
    gains.error_min = np.full(6, 0.1)
    assert gains.validate() == "error_min must be finite and not positive"
    with pytest.raises(ValueError, match="error_min"):
        law.set_gains(gains)
    with pytest.raises(ValueError, match="error_min"):
        CartesianImpedanceLaw(gains)
    np.testing.assert_array_equal(law.gains.error_min, ImpedanceGains.compliant().error_min)


def test_gains_copy_does_not_share_memory() -> None:
    gains = ImpedanceGains.compliant()
    copy = ImpedanceGains(gains)
    copy.stiffness = np.full(6, 1.0)
    assert copy.stiffness[0] == 1.0
    assert gains.stiffness[0] == 2000.0


def test_an_element_is_not_set_in_place() -> None:
    gains = ImpedanceGains.compliant()
    with pytest.raises(ValueError, match="read-only"):
        gains.stiffness[0] = 1.0


def test_arrays_of_the_wrong_size_are_refused() -> None:
    state = RobotState()
    with pytest.raises(TypeError):
        state.q = np.zeros(6)
    with pytest.raises(TypeError):
        state.J_BE = np.zeros((7, 6))


def test_output_outlives_the_next_update() -> None:
    law, state, command = CartesianImpedanceLaw(), RobotState(), Command()
    assert law.reset(state)
    state.J_BE = np.eye(6, 7)
    command.X_BE_target.position = [0.005, 0.0, 0.0]
    first = law.update(state, command, 1e-3)
    torque = first.torque.copy()
    second = law.update(state, command, 1e-3)
    assert second.torque[0] > torque[0] > 0.0
    np.testing.assert_array_equal(first.torque, torque)


def test_reset_goes_on_from_a_given_torque() -> None:
    law, state = CartesianImpedanceLaw(), RobotState()
    state.coriolis = np.full(7, 0.5)
    assert law.reset(state)
    np.testing.assert_array_equal(law.output.torque, state.coriolis)
    assert law.reset(state, torque=[1.0, -2.0, np.nan, 4.0, 100.0, 6.0, 7.0])
    np.testing.assert_array_equal(law.output.torque, [1.0, -2.0, 0.5, 4.0, 12.0, 6.0, 7.0])


def test_flags_name_what_happened() -> None:
    law, state, command = CartesianImpedanceLaw(), RobotState(), Command()
    assert Flag(law.update(state, command, 1e-3).flags) == Flag.NOT_RESET
    assert law.reset(state)
    command.X_BE_target = Pose([np.nan, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    assert Flag(law.update(state, command, 1e-3).flags) == Flag.HELD_NON_FINITE_TARGET
    command.X_BE_target = Pose([0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    assert Flag(law.update(state, command, 1e-3).flags) == Flag.HELD_BAD_QUATERNION
    state.q = np.full(7, np.inf)
    assert Flag(law.update(state, command, 1e-3).flags) == Flag.BAD_STATE
    assert not law.reset(state)


def test_every_flag_of_the_library_has_a_name() -> None:
    assert {flag.name: flag.value for flag in Flag} == FLAGS


def test_benchmark_reports_the_nanoseconds_of_an_update() -> None:
    report = benchmark_update(iterations=200, repeats=5)
    assert 0.0 < report["min_ns"] <= report["median_ns"] <= report["max_ns"]
    assert (report["iterations"], report["repeats"]) == (200, 5)
    with pytest.raises(ValueError, match="at least 1"):
        benchmark_update(iterations=0)
