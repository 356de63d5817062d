# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Who has the arm: taken over at once, handed back without a jump, held while a device is away."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.device import DeviceLost, Reading, Reconnecting
from serl_actor.intervention.factory import leader_chain, make_teleoperation, source
from serl_actor.intervention.mapping import AxisMapping
from serl_actor.intervention.takeover import Takeover
from serl_actor.intervention.teleoperation import Hand, Teleoperation
from serl_core.errors import ConfigError, SchemaError
from serl_core.specs import EnvSpec
from serl_core.testing.fakes import fake_spec
from serl_core.types import Observation

HOLD_S = 0.3


def seen(episode: int = 0, step: int = 0) -> Observation:
    X_BE = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])  # the tool points down
    return Observation(episode, step, 0.1 * step, {"tcp_pose": X_BE})


class Stick:
    """A device under the test's control, with two axes."""

    name = "stick"
    axis_names = ("x", "y")
    button_names = ("clutch",)
    default_map = ("x", "y", "0", "0", "0", "0")
    default_clutch = "clutch"

    def __init__(self) -> None:
        self.axes = [0.0, 0.0]
        self.clutch = False
        self.plugged = True

    def open(self) -> None:
        if not self.plugged:
            raise DeviceLost("stick: not there")

    def read(self, now: float) -> Reading:
        if not self.plugged:
            raise DeviceLost("stick: unplugged")
        return Reading(now, np.array(self.axes), (self.clutch,))

    def close(self) -> None:
        pass


def hand(stick: Stick, mode: str = "either", retry_s: float = 0.1) -> Hand:
    mapping = AxisMapping(stick, stick.default_map, dead_zone=0.05, frame="base")
    return Hand(Reconnecting(stick, retry_s), mapping, Takeover(mode, 0.15, 0.05, HOLD_S))


def person(*sticks: Stick, **options: object) -> Teleoperation:
    return Teleoperation(tuple(hand(stick, **options) for stick in sticks), "anna")


# Take-over.


@pytest.mark.parametrize(
    ("mode", "clutch", "effort", "expected"),
    [
        ("clutch", True, 0.0, True),
        ("clutch", False, 1.0, False),
        ("motion", True, 0.0, False),
        ("motion", False, 0.2, True),
        ("motion", False, 0.19, False),
        ("either", True, 0.0, True),
        ("either", False, 0.2, True),
        ("either", False, 0.0, False),
    ],
)
def test_what_takes_over(mode: str, clutch: bool, effort: float, expected: bool) -> None:
    assert Takeover(mode, 0.2, 0.1, HOLD_S).update(clutch, effort, 0.0) is expected


def test_hysteresis_and_hold() -> None:
    takeover = Takeover("motion", engage=0.2, release=0.1, hold_seconds=HOLD_S)
    assert not takeover.update(False, 0.15, 0.0), "not enough to take over"
    assert takeover.update(False, 0.20, 1.0)
    assert takeover.update(False, 0.15, 2.0), "enough to keep"
    assert takeover.update(False, 0.05, 2.1)
    assert takeover.update(False, 0.00, 2.29), "a pause within the hold time"
    assert takeover.update(False, 0.15, 2.29)
    assert takeover.update(False, 0.00, 2.58), "counted from the last wish"
    assert not takeover.update(False, 0.00, 2.60)
    assert not takeover.update(False, 0.15, 2.61), "taking over needs the higher threshold again"


def test_noise_around_a_threshold_does_not_chatter() -> None:
    rng = np.random.default_rng(0)
    takeover = Takeover("motion", 0.2, 0.1, 0.0)
    states = [takeover.update(False, 0.15 + rng.uniform(-0.04, 0.09), 0.02 * n) for n in range(500)]
    assert sum(now != before for before, now in pairwise(states)) <= 1


def test_no_hold_time_hands_back_at_once() -> None:
    takeover = Takeover("clutch", 0.2, 0.1, 0.0)
    assert takeover.update(True, 0.0, 0.0)
    assert not takeover.update(False, 0.0, 0.0)


def test_a_release_above_engage_is_refused() -> None:
    with pytest.raises(ConfigError, match="chatter"):
        Takeover("either", 0.1, 0.2, 0.0)


# A hand on its device.


def test_a_push_is_a_word_on_the_very_next_observation_in_the_policys_frame() -> None:
    stick = Stick()
    anna = person(stick)
    assert not anna.word(seen(3, 7), 0.0).active
    stick.axes = [0.0, 1.0]
    word = anna.word(seen(3, 8), 0.1)
    assert (word.device, word.episode_id, word.step, word.active) == ("anna", 3, 8, True)
    np.testing.assert_allclose(
        word.data, [0.0, -1.0, 0.0, 0.0, 0.0, 0.0], atol=1e-6
    )  # y of a tool turned over


