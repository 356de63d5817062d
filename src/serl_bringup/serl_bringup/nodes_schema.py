# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Which config classes each node's parameters come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serl_actor.config import ActorConfig
from serl_actor.intervention.config import DEVICES, InterventionConfig, OperatorConfig
from serl_bringup.config import RunConfig
from serl_core.plugins import load
from serl_env_node.config import EnvConfig
from serl_learner.agents.config import AGENTS, BCConfig, DiffusionConfig, RLPDConfig
from serl_learner.config import LearnerConfig, RecorderConfig
from serl_learner.training_loop import LoopConfig
from serl_learner.vision.config import PretrainingConfig
from serl_reward.assembly import config_classes
from serl_reward.classifier.config import RewardNodeConfig


def _env_classes(values: Mapping[str, Any]) -> tuple[type, ...]:
    """The arm and the reward that a task names bring their own settings."""
    if values.get("env_id"):
        return (EnvConfig,)
    arm = (load(values["arm"], "arm").Config,) if values.get("arm") else ()
    reward = config_classes(values["reward"], values) if values.get("reward") else ()
    truth = config_classes(values["ground_truth"], values) if values.get("ground_truth") else ()
    return tuple(dict.fromkeys((EnvConfig, *arm, *reward, *truth)))


def _learner_classes(values: Mapping[str, Any]) -> tuple[type, ...]:
    """The agent that a task names brings its own settings; an unknown name is refused with the node's others."""
    return (LearnerConfig, LoopConfig, AGENTS.get(values.get("agent", LearnerConfig.agent), RLPDConfig))


def _reward_classes(values: Mapping[str, Any]) -> tuple[type, ...]:
    """The reward that the node hosts brings its own settings."""
    reward = values.get("reward", RewardNodeConfig().reward)
    return (RewardNodeConfig, *config_classes(reward, values))


SCHEMAS = {
    "run": (RunConfig,),
    "env": _env_classes,
    "actor": (ActorConfig,),
    "operator": (OperatorConfig,),
    "learner": _learner_classes,
    "bc": (BCConfig,),
    "diffusion": (DiffusionConfig,),
    "pretrain": (PretrainingConfig,),
    "reward": _reward_classes,
    "recorder": (RecorderConfig,),
}

WITH_PERSON = {**SCHEMAS, "intervention": (InterventionConfig,)}
"""Those of a run in which a person has a device."""


def schemas_for(operator: str) -> Mapping[str, Any]:
    """Return the config classes by node of a run in which `operator`, one of `config.INTERVENTIONS`, may take over."""
    return WITH_PERSON if operator in DEVICES else SCHEMAS
