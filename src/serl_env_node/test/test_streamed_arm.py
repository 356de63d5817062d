# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""An arm behind ros2_control: periods without gaps, restarts in order, refusals and silence as faults."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from arm_cases import CYCLE, GOAL, HOME, IMPEDANCE, RESET, FakeLink, made, state_at
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError, SerlError
from serl_core.types import RewardSignal
from serl_env_node.arm import LiveArm
from serl_env_node.arm_environment import RESETS, ArmEnvironment
from serl_env_node.arm_stream import Halted
from serl_env_node.config import EnvConfig
from serl_env_node.controller_trace import last_state
from serl_env_node.frames import Pose
from serl_env_node.streamed_arm import Ros2ControlArmConfig, StreamedArm

HERE = Pose.from_arrays(HOME[:3], HOME[3:])


def shifted(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    return Pose(HERE.position + np.array([x, y, z]), HERE.rotation)


def displaced(x: float, y: float, z: float) -> np.ndarray:
    return np.concatenate([HOME[:3] + np.array([x, y, z]), HOME[3:]])


def names(link: FakeLink) -> list[str]:
    return [call[0] for call in link.calls]


def test_it_is_a_live_arm() -> None:
    assert isinstance(made()[1], LiveArm)


class TestSteps:
    def test_the_arm_is_where_it_was_sent_when_the_period_is_over(self) -> None:
        _, arm = made()
        arm.restart(0)
        began = arm.state().time
        state = arm.track(shifted(0.01), 0.1)
        assert state.fault == ""
        assert state.time - began == pytest.approx(0.1)
        np.testing.assert_allclose(state.X_BE.position, shifted(0.01).position)

    def test_time_spent_between_two_steps_is_part_of_the_period(self) -> None:
        link, arm = made()
        arm.restart(0)
        times = []
        for thinking in (0, 3, 7, 0, 5):  # cycles until the policy answered
            link.advance(thinking)
            times.append(arm.track(HERE, 0.1).time)
        assert np.diff(times) == pytest.approx([0.1] * 4, abs=2 * CYCLE)
        assert times[-1] - times[0] == pytest.approx(0.4, abs=2 * CYCLE)  # no drift
        assert arm.figures()["late_steps"] == 0

    def test_a_step_that_comes_too_late_gets_a_whole_period_and_is_counted(self) -> None:
        link, arm = made()
        arm.restart(0)
        arm.track(HERE, 0.1)
        link.advance(25)
        before = arm.state().time
        assert arm.track(HERE, 0.1).time - before == pytest.approx(0.1)
        assert arm.figures()["late_steps"] == 1

    def test_peak_forces_between_steps_belong_to_the_next_one(self) -> None:
        link, arm = made()
        arm.restart(0)
        arm.track(HERE, 0.1)
        link.changes = {"peak_force": 55.0}
        link.advance(1)
        link.changes = {}
        assert arm.state().peak_force == 55.0
        assert [arm.track(HERE, 0.1).peak_force, arm.track(HERE, 0.1).peak_force] == [55.0, 0.0]

    def test_the_trace_has_the_states_of_the_step(self) -> None:
        _, arm = made()
        arm.restart(0)
        arm.track(HERE, 0.1)
        state = arm.track(shifted(0.01), 0.1)
        trace = arm.trace()
        assert len(trace["time"]) == 10
        assert trace["time"][-1] == state.time
        last = last_state(trace, state.time, "base")
        np.testing.assert_allclose(last.measured[:3], state.X_BE.position)
        assert (last.hold, last.refused_targets, last.joint_torque.shape) == (0, 0, (7,))

    def test_gains_are_soft_in_steps_and_stiff_in_motions_and_asked_for_once(self) -> None:
        link, arm = made()
        arm.restart(0)
        link.calls.clear()
        arm.move(shifted(z=0.05), 0.5)
        arm.move(HERE, 0.5)
        arm.track(HERE, 0.1)
        arm.track(HERE, 0.1)
        assert link.calls == [("gains", "precise"), ("gains", "compliant")]
        arm.restart(0)
        arm.track(HERE, 0.1)
        assert link.calls[-1] == ("gains", "compliant")  # activation may have taken other ones

    def test_gains_without_a_name_are_left_alone(self) -> None:
        link, arm = made(gains="", reset_gains="")
        arm.restart(0)
        arm.move(HERE, 0.2)
        arm.track(HERE, 0.1)
        assert "gains" not in names(link)

    def test_a_motion_starts_where_the_reference_is_and_ends_where_it_should(self) -> None:
        link, arm = made()
        arm.restart(0)
        arm.track(shifted(0.02), 0.1)
        link.targets.clear()
        state = arm.move(shifted(z=0.05), 0.5)
        first, last = link.targets[0][1], link.targets[-1][1]
        np.testing.assert_allclose(first.position, shifted(0.02).position)
        assert np.linalg.norm(last.position - shifted(z=0.05).position) < 1e-3
        assert state.fault == ""


class TestFaults:
    @pytest.mark.parametrize("hold", [3, 4, 5, 7, 8])
    def test_a_refused_target_is_a_fault_until_a_restart(self, hold: int) -> None:
        link, arm = made()
        arm.restart(0)
        link.refuses = lambda _: hold
        assert "the controller holds" in arm.track(shifted(1.0), 0.1).fault
        link.refuses = lambda _: 0
        assert arm.state().fault
        assert arm.restart(0).fault == ""
        assert arm.track(HERE, 0.1).fault == ""

    def test_a_killed_controller_is_a_fault_and_then_cannot_be_restarted(self) -> None:
        link, arm = made(service_timeout_s=0.1)
        arm.restart(0)
        link.cycles = 0
        arm.stream._await = lambda stamp: None
        assert "no state from the controller" in arm.track(HERE, 0.1).fault
        link.fails["switch"] = (
            "no service controller_manager/list_controllers within 10 s: is its node running?"
        )
        with pytest.raises(SerlError, match="is its node running"):
            arm.restart(0)

    def test_silence_between_steps_is_seen_in_the_state(self) -> None:
        link, arm = made()
        arm.restart(0)
        link.wall += 0.6
        assert "no state from the controller for 0.6" in arm.state().fault

    def test_a_controller_that_says_nothing_after_its_activation(self) -> None:
        link, arm = made(service_timeout_s=0.05)
        link.advance = lambda *_, **__: None  # type: ignore[method-assign]
        with pytest.raises(SerlError, match="no state from the controller within"):
            arm.restart(0)


class TestRestart:
    def test_the_arm_goes_home_by_its_joints_between_two_strict_switches(self) -> None:
        link, arm = made(home=(0.1,) * 7)
        state = arm.restart(7)
        assert link.calls == [
            ("switch", (RESET,), (IMPEDANCE,)),
            ("move_joints", (0.1,) * 7),
            ("switch", (IMPEDANCE,), (RESET,)),
        ]
        assert state.fault == ""

    def test_a_simulation_is_reset_while_nobody_claims_the_arm(self) -> None:
        link, arm = made(simulation_reset="/lockstep_system/reset")
        arm.restart(7)
        assert link.calls[:3] == [
            ("switch", (), (IMPEDANCE,)),
            ("reset_simulation", 7),
            ("switch", (RESET,), ()),
        ]

    @pytest.mark.parametrize("active", [set(), {RESET}])
    def test_whatever_was_active_before_only_what_is_missing_is_asked_for(self, active: set) -> None:
        link, arm = made()
        link.active = set(active)
        arm.restart(0)
        assert link.active == {IMPEDANCE}

    def test_near_the_goal_the_tool_is_lifted_first(self) -> None:
        link, arm = made(lift=0.05)
        link.pose = displaced(0.01, 0.0, -0.081)
        link.advance(1)
        arm.restart(0)
        highest = max(X_BT.position[2] for _, X_BT in link.targets)
        assert highest == pytest.approx(GOAL[2] + 0.05, abs=1e-3)
        assert (
            len({(round(X_BT.position[0], 9), round(X_BT.position[1], 9)) for _, X_BT in link.targets}) == 1
        )

    def test_a_refused_target_does_not_keep_it_from_lifting(self) -> None:
        link, arm = made()
        arm.restart(0)
        link.pose = np.array([*GOAL, *HOME[3:]])
        link.refuses = lambda _: 7
        arm.track(HERE, 0.1)
        link.refuses = lambda _: 0
        link.targets.clear()
        arm.restart(0)
        assert link.targets

    @pytest.mark.parametrize(
        "pose", [HOME, displaced(0.3, 0.0, -0.08), displaced(0.0, 0.0, -0.4)],
        ids=["above already", "far to the side", "far below"],
    )  # fmt: skip
    def test_elsewhere_it_is_not(self, pose: np.ndarray) -> None:
        link, arm = made()
        link.pose = pose
        link.advance(1)
        arm.restart(0)
        assert link.targets == []

    def test_without_a_word_from_the_controller_it_is_not_led_anywhere(self) -> None:
        link, arm = made(state_timeout_s=0.02)
        arm.stream.forget()
        arm.restart(0)
        assert link.targets == []

    def test_what_fails_is_told(self) -> None:
        link, arm = made()
        link.fails["move_joints"] = "the joints did not move home: joint 4 is blocked"
        with pytest.raises(SerlError, match="joint 4 is blocked"):
            arm.restart(0)

    def test_a_halt_ends_it(self) -> None:
        link, arm = made()
        arm.restart(0)
        arm.halt()
        assert link.calls[-1] == ("halt",)
        with pytest.raises(Halted):
            arm.restart(0)
        with pytest.raises(Halted):
            arm.move(HERE, 1.0)


class TestWrench:
    WRENCH = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3])

    def test_the_controllers_own_is_in_base_axes_already(self) -> None:
        link, arm = made()
        link.changes = {"external_wrench": self.WRENCH}
        np.testing.assert_array_equal(arm.restart(0).F_E_B, self.WRENCH)

    def test_a_topics_is_turned_from_the_tools_axes(self) -> None:
        link, arm = made(wrench_source="topic", wrench_topic="/wrench")
        link.changes = {"external_wrench": np.full(6, np.nan)}
        assert "no wrench on /wrench" in arm.restart(0).fault
        arm.stream.fault = ""
        arm.stream.put_wrench(self.WRENCH)
        state = arm.state()
        turned = Rotation.from_quat(HOME[3:])
        np.testing.assert_allclose(
            state.F_E_B, [*turned.apply(self.WRENCH[:3]), *turned.apply(self.WRENCH[3:])]
        )
        assert state.fault == ""

    @staticmethod
    def sensed(**changes: Any) -> tuple[FakeLink, StreamedArm]:
        """Return an arm whose wrench comes with each of the controller's cycles while `link.senses`."""
        link, arm = made(wrench_source="topic", wrench_topic="/wrench", **changes)
        advance = link.advance
        link.senses = True  # type: ignore[attr-defined]

        def sense_and_advance(cycles: int, hold: int = 0) -> None:
            for _ in range(cycles):
                if link.senses:  # type: ignore[attr-defined]
                    arm.stream.put_wrench(TestWrench.WRENCH)
                advance(1, hold)

        link.advance = sense_and_advance  # type: ignore[method-assign]
        return link, arm

    def test_a_topic_that_falls_silent_is_a_fault_until_a_restart_finds_it_alive(self) -> None:
        link, arm = self.sensed()
        assert arm.restart(0).fault == ""
        assert [arm.track(HERE, 0.1).fault for _ in range(10)] == [""] * 10
        link.senses = False
        faults = [arm.track(HERE, 0.1).fault for _ in range(8)]
        assert faults[0] == "" and "no external wrench for 0.5" in faults[-1]
        assert "no wrench on /wrench" in arm.restart(0).fault
        link.senses = True
        link.advance(1)
        assert arm.state().fault  # one that came and went is not to be trusted without a restart
        assert arm.restart(0).fault == ""
        assert arm.track(HERE, 0.1).fault == ""

    def test_a_topic_that_falls_silent_between_steps_or_in_a_motion_is_seen(self) -> None:
        link, arm = self.sensed()
        arm.restart(0)
        link.senses = False
        assert "no external wrench" in arm.move(shifted(z=0.05), 3.0).fault
        link.senses = True
        arm.restart(0)
        link.wall += 0.6
        arm.stream.put(state_at(link.time + CYCLE))  # the controller speaks on
        assert "no external wrench for 0.6" in arm.state().fault

    def test_a_silent_topic_does_not_keep_the_arm_from_lifting_before_its_joints_move(self) -> None:
        link, arm = self.sensed()
        arm.restart(0)
        link.pose = np.array([*GOAL, *HOME[3:]])
        link.senses = False
        link.advance(1)
        link.wall += 0.6
        link.advance(1)
        assert arm.state().fault
        arm.restart(0)
        assert max(X_BT.position[2] for _, X_BT in link.targets) == pytest.approx(GOAL[2] + 0.05, abs=1e-3)

    def test_nobody_to_measure_it_must_be_said(self) -> None:
        link, arm = made()
        link.changes = {"external_wrench": np.full(6, np.nan)}
        with pytest.raises(ConfigError, match="set wrench_source to topic, or to none"):
            arm.restart(0)
        link, arm = made(wrench_source="none")
        link.changes = {"external_wrench": np.full(6, np.nan), "peak_force": 80.0}
        state = arm.restart(0)
        assert (state.fault, state.peak_force) == ("", 0.0)
        np.testing.assert_array_equal(state.F_E_B, np.zeros(6))

    def test_a_sensor_that_breaks_is_a_fault(self) -> None:
        link, arm = made()
        arm.restart(0)
        link.changes = {"external_wrench": np.full(6, np.nan)}
        state = arm.track(HERE, 0.1)
        assert "not finite" in state.fault
        assert np.isfinite(state.F_E_B).all()


