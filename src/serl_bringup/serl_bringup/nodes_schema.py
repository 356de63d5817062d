# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Which config classes each node's parameters come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serl_actor.config import ActorConfig
from serl_actor.intervention.config import OperatorConfig
from serl_bringup.config import RunConfig
from serl_core.plugins import load
from serl_env_node.config import EnvConfig
from serl_learner.agents.config import BCConfig, RLPDConfig
from serl_learner.config import LearnerConfig, RecorderConfig
from serl_learner.training_loop import LoopConfig


def _env_classes(values: Mapping[str, Any]) -> tuple[type, ...]:
    """The arm and the reward that a task names bring their own settings."""
    if values.get("env_id"):
        return (EnvConfig,)
    parts = [load(values[key], key).Config for key in ("arm", "reward") if values.get(key)]
    return (EnvConfig, *parts)


SCHEMAS = {
    "run": (RunConfig,),
    "env": _env_classes,
    "actor": (ActorConfig,),
    "operator": (OperatorConfig,),
    "learner": (LearnerConfig, LoopConfig, RLPDConfig),
    "bc": (BCConfig,),
    "recorder": (RecorderConfig,),
}
