# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The actor's own process is timed, from observation to action."""

import numpy as np

from serl_bringup.bench import action_round_trips


def test_every_observation_is_answered_by_the_actor_process():
    seconds = action_round_trips(filters=(4, 4, 4, 4), side=16, count=5)
    assert seconds.shape == (5,)
    assert np.all(seconds > 0.0) and np.median(seconds) < 10.0
