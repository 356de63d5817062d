# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A binary gripper that does not chatter."""

import numpy as np
import pytest

from serl_env_node.gripper_toggle import REST_SECONDS, GripperToggle


def test_only_an_action_beyond_the_threshold_says_something() -> None:
    toggle = GripperToggle()
    for action in (0.0, 0.5, -0.5, 0.49, float("nan")):
        assert toggle.decide(action, 0.0) is None
    assert toggle.decide(-0.51, 0.0) is True
    assert toggle.decide(0.51, 10.0) is False


def test_what_it_was_told_is_not_said_again() -> None:
    toggle = GripperToggle()
    assert toggle.decide(1.0, 0.0) is False
    assert [toggle.decide(1.0, t) for t in (1.0, 2.0, 3.0)] == [None] * 3


@pytest.mark.parametrize(("wait", "heard"), [(REST_SECONDS - 0.01, None), (REST_SECONDS + 0.01, True)])
def test_it_is_left_alone_for_a_while(wait: float, heard: bool | None) -> None:
    toggle = GripperToggle()
    toggle.decide(1.0, 100.0)
    assert toggle.decide(-1.0, 100.0 + wait) is heard


def test_noise_moves_it_no_more_often_than_the_rest_allows() -> None:
    toggle, rng = GripperToggle(), np.random.default_rng(0)
    told = [t for t in np.arange(0.0, 60.0, 0.1) if toggle.decide(rng.uniform(-1, 1), t) is not None]
    assert np.diff(told).min() >= REST_SECONDS - 1e-9
    assert len(told) > 20
