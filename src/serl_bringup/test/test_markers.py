# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What is drawn is where it is, and a controller that holds is seen to."""

from typing import Any

import numpy as np

from serl_bringup import markers
from serl_core.types import ControllerState, EpisodeSummary


def state(**changes: Any) -> ControllerState:
    poses = {name: np.array([0.1 * i, 0.2, 0.3, 1.0, 0, 0, 0])
             for i, name in enumerate(("measured", "commanded", "smoothed", "clipped"))}  # fmt: skip
    sixes = {name: np.zeros(6) for name in ("twist", "error", "wrench", "external_wrench")}
    joints = {"joint_position": np.zeros(7), "joint_torque": np.zeros(7)}
    return ControllerState(stamp=0.0, frame_id="base", **{**poses, **sixes, **joints, **changes})


def test_each_target_is_drawn_once_where_it_is() -> None:
    shapes = markers.of_controller(state())
    assert len({(s.group, s.number) for s in shapes}) == len(shapes) == 6
    spheres = [s for s in shapes if s.kind == "sphere"]
    assert [s.position[0] for s in spheres] == [0.1, 0.2, np.float64(0.1) * 3]
    assert len({s.colour for s in spheres}) == 3


def test_a_hold_colours_the_commanded_target() -> None:
    commanded = markers.of_controller(state(hold=7))[0]
    assert commanded.colour == markers.HELD
    assert markers.of_controller(state())[0].colour != markers.HELD


def test_a_force_is_an_arrow_from_the_tool_and_an_unknown_one_is_nothing() -> None:
    (arrow,) = [s for s in markers.of_controller(state(external_wrench=np.array([0, 0, 20.0, 0, 0, 0])))
                if s.kind == "arrow"]  # fmt: skip
    np.testing.assert_allclose(arrow.size, [0, 0, 20 * markers.METRES_PER_NEWTON])
    for wrench in (np.full(6, np.nan), np.array([0.1, 0, 0, 0, 0, 0])):
        assert all(s.kind != "arrow" for s in markers.of_controller(state(external_wrench=wrench)))


def test_the_box_is_around_the_goal() -> None:
    goal, box = markers.of_task((0.5, 0.0, 0.05), (-0.06, -0.06, -0.002), (0.06, 0.06, 0.1))
    assert goal.position == (0.5, 0.0, 0.05)
    np.testing.assert_allclose(np.array(box.position) - np.array(box.size) / 2, [0.44, -0.06, 0.048])
    np.testing.assert_allclose(np.array(box.position) + np.array(box.size) / 2, [0.56, 0.06, 0.15])
    assert markers.of_task((), (), ()) == []
    assert len(markers.of_task((0.5, 0.0, 0.05), (), ())) == 1


def test_the_text_tells_the_last_episode_and_all() -> None:
    episode = EpisodeSummary("t", "e", 4, 0.0, 30, 1.0, True, 3.2, 0, 0, 0, 21.0, 88, "success")
    text = markers.of_episodes(episode, 3, 5, (0.0, 0.0, 0.0)).text
    assert text == "episode 4: success, 3.2 s, 21 N\n3 of 5 succeeded, policy 88"
