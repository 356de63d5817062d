# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Put a square peg into a square hole."""

from __future__ import annotations

import mujoco

from serl_sim.scenes import workcell
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig

PEG_SIZE_M = (0.010, 0.010)  # along x and y of the tcp frame
PEG_LENGTH_M = 0.040
HOLE_DEPTH_M = 0.012
CHAMFER_M = 0.001
WALL_M = 0.008
PEG_GEOM = "peg"


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("peg_insertion", config)
    peg = workcell.add_held_part(
        hand, "peg", PEG_SIZE_M[1], finger_tip_z=TCP_IN_HAND_M - PEG_LENGTH_M + 0.015
    )
    peg.add_geom(
        name=PEG_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PEG_SIZE_M[0] / 2, PEG_SIZE_M[1] / 2, PEG_LENGTH_M / 2],
        pos=[0, 0, -PEG_LENGTH_M / 2],
        mass=0.02,
        rgba=[0.75, 0.75, 0.78, 1],
        **workcell.PART_MASK,
        **config.contact(),
    )
    board = workcell.add_board(spec, config, colour=(0.3, 0.32, 0.36, 1.0))
    walls = workcell.rectangle(PEG_SIZE_M, config, HOLE_DEPTH_M, WALL_M, CHAMFER_M)
    workcell.add_walls(board, walls, config)
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None. The goal is the peg's end on the hole's floor."""
    config = config or SceneConfig()
    return workcell.finish(specify(config), config, PEG_SIZE_M[1], (PEG_GEOM,))
