# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Insert a connector into a socket on a printed circuit board (paper V, "PCB board insertion")."""

from __future__ import annotations

import mujoco

from serl_sim.scenes import workcell
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig

PLUG_SIZE_M = (0.012, 0.004)  # cross section along x and y of the tcp frame
PLUG_LENGTH_M = 0.012
SOCKET_DEPTH_M = 0.010
CHAMFER_M = 0.001
WALL_M = 0.006  # thickness of the socket's walls at their foot
HOUSING_SIZE_M = (0.016, 0.008, 0.014)
PLUG_GEOM = "plug"


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("pcb_insertion", config)
    _add_connector(hand, config)
    board = workcell.add_board(
        spec,
        config,
        components=(
            (0.045, 0.03, 0.012, 0.012, 0.002, workcell.BLACK),
            (-0.05, -0.035, 0.015, 0.008, 0.002, workcell.BLACK),
            (-0.045, 0.035, 0.005, 0.005, 0.006, (0.6, 0.6, 0.65, 1)),
            (0.05, -0.035, 0.004, 0.012, 0.004, (0.75, 0.7, 0.6, 1)),
        ),
    )
    walls = workcell.rectangle(PLUG_SIZE_M, config, SOCKET_DEPTH_M, WALL_M, CHAMFER_M)
    workcell.add_walls(board, walls, config)
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None. The goal is the tip's centre on the socket's floor."""
    config = config or SceneConfig()
    return workcell.finish(specify(config), config, HOUSING_SIZE_M[1], (PLUG_GEOM,))


def _add_connector(hand: mujoco.MjsBody, config: SceneConfig) -> None:
    """The connector, welded into the closed gripper; the tcp E is its tip's centre."""
    connector = workcell.add_held_part(
        hand, "connector", HOUSING_SIZE_M[1], finger_tip_z=TCP_IN_HAND_M - PLUG_LENGTH_M - 0.004
    )
    connector.add_geom(
        name="housing",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5 * side for side in HOUSING_SIZE_M],
        pos=[0, 0, -PLUG_LENGTH_M - HOUSING_SIZE_M[2] / 2],
        mass=0.01,
        rgba=[0.1, 0.1, 0.12, 1],
        **workcell.NO_CONTACT,
    )
    connector.add_geom(
        name=PLUG_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PLUG_SIZE_M[0] / 2, PLUG_SIZE_M[1] / 2, PLUG_LENGTH_M / 2],
        pos=[0, 0, -PLUG_LENGTH_M / 2],
        mass=0.005,
        rgba=[0.95, 0.75, 0.2, 1],
        **workcell.PART_MASK,
        **config.contact(),
    )
