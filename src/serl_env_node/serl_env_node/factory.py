# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From parameters to an environment."""

from __future__ import annotations

from serl_core.errors import ConfigError
from serl_core.interfaces import Environment, RewardFn
from serl_env_node.arm import Arm
from serl_env_node.arm_environment import ArmEnvironment
from serl_env_node.config import EnvConfig


def make_environment(
    config: EnvConfig, arm: Arm | None = None, reward: RewardFn | None = None, ground_truth: RewardFn | None = None,
) -> Environment:  # fmt: skip
    """Build the environment that `config` names: a Gymnasium one (`env_id`) or an arm with a reward."""
    if config.env_id:
        from serl_env_node.gymnasium_environment import GymnasiumEnvironment

        return GymnasiumEnvironment(config)
    if arm is None or reward is None:
        raise ConfigError("the environment needs either env_id, or both arm and reward")
    return ArmEnvironment(arm, reward, config, ground_truth)
