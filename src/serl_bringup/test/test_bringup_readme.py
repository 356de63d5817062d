# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The README's parameters are the declared ones, and the layouts that it names can be read."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from serl_bringup.config import LifecycleManagerConfig, MarkersConfig
from serl_core.testing.readme import assert_readme_has

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("config", [LifecycleManagerConfig, MarkersConfig])
def test_the_parameter_table_is_current(config: type) -> None:
    assert_readme_has(ROOT / "README.md", config)


def test_the_layouts_are_well_formed_and_show_what_is_published() -> None:
    rviz = yaml.safe_load((ROOT / "rviz/serl.rviz").read_text())["Visualization Manager"]
    topics = {d["Topic"]["Value"] for d in rviz["Displays"] if "Topic" in d}
    assert {"/markers", "/wrist_1/color/image_raw", "/wrist_2/color/image_raw"} <= topics
    state = "/cartesian_impedance_controller/state"
    curves = {c.get("name", "") for c in ElementTree.parse(ROOT / "config/plotjuggler.xml").iter("curve")}
    assert curves and all(name.startswith(state) for name in curves)
    for name in ("foxglove.json", "serl.perspective"):
        text = (ROOT / "config" / name).read_text()
        assert json.loads(text)
        assert state in text and "/wrist_1/color/image_raw" in text
