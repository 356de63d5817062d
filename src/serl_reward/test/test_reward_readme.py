# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The README's parameters are the declared ones."""

from pathlib import Path

import pytest

from serl_core.testing.readme import assert_readme_has
from serl_reward.awaited import AwaitedRewardConfig
from serl_reward.classifier.config import ClassifierRewardConfig, RewardNodeConfig, TrainingConfig
from serl_reward.combination import AllOfConfig, StagesConfig
from serl_reward.height import HeightRewardConfig
from serl_reward.pose import PoseRewardConfig
from serl_reward.vice import ViceConfig

CONFIGS = [
    PoseRewardConfig, HeightRewardConfig, AllOfConfig, StagesConfig, ClassifierRewardConfig, TrainingConfig,
    ViceConfig, RewardNodeConfig, AwaitedRewardConfig,
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_the_parameter_table_is_current(config: type) -> None:
    assert_readme_has(Path(__file__).parents[1] / "README.md", config)
