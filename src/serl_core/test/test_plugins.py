# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parts are found by name, and a name that is wrong says how."""

import sys
from pathlib import Path

import pytest

from serl_core.errors import ConfigError
from serl_core.plugins import load
from serl_core.testing.fakes import FakeEnvironment


def test_a_part_is_found_by_its_name() -> None:
    assert load("serl_core.testing.fakes:FakeEnvironment", "arm") is FakeEnvironment


@pytest.mark.parametrize("name", ["", "serl_core", ":FakeEnvironment", "serl_core.testing.fakes:"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="arm must be given as module:Class"):
        load(name, "arm")


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"reward 'serl_nowhere\.pose:PoseReward': no module 'serl_nowhere'"
    ):
        load("serl_nowhere.pose:PoseReward", "reward")


def test_an_unknown_class_suggests_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"has no FakeEnviroment \(did you mean FakeEnvironment"):
        load("serl_core.testing.fakes:FakeEnviroment", "arm")


def test_a_module_missing_inside_the_part_is_the_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import serl_absent_driver\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="no module 'serl_absent_driver'"):
        load("needs_more:Arm", "arm")
    assert "needs_more" not in sys.modules
