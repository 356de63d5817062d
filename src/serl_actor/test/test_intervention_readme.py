# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The README's parameters are the declared ones."""

from pathlib import Path

import pytest

from serl_actor.intervention.config import InterventionConfig, OperatorConfig
from serl_core.testing.readme import assert_readme_has


@pytest.mark.parametrize("config", [InterventionConfig, OperatorConfig])
def test_the_parameter_table_is_current(config: type) -> None:
    assert_readme_has(Path(__file__).parents[1] / "README.md", config)
