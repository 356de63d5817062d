# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from serl_core.testing.readme import assert_readme_has
from serl_sim.cameras import CameraConfig

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_lists_the_parameters() -> None:
    assert_readme_has(README, CameraConfig)
