# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from serl_core.parameters import descriptors
from serl_learner.agents.config import AGENTS, BCConfig, DiffusionConfig, RLPDConfig
from serl_learner.config import LearnerConfig, RecorderConfig
from serl_learner.training_loop import LoopConfig
from serl_learner.vision.config import PretrainingConfig

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize(
    "config", [LearnerConfig, RLPDConfig, LoopConfig, BCConfig, PretrainingConfig, RecorderConfig]
)
def test_every_parameter_is_in_the_readme(config):
    assert_readme_has(descriptors(config))


@pytest.mark.parametrize("config", [*(c for c in AGENTS.values() if c is not RLPDConfig), DiffusionConfig])
def test_what_an_agent_adds_or_sets_otherwise_is_in_the_readme(config):
    assert_readme_has([setting for setting in descriptors(config) if setting.name in config.__annotations__])


def assert_readme_has(settings):
    lines = README.splitlines()
    for setting in settings:
        default = setting.default
        text = (
            "empty" if default == "" else str(default).lower() if isinstance(default, bool) else str(default)
        )
        start = f"| `{setting.name}` | {text} |"
        assert any(line.startswith(start) and setting.description in line for line in lines), start
