# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""MuJoCo scenes, each a module that builds it from one frozen configuration."""

from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import SceneConfig

__all__ = ["SCENES", "Scene", "SceneConfig"]

SCENES = ("pcb_insertion", "ram_insertion", "peg_insertion", "cable_routing", "block_lift")
"""Modules of this package with `specify(config) -> mujoco.MjSpec` and `build(config) -> Scene`."""