def test_letting_go_rests_the_target_first_and_then_hands_back() -> None:
    stick = Stick()
    anna = person(stick)
    stick.axes = [1.0, 0.0]
    anna.word(seen(), 0.0)
    stick.axes = [0.0, 0.0]
    resting = anna.word(seen(step=1), 0.1)
    assert resting.active and not resting.data.any() and resting.data.size == 6
    assert not anna.word(seen(step=4), 0.4).active


def test_releasing_the_clutch_stops_the_arm_at_once() -> None:
    stick = Stick()
    anna = person(stick, mode="clutch")
    stick.axes, stick.clutch = [1.0, 0.0], True
    assert anna.word(seen(), 0.0).data[0] == pytest.approx(1.0)
    stick.clutch = False
    held = anna.word(seen(step=1), 0.1)
    assert held.active and not held.data.any(), "the stick is still pushed, but nobody asks for motion"
    stick.clutch = True
    assert anna.word(seen(step=2), 0.2).data[0] == pytest.approx(1.0)


@settings(deadline=None)
@given(
    mode=st.sampled_from(("clutch", "motion", "either")),
    script=st.lists(
        st.tuples(st.booleans(), st.sampled_from((0.0, 0.08, 0.15, 0.3, 1.0)), st.sampled_from((0.02, 0.2))),
        max_size=30,
    ),
)
def test_no_action_without_a_wish(mode: str, script: list[tuple[bool, float, float]]) -> None:
    """Whatever a person does: the arm moves by readings that ask for it, and by no others."""
    stick, now = Stick(), 0.0
    own = hand(stick, mode)
    anna = Teleoperation((own,), "anna")
    for step, (clutch, push, seconds) in enumerate(script):
        now += seconds
        stick.clutch, stick.axes = clutch, [push, 0.0]
        was_active, word = own.takeover.engaged, anna.word(seen(step=step), now)
        effort = own.mapping.effort(own.reading)
        pushed = effort >= (0.05 if was_active else 0.15)
        wish = (clutch and mode != "motion") or (pushed and mode != "clutch")
        assert word.active or not wish
        assert bool(word.data.any()) == (wish and push > 0.05)


def test_a_drifting_stick_within_the_dead_zone_never_takes_over() -> None:
    stick = Stick()
    anna = person(stick)
    stick.axes = [0.049, -0.049]
    assert not any(anna.word(seen(step=n), 0.1 * n).active for n in range(50))


def test_an_unplugged_device_holds_the_arm_until_it_is_back() -> None:
    stick = Stick()
    anna = person(stick)
    stick.axes = [1.0, 0.0]
    assert anna.word(seen(), 0.0).data.size == 6
    stick.plugged = False
    for step in range(1, 200):
        word = anna.word(seen(step=step), 0.1 * step)
        assert word.active and word.data.size == 0 and anna.holding
    assert anna.lost == {"device_0": "stick: not there"}
    stick.plugged, stick.axes = True, [0.0, 0.0]
    back = anna.word(seen(step=200), 20.1)
    assert back.active and back.data.size == 6 and not back.data.any(), "they have the hold time to go on"
    assert not anna.holding and not anna.lost
    stick.axes = [0.0, -1.0]
    assert anna.word(seen(step=202), 20.3).data[1] == pytest.approx(1.0)
    stick.axes = [0.0, 0.0]
    assert not anna.word(seen(step=206), 20.7).active


def test_a_device_unplugged_at_rest_leaves_the_policy_at_work() -> None:
    stick = Stick()
    anna = person(stick)
    anna.word(seen(), 0.0)
    stick.plugged = False
    word = anna.word(seen(step=1), 0.1)
    assert not word.active and not anna.holding and anna.lost


def test_what_a_lost_hold_comes_to_in_the_environment() -> None:
    """The spec that environments check interventions with has no action of no size: it becomes a hold."""
    spec: EnvSpec = fake_spec()
    stick = Stick()
    anna = person(stick)
    stick.clutch = True
    anna.word(seen(), 0.0)
    stick.plugged = False
    with pytest.raises(SchemaError):
        spec.check_action(anna.word(seen(), 0.1).data)


def test_letting_go_hands_back_without_the_hold_time() -> None:
    stick = Stick()
    anna = person(stick)
    stick.clutch = True
    assert anna.word(seen(), 0.0).active
    said = anna.let_go(seen(2, 5))
    assert (said.device, said.episode_id, said.step, said.active) == ("anna", 2, 5, False)
    stick.clutch = False
    assert not anna.word(seen(), 0.01).active


def test_a_clutch_that_the_device_lacks_is_named() -> None:
    stick = Stick()
    mapping = AxisMapping(stick, stick.default_map)
    with pytest.raises(ConfigError, match="clutch_button"):
        Hand(Reconnecting(stick, 1.0), mapping, Takeover("either", 0.2, 0.1, 0.1), "trigger")


# Two arms.


def test_two_devices_make_one_action_and_the_idle_arm_rests() -> None:
    left, right = Stick(), Stick()
    anna = person(left, right)
    right.axes = [0.0, 1.0]
    word = anna.word(seen(), 0.0)
    assert anna.size == word.data.size == 12
    assert word.data[7] == pytest.approx(-1.0) and not np.delete(word.data, 7).any()


