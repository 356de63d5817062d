# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from serl_core.errors import ConfigError
from serl_reward.part import PartReward, PartRewardConfig

REWARD = PartReward(PartRewardConfig((0.001, 0.0015, 0.002)))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1, 1])
def test_success_ends_at_each_axis_tolerance(axis, sign):
    offset = np.zeros(3)
    offset[axis] = sign * (0.001, 0.0015, 0.002)[axis]
    inside, outside = (REWARD({"part_offset": offset * scale}) for scale in (0.99, 1.01))
    assert (inside.success, inside.value, outside.success, outside.value) == (True, 1.0, False, 0.0)


def test_without_the_part_it_says_what_to_set():
    with pytest.raises(ConfigError, match="observe_part"):
        REWARD({})
