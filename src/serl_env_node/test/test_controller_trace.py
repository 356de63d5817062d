# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A log of states becomes arrays by name, and its last row a state again."""

import dataclasses

import numpy as np
from arm_cases import HOME, state_at

from serl_env_node.controller_trace import last_state, to_trace


def test_the_last_row_is_the_last_state() -> None:
    rng = np.random.default_rng(0)
    states = [
        state_at(0.1 * i, HOME + rng.normal(size=7), twist=rng.normal(size=6), hold=i, flags=2 * i, peak_force=3.0 * i,
                 refused_targets=i, joint_torque=rng.normal(size=7))
        for i in range(4)
    ]  # fmt: skip
    trace = to_trace(states)
    assert {len(rows) for rows in trace.values()} == {4}
    back = last_state(trace, states[-1].stamp, "base")
    for field in dataclasses.fields(back):
        wanted = getattr(states[-1], field.name)
        np.testing.assert_array_equal(getattr(back, field.name), wanted, err_msg=field.name)


def test_no_states_make_no_trace() -> None:
    assert to_trace([]) == {}


def test_what_a_log_does_not_tell_stays_unknown() -> None:
    whole = to_trace([state_at(0.0)])
    poses = {
        name: rows
        for name, rows in whole.items()
        if name.endswith(("_position", "_xyzw")) and "joint" not in name
    }
    state = last_state(poses, 0.0, "base")
    assert (
        np.isnan(state.twist).all() and np.isnan(state.external_wrench).all() and np.isnan(state.peak_force)
    )
    assert (state.joint_position.size, state.joint_torque.size, state.hold, state.flags) == (0, 0, 0, 0)
