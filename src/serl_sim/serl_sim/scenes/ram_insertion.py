# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Insert a memory module into its slot on a motherboard (HIL-SERL, Section 4.1 and supplement A.1)."""

from __future__ import annotations

import mujoco

from serl_sim.scenes import workcell
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig

# A SO-DIMM's length and slot depth; its edge is 1.0 mm in the standard and 2 mm here, for at 1 kHz a body so thin
# would pass through a wall that it is pushed against with some hundred newtons.
MODULE_SIZE_M = (0.0676, 0.002)  # along x and y of the tcp frame
MODULE_HEIGHT_M = 0.030
SLOT_DEPTH_M = 0.006
CHAMFER_M = 0.0008
WALL_M = 0.003
MODULE_GEOM = "module"


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("ram_insertion", config)
    module = workcell.add_held_part(
        hand, "module", MODULE_SIZE_M[1], finger_tip_z=TCP_IN_HAND_M - MODULE_HEIGHT_M / 2
    )
    module.add_geom(
        name=MODULE_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[MODULE_SIZE_M[0] / 2, MODULE_SIZE_M[1] / 2, MODULE_HEIGHT_M / 2],
        pos=[0, 0, -MODULE_HEIGHT_M / 2],
        mass=0.01,
        rgba=[0.1, 0.45, 0.2, 1],
        **workcell.PART_MASK,
        **config.contact(),
    )
    for number in range(4):
        module.add_geom(
            name=f"chip{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.006, MODULE_SIZE_M[1] / 2 + 0.0006, 0.005],
            pos=[0.015 * number - 0.0225, 0, -MODULE_HEIGHT_M / 2],
            mass=0.0005,
            rgba=workcell.BLACK,
            **workcell.NO_CONTACT,
        )
    board = workcell.add_board(
        spec,
        config,
        colour=(0.08, 0.12, 0.25, 1.0),
        components=(
            (
                0.0,
                0.02,
                0.036,
                0.003,
                0.006,
                (0.15, 0.15, 0.16, 1),
            ),  # the neighbouring slot, which is not the goal
            (-0.055, -0.035, 0.014, 0.014, 0.003, workcell.BLACK),
            (0.05, -0.04, 0.006, 0.006, 0.012, (0.6, 0.6, 0.65, 1)),
        ),
    )
    walls = workcell.rectangle(MODULE_SIZE_M, config, SLOT_DEPTH_M, WALL_M, CHAMFER_M)
    workcell.add_walls(board, walls, config, colour=(0.75, 0.75, 0.72, 1))
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None. The goal is the module's edge on the slot's floor."""
    config = config or SceneConfig()
    return workcell.finish(specify(config), config, MODULE_SIZE_M[1], (MODULE_GEOM,))
