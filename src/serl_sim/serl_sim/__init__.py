# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""MuJoCo scenes and the lockstep host that runs physics and control law together."""

from serl_sim.benchmark import benchmark_steps
from serl_sim.lockstep_host import LockstepHost

__all__ = ["LockstepHost", "benchmark_steps"]
