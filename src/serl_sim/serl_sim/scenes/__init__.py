# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""MuJoCo scenes, each a function of one frozen configuration."""

from serl_sim.scenes.pcb_insertion import PcbInsertionConfig, build
from serl_sim.scenes.scene import Scene

__all__ = ["PcbInsertionConfig", "Scene", "build"]
