# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A push of the device moves the tool where the person means it to go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from serl_actor.intervention.device import Reading
from serl_actor.intervention.gamepad import Gamepad
from serl_actor.intervention.mapping import AxisMapping, LeaderMapping
from serl_actor.intervention.spacemouse import SpaceMouse
from serl_core.errors import ConfigError, SchemaError
from serl_core.types import Observation

MOUSE = SpaceMouse()
PAD = Gamepad()


def seen(
    X_BE: np.ndarray | None = None, target_offset: np.ndarray | None = None, episode: int = 0
) -> Observation:
    state = {"target_offset": np.zeros(6) if target_offset is None else target_offset}
    if X_BE is not None:
        state["tcp_pose"] = X_BE
    return Observation(episode, 0, 0.0, state)


def pose(position: object = (0.0, 0.0, 0.0), rotvec: object = (0.0, 0.0, 0.0)) -> np.ndarray:
    return np.concatenate([np.asarray(position, float), Rotation.from_rotvec(rotvec).as_quat()])


def push(*axes: float, buttons: tuple[bool, ...] = (False, False)) -> Reading:
    return Reading(0.0, np.array([*axes, *[0.0] * (6 - len(axes))]), buttons)


def pad(**pushed: float) -> Reading:
    axes = np.array([pushed.get(name, 0.0) for name in PAD.axis_names])
    return Reading(0.0, axes, tuple(bool(pushed.get(name)) for name in PAD.button_names))


def plain(**changes: object) -> AxisMapping:
    return AxisMapping(MOUSE, MOUSE.default_map, **{"dead_zone": 0.0, "frame": "tcp", **changes})


# Dead zone and curve.


@given(
    deflection=st.floats(-1.0, 1.0),
    zone=st.floats(0.0, 0.9),
    exponent=st.floats(0.2, 5.0),
    scale=st.floats(0.01, 1.0),
)
def test_the_curve_is_odd_bounded_and_zero_within_the_dead_zone(
    deflection: float, zone: float, exponent: float, scale: float
) -> None:
    mapping = plain(dead_zone=zone, exponent=exponent, scales=(scale, scale, scale))
    value = mapping.action(push(deflection), seen())[0]
    assert value == -mapping.action(push(-deflection), seen())[0]
    assert abs(value) <= scale * (1.0 + 1e-6)
    assert value * deflection >= 0.0
    if abs(deflection) <= zone:
        assert value == 0.0
    assert mapping.action(push(1.0), seen())[0] == pytest.approx(scale, rel=1e-6)


def test_the_edge_of_the_dead_zone_is_no_jump() -> None:
    mapping = plain(dead_zone=0.2)
    assert 0.0 < mapping.action(push(0.2001), seen())[0] < 2e-4


def test_a_larger_exponent_is_finer_near_rest() -> None:
    assert plain(exponent=3.0).action(push(0.5), seen())[0] == pytest.approx(0.125)


def test_scales_of_translation_rotation_and_gripper() -> None:
    mapping = AxisMapping(MOUSE, (*MOUSE.default_map, "right-left"), 0.0, 1.0, (0.5, 0.2, 1.0), "tcp")
    action = mapping.action(push(*[1.0] * 6, buttons=(True, False)), seen())
    np.testing.assert_allclose(action, [0.5] * 3 + [0.2] * 3 + [-1.0], rtol=1e-6)
    assert (mapping.size, action.dtype) == (7, np.float32)


# The axis map.


def test_signs_order_sums_and_nothing() -> None:
    mapping = AxisMapping(PAD, ("-left_y", "+left_x", "r2-l2", "0", "dpad_x", "south"), 0.0, frame="tcp")
    action = mapping.action(pad(left_y=-0.5, left_x=0.25, r2=0.9, l2=0.4, dpad_x=1.0, south=1.0), seen())
    np.testing.assert_allclose(action, [0.5, 0.25, 0.5, 0.0, 1.0, 1.0], rtol=1e-6)


