# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of a run: how much of everything. A task's numbers are in its run.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter


@dataclass(frozen=True)
class RunConfig:
    """Settings of `./serl run`; names may be given to `--set` as run.NAME."""

    demos: int = parameter(20, "successful demonstrations to record before training (paper: 20)", 0, 100_000)
    bc_demos: int = parameter(100, "demonstrations for behaviour cloning (paper: 100)", 1, 100_000)
    train_minutes: float = parameter(18.0, "longest training on the wall clock [min]", 0.01, 100_000.0)
    max_env_steps: int = parameter(30_000, "environment steps after which training ends", 1, 1_000_000_000)
    stop_after_successes: int = parameter(
        100,
        "training ends after this many successful episodes in a row without intervention; 0: never early",
        0,
        100_000,
    )
    eval_episodes: int = parameter(100, "evaluation trials with the mean action (paper: 100)", 1, 1_000_000)
