# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The README's parameters are the declared ones."""

from pathlib import Path

import pytest

from serl_core.testing.readme import assert_readme_has
from serl_env_node.config import EnvConfig
from serl_env_node.streamed_arm import Ros2ControlArmConfig


@pytest.mark.parametrize("config", [EnvConfig, Ros2ControlArmConfig])
def test_the_parameter_table_is_current(config: type) -> None:
    assert_readme_has(Path(__file__).parents[1] / "README.md", config)
