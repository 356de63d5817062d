# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of the actor."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter


@dataclass(frozen=True)
class ActorConfig:
    """Settings of the actor; names are ROS parameter names."""

    checkpoint: str = parameter(
        "", "run or checkpoint folder to act from; empty: weights come from the learner"
    )
    resnet10_weights: str = parameter(
        "", "file of the ResNet-10 that the learner uses, for policies that read cameras through it"
    )
    deterministic: bool = parameter(False, "act with the mean action (evaluation) instead of a sample")
    seed: int = parameter(0, "seed of the action samples", 0, 2**31 - 1)