def test_one_hand_lost_in_its_intervention_holds_both_arms() -> None:
    left, right = Stick(), Stick()
    anna = person(left, right)
    left.axes = right.axes = [1.0, 0.0]
    assert anna.word(seen(), 0.0).data.size == 12
    left.plugged = False
    assert anna.word(seen(), 0.1).data.size == 0 and anna.holding
    left.plugged = True
    assert anna.word(seen(), 0.3).data.size == 12


def test_an_idle_device_that_goes_away_does_not_stop_the_other() -> None:
    left, right = Stick(), Stick()
    anna = person(left, right)
    right.axes = [1.0, 0.0]
    left.plugged = False
    word = anna.word(seen(), 0.0)
    assert word.active and word.data.size == 12 and not anna.holding


# A leader arm: its motion counts from the take-over, the replug and the reset.


def guided() -> tuple[Teleoperation, object]:
    config = InterventionConfig(devices=("leader_pose",), takeover="clutch", label="anna")
    anna = make_teleoperation(config)
    return anna, anna.hands[0].device.device


def placed(episode: int = 0) -> Observation:
    state = {"tcp_pose": np.array([0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0]), "target_offset": np.zeros(6)}
    return Observation(episode, 0, 0.0, state)


def at(x: float) -> np.ndarray:
    return np.array([x, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def test_a_leaders_motion_counts_from_where_it_was_last_taken_up() -> None:
    anna, arm = guided()
    arm.put_clutch(True)
    arm.put(at(0.0), 0.0)
    assert not anna.word(placed(), 0.0).data.any()
    arm.put(at(0.005), 0.1)
    assert anna.word(placed(), 0.1).data[0] == pytest.approx(0.25)
    assert not anna.word(placed(episode=1), 0.2).data.any(), "a reset moved the arm"
    assert anna.word(placed(episode=1), 3.0).data.size == 0, "its stream fell silent"
    arm.put(at(0.5), 5.0)
    assert not anna.word(placed(episode=1), 5.0).data.any(), "moved while it could not be heard"
    arm.put_clutch(False)
    arm.put(at(0.6), 6.0)
    assert not anna.word(placed(episode=1), 6.0).active
    arm.put_clutch(True)
    arm.put(at(0.9), 6.1)
    assert not anna.word(placed(episode=1), 6.1).data.any(), "taken up again elsewhere"


def test_a_leader_set_back_within_the_hold_time_takes_the_arm_along_no_more() -> None:
    anna, arm = guided()
    arm.put_clutch(True)
    for now, x in ((0.0, 0.0), (0.1, 0.005)):
        arm.put(at(x), now)
        moved = anna.word(placed(), now)
    assert moved.data[0] == pytest.approx(0.25)
    arm.put_clutch(False)
    arm.put(at(-0.01), 0.2)
    set_back = anna.word(placed(), 0.2)
    assert set_back.active and not set_back.data.any()
    arm.put_clutch(True)
    assert not anna.word(placed(), 0.3).data.any(), "taken up where it is now"
    arm.put(at(-0.005), 0.4)
    assert anna.word(placed(), 0.4).data[0] == pytest.approx(0.25), "and followed from there"


# Parameters.


def test_a_person_is_built_from_parameters() -> None:
    config = InterventionConfig(
        devices=("spacenav", "joy"), sources=("left/joy", ""), gripper="", frame="tcp"
    )
    anna = make_teleoperation(config)
    assert (anna.label, anna.size) == ("spacenav+joy", 12)
    assert [source(config, index) for index in (0, 1)] == ["left/joy", "joy"]
    assert make_teleoperation(InterventionConfig(devices=("gamepad",), gripper="east-south")).size == 7


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"devices": ()}, "at least one"),
        ({"devices": ("joy", "joy"), "sources": ("a",)}, "one for each of the 2 devices"),
        ({"tcp_pose_keys": ("a", "b")}, "tcp_pose_keys"),
        ({"engage": 0.1, "release": 0.5}, "chatter"),
        ({"axis_map": ("x", "y")}, "set frame to tcp"),
        ({"axis_map": ("left_x",) * 6}, "spacemouse has no axis 'left_x'"),
        ({"clutch_button": "r1"}, "clutch_button"),
        ({"devices": ("leader_pose",), "gripper": "clutch"}, "leave axis_map and gripper empty"),
    ],
)
def test_parameters_that_do_not_fit_each_other_are_named(settings: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        make_teleoperation(InterventionConfig(**settings))
    assert "\n" not in str(raised.value)


def test_a_leader_without_its_urdf_is_named(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="set leader_urdf"):
        leader_chain(InterventionConfig())
    with pytest.raises(ConfigError, match="No such file"):
        leader_chain(InterventionConfig(leader_urdf=f"{tmp_path}/none.urdf"))
