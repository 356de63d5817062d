# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The simulated scene of my_task, and the scripted expert that demonstrates it.

To change: the numbers just below; then the shapes in `specify`. Frames: E is the tcp, at the tip of the part, z out of
the tool; S is the place where the part belongs, its origin on the board's upper face, z up.
"""

from __future__ import annotations

import mujoco

from serl_sim.experts import InsertionExpert
from serl_sim.scenes import workcell
from serl_sim.scenes.scene import Scene
from serl_sim.scenes.workcell import TCP_IN_HAND_M, SceneConfig

PART_SIZE_M = (0.012, 0.008)  # cross section along x and y of the tcp frame; the fingers close along y
PART_LENGTH_M = 0.030
DEPTH_M = 0.010  # how deep the part goes in: height of the walls round the opening
CHAMFER_M = 0.001  # width and height of the lead-in at the opening's rim
WALL_M = 0.006  # thickness of the walls at their foot
PART_GEOM = "part"


def specify(config: SceneConfig | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo's compiler; `config` as in `build`."""
    config = config or SceneConfig()
    spec, hand = workcell.begin("my_task", config)  # arm, wrist cameras, table, light

    # The part, rigid in the closed gripper. Add geoms for its real shape: boxes meet walls most steadily, and thinner
    # than 2 mm they may be pushed through one. What is only seen takes **workcell.NO_CONTACT.
    part = workcell.add_held_part(
        hand, "part", PART_SIZE_M[1], finger_tip_z=TCP_IN_HAND_M - PART_LENGTH_M + 0.012
    )
    part.add_geom(
        name=PART_GEOM,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PART_SIZE_M[0] / 2, PART_SIZE_M[1] / 2, PART_LENGTH_M / 2],
        pos=[0, 0, -PART_LENGTH_M / 2],
        mass=0.02,
        rgba=[0.2, 0.45, 0.75, 1],
        **workcell.PART_MASK,
        **config.contact(),
    )

    # What it goes into. `config` says where that is and how wide the opening is (clearance_m of env.yaml).
    board = workcell.add_board(
        spec,
        config,
        colour=(0.25, 0.27, 0.3, 1.0),
        # What is only seen, to tell the board's sides apart: x, y, half sizes in x and y, height [m], colour.
        components=((0.045, 0.03, 0.012, 0.012, 0.004, workcell.BLACK),),
    )
    walls = workcell.rectangle(PART_SIZE_M, config, DEPTH_M, WALL_M, CHAMFER_M)
    workcell.add_walls(board, walls, config)
    return spec


def build(config: SceneConfig | None = None) -> Scene:
    """Compile the scene; `config` the defaults if None. The goal is the part's tip on the opening's floor.

    Another goal is `goal_in_socket=(x, y, z)` [m] in S. The last argument here names the geoms whose contacts make the
    measured force.
    """
    config = config or SceneConfig()
    return workcell.finish(specify(config), config, PART_SIZE_M[1], (PART_GEOM,))


class Expert(InsertionExpert):
    """Stands in for the person who gives demonstrations: hovers, aligns, descends, wiggles where it is stuck.

    For a task that goes otherwise override `reset` and `act(observation)`, which returns a normalised twist in the tcp
    frame, shape (6,), each axis in [-1, 1]; any class will do that is built as `Expert(seed=0)` and has these two.
    """

    HOVER_M = DEPTH_M + 0.005  # height of the tip over the goal while it aligns: above the opening's rim
    ALIGNED_M = 0.0015  # sideways error that it takes for aligned
    LEAN_M = 0.004  # how far beyond the goal it pushes the target: how hard it leans, over the stiffness