def test_the_sum_of_axes_stays_an_action() -> None:
    mapping = AxisMapping(PAD, ("left_x+right_x",), 0.0, frame="tcp")
    assert mapping.action(pad(left_x=1.0, right_x=1.0), seen()) == [1.0]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("left_z", "did you mean"),
        ("", "no sum"),
        ("left_x*2", "no sum"),
        ("--left_x", "no sum"),
        ("1", "no axis"),
    ],
)
def test_a_wrong_entry_is_named(entry: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        AxisMapping(PAD, (entry,), frame="tcp")


def test_effort_is_that_of_the_axes_in_use() -> None:
    mapping = AxisMapping(PAD, ("left_x", "east-south"), 0.1, frame="tcp")
    assert mapping.effort(pad(right_x=1.0)) == 0.0
    assert mapping.effort(pad(left_x=0.09)) == 0.0
    assert mapping.effort(pad(left_x=-1.0)) == 1.0
    assert mapping.effort(pad(south=1.0)) == 1.0
    assert mapping.effort(pad(north=1.0, start=1.0)) == 0.0


# Frames.


@given(
    rotvec=st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    twist=st.tuples(*[st.floats(-0.5, 0.5)] * 6),
)
def test_a_push_along_a_base_axis_moves_the_tool_along_it(rotvec: tuple, twist: tuple) -> None:
    X_BE = pose((0.4, 0.1, 0.3), rotvec)
    action = plain(frame="base").action(push(*twist), seen(X_BE))
    R_BE = Rotation.from_quat(X_BE[3:])
    np.testing.assert_allclose(R_BE.apply(action[:3]), twist[:3], atol=1e-5)
    np.testing.assert_allclose(R_BE.apply(action[3:]), twist[3:], atol=1e-5)


def test_in_the_tool_frame_a_push_is_the_action() -> None:
    action = plain(frame="tcp").action(
        push(0.1, -0.2, 0.3, -0.4, 0.5, -0.6), seen(pose(rotvec=(3.0, 0.1, 0.2)))
    )
    np.testing.assert_allclose(action, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6], rtol=1e-6)


def test_up_is_up_for_a_tool_that_points_down() -> None:
    """The tool's z points down: pushing the device up must move along -z of the tool."""
    action = plain(frame="base").action(push(0.0, 0.0, 0.5), seen(pose(rotvec=(np.pi, 0.0, 0.0))))
    np.testing.assert_allclose(action[:3], [0.0, 0.0, -0.5], atol=1e-6)


def test_a_task_without_tcp_pose_is_told_to_use_the_tool_frame() -> None:
    with pytest.raises(ConfigError, match="set frame to tcp"):
        plain(frame="base").action(push(1.0), seen())
    with pytest.raises(ConfigError, match="set frame to tcp"):
        AxisMapping(MOUSE, ("x", "y"))
    with pytest.raises(SchemaError, match="tcp_pose"):
        plain(frame="base").action(push(1.0), seen(np.zeros(7)))


# Leader arm: run against an arm whose target does what the environment does with an action.

TRANSLATION, ROTATION = 0.01, 0.05


class FollowedArm:
    """Its tcp stays; its target moves by the actions, along its own axes."""

    def __init__(self) -> None:
        self.p_BE, self.R_BE = np.array([0.4, 0.0, 0.3]), Rotation.from_rotvec([np.pi - 0.2, 0.1, 0.3])
        self.p, self.R = self.p_BE.copy(), self.R_BE

    def observe(self, episode: int = 0) -> Observation:
        offset = np.concatenate(
            [self.R_BE.inv().apply(self.p - self.p_BE), (self.R_BE.inv() * self.R).as_rotvec()]
        )
        return seen(np.concatenate([self.p_BE, self.R_BE.as_quat()]), offset, episode)

    def step(self, action: np.ndarray) -> None:
        assert np.abs(action).max() <= 1.0
        self.p = self.p + self.R.apply(action[:3] * TRANSLATION)
        self.R = self.R * Rotation.from_rotvec(action[3:] * ROTATION)