class TestGripper:
    def test_it_is_told_once_and_its_position_becomes_a_width(self) -> None:
        link, arm = made(gripper_action="/gripper")
        arm.restart(0)
        link.calls.clear()
        assert arm.state().gripper_width == 0.02
        for action in (-0.9, -0.9, 0.2, 0.9):
            arm.grip(action)
            link.advance(2)
        assert link.calls == [("gripper", 0.0, 40.0)]  # opening comes too soon after closing
        link.advance(70)
        arm.grip(0.9)
        assert link.calls[1:] == [("gripper", 0.04, 40.0)]
        arm.put_gripper(0.02)
        assert arm.state().gripper_width == pytest.approx(0.04)
        arm.put_gripper(1.0)
        assert arm.state().gripper_width == pytest.approx(0.08)

    def test_a_robotiq_closes_with_the_larger_number(self) -> None:
        _, arm = made(gripper_action="/g", gripper_open=0.0, gripper_closed=0.8, gripper_width_open=0.085)
        arm.restart(0)
        arm.put_gripper(0.8)
        assert arm.state().gripper_width == 0.0
        arm.put_gripper(0.2)
        assert arm.state().gripper_width == pytest.approx(0.06375)

    def test_frankas_hand_is_told_one_fingers_position_and_reports_the_width_of_both(self) -> None:
        _, arm = made(gripper_action="/g", gripper_open=0.04, gripper_reported_open=0.08)
        arm.restart(0)
        for width in (0.0, 0.008, 0.04, 0.08):
            arm.put_gripper(width)
            assert arm.state().gripper_width == pytest.approx(width)

    def test_actions_for_a_gripper_that_is_not_there(self) -> None:
        _, arm = made()
        with pytest.raises(ConfigError, match="set gripper_action"):
            environment(arm, gripper=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"goal_position": ()}, "goal_position must have 3 elements: teach the goal"),
        ({"goal_quaternion_xyzw": (1.0, 1.0, 0.0, 0.0)}, "has not unit length"),
        ({"wrench_source": "topic"}, "name the wrench_topic"),
        ({"cameras": ("a", "b"), "image_topic": "/image"}, "needs {camera}"),
        ({"cameras": ("a",), "crops": (1, 2, 3)}, "crops must have 4 numbers"),
        ({"gripper_open": 0.1, "gripper_closed": 0.1}, "gripper_open and gripper_closed are both 0.1"),
        (
            {"gripper_closed": 0.1, "gripper_reported_open": 0.1},
            "gripper_reported_open and gripper_closed are both",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(changes: dict, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        StreamedArm(Ros2ControlArmConfig(**{"goal_position": GOAL, **changes}), FakeLink())
    assert told in str(error.value)


class Verdict:
    name = "verdict"

    cameras: tuple[str, ...] = ()

    def reset(self) -> None:
        """It has no memory."""

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        return RewardSignal(0.0, False, self.name)


def environment(arm: StreamedArm, **changes: Any) -> ArmEnvironment:
    near = {"reset_xy": 0.01, "reset_height": (0.03, 0.04), "reset_seconds": 0.2}
    return ArmEnvironment(arm, Verdict(), EnvConfig(task="fake", **{**near, **changes}))


class TestInTheEnvironment:
    def test_an_episode_has_one_period_a_step(self) -> None:
        _, arm = made()
        env = environment(arm)
        assert env.live
        env.reset(0)
        times = [env.time]
        for _ in range(5):
            result = env.step(np.zeros(6, np.float32))
            assert not result.truncated
            times.append(env.time)
        assert np.diff(times) == pytest.approx([0.1] * 5)

    def test_a_fault_ends_the_episode_bootstraps_and_is_mended_by_the_next_reset(self) -> None:
        link, arm = made()
        env = environment(arm)
        env.reset(0)
        link.refuses = lambda _: 7
        result = env.step(None)
        assert (result.truncated, result.terminated) == (True, False)
        assert result.end_reason.startswith("fault: the controller holds")
        link.refuses = lambda _: 0
        env.reset(None)
        assert env.step(None).end_reason == ""

    def test_a_reset_that_fails_once_is_tried_again_and_one_that_always_fails_is_not(self) -> None:
        link, arm = made()
        env = environment(arm)
        refusals = iter([7] * 15)
        link.refuses = lambda _: next(refusals, 0)
        env.reset(0)
        assert names(link).count("move_joints") == 2
        link.calls.clear()
        link.refuses = lambda _: 7
        with pytest.raises(SerlError, match=f"tried {RESETS} times: the controller holds"):
            env.reset(None)
        assert names(link).count("move_joints") == RESETS - 1  # the first attempt knew of no fault yet

    def test_the_gripper_is_the_seventh_element(self) -> None:
        link, arm = made(gripper_action="/gripper")
        env = environment(arm, gripper=True)
        assert env.spec.action_size == 7
        env.reset(0)
        env.step(np.array([0, 0, 0, 0, 0, 0, -1.0], np.float32))
        assert link.calls[-1] == ("gripper", 0.0, 40.0)

    def test_wrenches_that_stop_end_the_episode_and_no_reset_goes_on_without_them(self) -> None:
        link, arm = TestWrench.sensed()
        env = environment(arm)
        env.reset(0)
        assert env.step(None).end_reason == ""
        link.senses = False
        results = [env.step(None) for _ in range(8)]
        ended = next(r for r in results if r.end_reason)
        assert "fault: no external wrench for" in ended.end_reason
        assert (ended.truncated, ended.terminated) == (True, False)
        with pytest.raises(SerlError, match=f"tried {RESETS} times: no wrench on /wrench"):
            env.reset(None)
        link.senses = True
        env.reset(None)
        assert env.step(None).end_reason == ""

    def test_a_force_on_the_way_to_the_start_sends_the_arm_home_again_and_a_lasting_one_ends_it(self) -> None:
        link, arm = made()
        env = environment(arm, force_limit=30.0)
        env.reset(0)
        link.calls.clear()
        move, met = arm.move, iter([5.0, 40.0, 0.0, 0.0])  # retraction and way to the start, twice

        def move_and_meet(X_BT: Pose, seconds: float) -> Any:
            return dataclasses.replace(move(X_BT, seconds), peak_force=next(met, 40.0))

        arm.move = move_and_meet  # type: ignore[method-assign]
        env.reset(None)
        assert names(link).count("move_joints") == 1
        assert env.step(None).end_reason == ""
        with pytest.raises(
            SerlError, match=f"tried {RESETS} times: 40 N on the way to the start, over force_limit"
        ):
            env.reset(None)

    def test_a_retraction_may_begin_in_contact(self) -> None:
        link, arm = made()
        env = environment(arm, force_limit=30.0)
        env.reset(0)
        link.changes = {"peak_force": 40.0}
        assert env.step(None).end_reason == "force_limit"
        link.advance(1)
        link.changes = {}
        link.calls.clear()
        env.reset(None)
        assert "move_joints" not in names(link)

    def test_pictures_that_stop_end_the_episode(self) -> None:
        link, arm = made(cameras=("wrist",), image_max_age_s=0.15)
        pixels = np.full((128, 128, 3), 9, np.uint8)
        send = link.send_target

        def send_and_show(X_BT: Pose, stamp: float) -> None:
            send(X_BT, stamp)
            if link.time < stopped:
                arm.frames.put("wrist", link.time, pixels)

        link.send_target = send_and_show  # type: ignore[method-assign]
        arm.stream._send = send_and_show
        stopped = np.inf
        env = environment(arm, obs="image", policy_keys_image=("wrist",))
        _, images = env.reset(0)
        np.testing.assert_array_equal(images["wrist"], pixels)
        assert env.step(None).end_reason == ""
        stopped = link.time
        reasons = [env.step(None).end_reason for _ in range(3)]
        assert any("camera wrist: nearest picture is from" in reason for reason in reasons)
        stopped = np.inf
        env.reset(None)
        assert env.step(None).end_reason == ""
