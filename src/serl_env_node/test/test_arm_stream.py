# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Waiting goes by the controller's stamps, at any speed; a controller that cannot be relied on is a fault."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from arm_cases import CYCLE, HOME, state_at
from scipy.spatial.transform import Rotation
from serl_msgs.msg import ControllerState as Message

from serl_core.errors import SerlError
from serl_env_node.arm_stream import HOLDS, LATE, SETTLE_SECONDS, ArmStream, Halted, minimum_jerk
from serl_env_node.frames import Pose

HERE = Pose.from_arrays(HOME[:3], HOME[3:])


class Controller:
    """Answers each target with `cycles` states; `hold(stamp)` says what they report."""

    def __init__(self, cycles: int = 2, **changes: Any) -> None:
        self.sent: list[tuple[float, Pose]] = []
        self.time, self.wall, self.cycles = 0.0, 0.0, cycles
        self.changes = changes
        self.hold = lambda stamp: 0
        self.stream = ArmStream(self.send, 2 * CYCLE, 0.5, "base", now=lambda: self.wall)
        self.put()

    def put(self, **changes: Any) -> None:
        values = {"hold": self.hold(self.time), **self.changes, **changes}
        self.stream.put(state_at(self.time, **values))

    def send(self, X_BT: Pose, stamp: float) -> None:
        self.sent.append((stamp, X_BT))
        self.wall += 0.02
        for _ in range(self.cycles):
            self.time += CYCLE
            self.put()


def test_follow_ends_with_the_first_state_at_its_time_and_repeats_the_target_as_a_heartbeat() -> None:
    controller = Controller()
    controller.stream.follow(lambda _: HERE, 0.1)
    assert controller.stream.latest().stamp == pytest.approx(0.1)
    assert [stamp for stamp, _ in controller.sent] == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08])
    assert controller.stream.fault == ""


def test_targets_are_stamped_with_the_controllers_clock_and_follow_the_path() -> None:
    controller = Controller()
    goal = Pose(HERE.position + np.array([0.1, 0.0, 0.0]), HERE.rotation)
    controller.stream.follow(minimum_jerk(HERE, goal, 0.0, 0.2), 0.2)
    for stamp, X_BT in controller.sent:
        np.testing.assert_allclose(X_BT.position, minimum_jerk(HERE, goal, 0.0, 0.2)(stamp).position)


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_follow_waits_at_any_speed_of_the_controllers_clock(speed: float) -> None:
    ended = threading.Event()
    stream = ArmStream(lambda X_BT, stamp: None, 0.02, 5.0, "base")
    stream.put(state_at(0.0))

    def run() -> None:
        stamp = 0.0
        while not ended.wait(CYCLE / speed):
            stamp += CYCLE
            stream.put(state_at(stamp))

    thread = threading.Thread(target=run)
    thread.start()
    began = stream.latest(5.0).stamp
    stream.follow(lambda _: HERE, began + 0.3)
    ended.set()
    thread.join()
    assert stream.latest().stamp >= began + 0.3
    assert stream.fault == ""


def test_silence_is_a_fault_after_the_time_out_and_not_before() -> None:
    controller = Controller(cycles=0)
    controller.stream._await = lambda stamp: None  # its wall clock is that of the fake
    controller.stream.follow(lambda _: HERE, 1.0)
    assert "no state from the controller for 0.5" in controller.stream.fault
    assert 0.5 / 0.02 <= len(controller.sent) <= 0.5 / 0.02 + 2


def test_a_hold_left_over_from_a_pause_is_forgiven_and_one_that_stays_is_not() -> None:
    controller = Controller()
    controller.hold = lambda stamp: 2 if stamp < 0.06 else 0
    controller.stream.follow(lambda _: HERE, 0.1)
    assert controller.stream.fault == ""
    controller.hold = lambda stamp: 2
    controller.stream.follow(lambda _: HERE, 10.0)
    assert "its targets stopped coming" in controller.stream.fault
    assert (
        controller.stream.latest().stamp < 0.1 + SETTLE_SECONDS + 0.1
    )  # given up early, not after ten seconds


def test_one_late_target_among_others_is_forgiven_even_at_the_end_of_a_step() -> None:
    controller = Controller()
    controller.hold = lambda stamp: 6 if stamp > 0.085 else 0
    controller.stream.follow(lambda _: HERE, 0.1)
    controller.hold = lambda stamp: 0
    controller.stream.follow(lambda _: HERE, 0.2)
    assert controller.stream.fault == ""


def test_steps_that_are_late_one_after_the_other_are_not() -> None:
    controller = Controller(hold=6)
    for step in range(1, 5):
        controller.stream.follow(lambda _: HERE, 0.1 * step)
    assert controller.stream.fault == f"the controller holds: {HOLDS[6]}"


@pytest.mark.parametrize("hold", sorted(set(HOLDS) - LATE))
def test_a_wrong_target_is_a_fault_at_the_end_of_its_step(hold: int) -> None:
    controller = Controller(hold=hold)
    controller.stream.follow(lambda _: HERE, 0.1)
    assert controller.stream.fault == f"the controller holds: {HOLDS[hold]}"


