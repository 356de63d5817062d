# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The README's parameters are the declared ones."""

from pathlib import Path

from serl_actor.config import ActorConfig
from serl_core.testing.readme import assert_readme_has


def test_the_parameter_table_is_current() -> None:
    assert_readme_has(Path(__file__).parents[1] / "README.md", ActorConfig)