def leader(position: object, rotvec: object = (0.0, 0.0, 0.0), stamp: float = 0.0) -> Reading:
    return Reading(stamp, np.concatenate([np.asarray(position, float), np.asarray(rotvec, float)]), (False,))


def test_taking_over_is_no_jump_wherever_the_leader_is() -> None:
    mapping = LeaderMapping(TRANSLATION, ROTATION)
    action = mapping.action(
        leader((5.0, -3.0, 1.0), (0.0, 2.0, 0.0)), FollowedArm().observe(), taken_over=True
    )
    np.testing.assert_allclose(action, 0.0, atol=1e-6)


@pytest.mark.parametrize("delay", [0, 1])
def test_the_arm_goes_where_the_leader_went_along_the_axes_of_the_bases(delay: int) -> None:
    arm, mapping = FollowedArm(), LeaderMapping(TRANSLATION, ROTATION, motion_scale=0.5)
    R_L0, turn = Rotation.from_rotvec([0.4, 0.0, 0.0]), Rotation.from_rotvec([0.0, 0.0, 0.2])
    p0, R0 = arm.p, arm.R
    mapping.action(leader((1.0, 1.0, 1.0), R_L0.as_rotvec()), arm.observe(), True)
    wish = leader((1.06, 1.0, 0.98), (turn * R_L0).as_rotvec())
    pending = [np.zeros(6)] * delay
    for _ in range(60):
        pending.append(mapping.action(wish, arm.observe(), False))
        arm.step(pending.pop(0))
    np.testing.assert_allclose(arm.p - p0, [0.03, 0.0, -0.01], atol=1e-5)
    assert (arm.R * (turn * R0).inv()).magnitude() < 1e-4


def test_along_the_axes_of_the_tools() -> None:
    arm, mapping = FollowedArm(), LeaderMapping(TRANSLATION, ROTATION, frame="tcp")
    R_L0 = Rotation.from_rotvec([0.0, np.pi / 2, 0.0])
    p0, R0 = arm.p, arm.R
    mapping.action(leader((0.0, 0.0, 0.0), R_L0.as_rotvec()), arm.observe(), True)
    forward = R_L0.apply([0.0, 0.0, 0.02])  # 2 cm out of the leader's tool
    for _ in range(60):
        arm.step(mapping.action(leader(forward, R_L0.as_rotvec()), arm.observe(), False))
    np.testing.assert_allclose(arm.p, p0 + R0.apply([0.0, 0.0, 0.02]), atol=1e-5)


def test_lost_words_displace_nothing() -> None:
    arm, mapping = FollowedArm(), LeaderMapping(TRANSLATION, ROTATION)
    p0 = arm.p
    mapping.action(leader((0.0, 0.0, 0.0)), arm.observe(), True)
    for step in range(60):
        action = mapping.action(leader((0.03 * min(1.0, step / 20), 0.0, 0.0)), arm.observe(), False)
        if step % 3:
            arm.step(action)
    np.testing.assert_allclose(arm.p - p0, [0.03, 0.0, 0.0], atol=1e-4)


def test_a_leaders_effort_is_its_speed() -> None:
    mapping = LeaderMapping(TRANSLATION, ROTATION)
    assert mapping.effort(leader((1.0, 2.0, 3.0), stamp=0.0)) == 0.0
    efforts = [
        mapping.effort(leader((1.0 + 0.05 * t, 2.0, 3.0), stamp=t)) for t in np.arange(0.02, 0.5, 0.02)
    ]
    assert efforts[-1] == pytest.approx(0.5, rel=1e-6), "half of the speed that counts as full"
    assert mapping.effort(leader((1.024, 2.0, 3.0), stamp=1.0)) == 0.0, "long since, and at rest"
    assert mapping.effort(leader((1.024, 2.0, 3.0), (0.0, 0.0, 0.9), stamp=1.1)) == 1.0


def test_a_leader_needs_to_see_the_target() -> None:
    with pytest.raises(ConfigError, match="target_offset"):
        blind = Observation(0, 0, 0.0, {"tcp_pose": pose()})
        LeaderMapping(TRANSLATION, ROTATION).action(leader((0, 0, 0)), blind, True)