def test_the_reasons_are_those_of_the_message() -> None:
    codes = {getattr(Message, name) for name in dir(Message) if name.startswith("HOLD_")}
    assert codes == {Message.HOLD_NONE, *HOLDS}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frame_id": "world"}, "base is 'world', expected 'base'"),
        ({"measured": np.array([np.nan, 0, 0, 0, 0, 0, 1.0])}, "not finite"),
        ({"twist": np.full(6, np.inf)}, "not finite"),
    ],
)
def test_a_state_that_cannot_be_used_is_a_fault(changes: dict, told: str) -> None:
    controller = Controller()
    controller.put(**changes)
    controller.stream.follow(lambda _: HERE, 1.0)
    assert told in controller.stream.fault
    assert len(controller.sent) == 0  # nothing is commanded to it


def test_a_clock_that_goes_back_is_a_fault() -> None:
    controller = Controller()
    controller.time = 5.0
    controller.put()
    controller.time = 0.0
    controller.put()
    assert "clock went back" in controller.stream.check()
    controller.stream.forget()
    controller.put()
    assert controller.stream.check() == ""


def test_the_peak_force_is_gathered_until_it_is_taken() -> None:
    controller = Controller()
    for force in (3.0, 40.0, 5.0, float("nan")):
        controller.put(peak_force=force)
    assert [controller.stream.peak(take=False), controller.stream.peak(take=True)] == [40.0, 40.0]
    assert controller.stream.peak(take=True) == 0.0
    controller.stream.put_wrench(np.array([0.0, -6.0, 8.0, 0, 0, 0]))
    controller.stream.put_wrench(np.zeros(6))
    assert controller.stream.peak(take=True) == pytest.approx(10.0)


def test_wrenches_that_stop_are_a_fault_after_the_time_out_and_not_before() -> None:
    controller = Controller()
    controller.stream.put_wrench(np.full(6, 1.0))
    controller.stream.follow(lambda _: HERE, 0.4)
    assert controller.stream.fault == ""  # 0.4 s of the wall clock went by
    controller.stream.put_wrench(np.full(6, 1.0))
    controller.stream.follow(lambda _: HERE, 10.0)
    assert "no external wrench for 0.5" in controller.stream.fault
    assert controller.stream.latest().stamp < 1.1  # the motion was given up, not gone on with
    controller.stream.put_wrench(np.full(6, 1.0))
    assert controller.stream.check()  # what was missed is not known: a fault until it is forgotten
    controller.stream.forget()
    controller.wall += 10.0
    controller.put()
    assert controller.stream.check() == ""  # whether one must come at all is for the arm to say


def test_the_log_has_each_state_once() -> None:
    controller = Controller()
    controller.stream.take_log()
    controller.stream.follow(lambda _: HERE, 0.1)
    assert [s.stamp for s in controller.stream.take_log()] == pytest.approx(np.arange(1, 11) * CYCLE)
    assert controller.stream.take_log() == []


def test_a_halt_ends_a_motion_and_lets_a_step_finish() -> None:
    controller = Controller()
    controller.stream.halt()
    controller.stream.follow(lambda _: HERE, 0.1)
    assert controller.stream.latest().stamp == pytest.approx(0.1)
    with pytest.raises(Halted):
        controller.stream.follow(lambda _: HERE, 0.2, motion=True)


def test_waiting_for_a_controller_that_never_speaks_says_so_and_is_ended_by_a_halt() -> None:
    stream = ArmStream(lambda X_BT, stamp: None, 0.02, 0.5, "base")
    with pytest.raises(SerlError, match=r"no state from the controller within 0\.0 s"):
        stream.latest()
    threading.Timer(0.05, stream.halt).start()
    began = time.monotonic()
    with pytest.raises(Halted):
        stream.latest(60.0)
    assert time.monotonic() - began < 30.0


class TestMinimumJerk:
    def path(self, degrees: float = 90.0) -> tuple[Pose, Pose, Any]:
        X_BC = Pose(
            HERE.position + np.array([0.1, -0.2, 0.3]),
            HERE.rotation * Rotation.from_euler("y", degrees, degrees=True),
        )
        return HERE, X_BC, minimum_jerk(HERE, X_BC, 5.0, 2.0)

    def test_it_starts_and_ends_where_it_should_and_stays_there(self) -> None:
        X_BA, X_BC, path = self.path()
        for stamp, wanted in ((4.0, X_BA), (5.0, X_BA), (7.0, X_BC), (9.0, X_BC)):
            np.testing.assert_allclose(path(stamp).position, wanted.position, atol=1e-12)
            assert (path(stamp).rotation.inv() * wanted.rotation).magnitude() < 1e-9

    def test_velocity_and_acceleration_vanish_at_both_ends(self) -> None:
        _, X_BC, path = self.path()
        h = 1e-3
        t = np.arange(5.0, 7.0 + h / 2, h)
        x = np.array([path(stamp).position for stamp in t])
        v, a = np.diff(x, axis=0) / h, np.diff(x, 2, axis=0) / h**2
        distance = np.linalg.norm(X_BC.position - HERE.position)
        assert np.linalg.norm(v[[0, -1]], axis=1).max() < 1e-4
        assert np.linalg.norm(a[[0, -1]], axis=1).max() < 0.1
        # Flash and Hogan: the peak velocity is 15/8 of the mean.
        assert np.linalg.norm(v, axis=1).max() == pytest.approx(15 / 8 * distance / 2.0, rel=1e-4)

    def test_it_turns_the_short_way(self) -> None:
        X_BA, _, path = self.path(degrees=270.0)
        angles = [(X_BA.rotation.inv() * path(stamp).rotation).magnitude() for stamp in np.linspace(5, 7, 20)]
        assert max(angles) == pytest.approx(np.pi / 2)
