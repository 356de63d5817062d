# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The truth of a step: who acted, what was executed, and whether the future counts."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from serl_core.interfaces import StepResult
from serl_core.testing.fakes import FakeEnvironment, FakePolicy
from serl_core.types import Action, Intervention, Observation, Source, Transition
from serl_env_node.step_loop import Decision, StepLoop

HOLD = Decision(Source.HOLD, None, "no action in time")


class AlteredEnvironment(FakeEnvironment):
    """A FakeEnvironment whose next results are altered by `changes`."""

    changes: dict[str, Any]

    def step(self, action: np.ndarray | None) -> StepResult:
        return dataclasses.replace(super().step(action), **self.changes)


def started(max_steps: int = 20, **changes: object) -> StepLoop:
    environment = AlteredEnvironment(max_steps)
    environment.changes = changes
    loop = StepLoop(environment, "env-1")
    loop.start_episode(0)
    return loop


def answer(loop: StepLoop, data: Any = (0.5, -0.5), version: int = 7) -> Action:
    assert loop.observation is not None
    return Action(loop.observation.episode_id, loop.observation.step, version, np.array(data, np.float32))


def word(loop: StepLoop, data: Any = (-1.0, 1.0), active: bool = True) -> Intervention:
    assert loop.observation is not None
    return Intervention(
        "spacemouse", loop.observation.episode_id, loop.observation.step, active, np.array(data)
    )


def test_an_episode_is_an_unbroken_row_that_ends_in_success() -> None:
    loop, policy, row = started(), FakePolicy(), []
    while not row or not row[-1].last:
        observation = loop.observation
        assert isinstance(observation, Observation)
        action = Action(observation.episode_id, observation.step, 7, policy.act(observation))
        row.append(loop.step(loop.decide(action, None)))
        np.testing.assert_array_equal(row[-1].action, action.data)
        assert row[-1].next_observation is loop.observation
    assert [t.sequence for t in row] == list(range(1, len(row) + 1))
    assert [t.step for t in row] == list(range(len(row)))
    assert [t.next_observation.step for t in row] == list(range(1, len(row) + 1))
    assert [t.first_observation is not None for t in row] == [True] + [False] * (len(row) - 1)
    assert row[0].first_observation is not None
    assert (row[0].first_observation.step, row[0].first_observation.stamp) == (0, 0.0)
    assert (row[-1].discount, row[-1].success, row[-1].reward, row[-1].reward_source) == (
        0.0,
        True,
        1.0,
        "reach",
    )
    assert {t.discount for t in row[:-1]} == {1.0}
    assert {(t.task, t.env_id, t.source, t.policy_version) for t in row} == {
        ("fake_reach", "env-1", Source.POLICY, 7)
    }
    assert loop.summary().end_reason == "success"


def test_sequences_go_on_and_episodes_are_counted_across_resets() -> None:
    loop = started(max_steps=1)
    first = loop.step(HOLD)
    loop.start_episode()
    second = loop.step(HOLD)
    assert (first.sequence, first.episode_id) == (1, 0)
    assert (second.sequence, second.episode_id, second.step) == (2, 1, 0)
    assert second.first_observation is not None
    assert second.first_observation.episode_id == 1


def test_a_time_out_bootstraps() -> None:
    loop = started(max_steps=2)
    assert not loop.step(HOLD).last
    end = loop.step(HOLD)
    assert (end.last, end.discount, end.success) == (True, 1.0, False)
    assert loop.summary().end_reason == "time_limit"


def test_termination_does_not_bootstrap_even_at_the_time_limit() -> None:
    loop = started(max_steps=1, terminated=True, end_reason="dropped")
    end = loop.step(HOLD)
    assert (end.last, end.discount) == (True, 0.0)
    assert loop.summary().end_reason == "dropped"


def test_truncation_bootstraps() -> None:
    loop = started(truncated=True, end_reason="force_limit", peak_force=70.0)
    end = loop.step(HOLD)
    assert (end.last, end.discount) == (True, 1.0)
    assert (loop.summary().end_reason, loop.summary().peak_force) == ("force_limit", 70.0)


def test_an_abort_ends_the_episode_and_bootstraps() -> None:
    loop = started()
    end = loop.step(HOLD, abort="reset")
    assert (end.last, end.discount) == (True, 1.0)
    assert loop.summary().end_reason == "reset"


def assert_hold(transition: Transition, reason: str) -> None:
    assert transition.source is Source.HOLD
    assert reason in transition.source_detail
    np.testing.assert_array_equal(transition.action, np.zeros(2))
    assert transition.action.dtype == np.float32


def test_no_action_is_a_hold() -> None:
    loop = started()
    transition = loop.step(loop.decide(None, None))
    assert_hold(transition, "no action in time")
    assert transition.policy_version == 0
    np.testing.assert_array_equal(
        transition.next_observation.state["position"], transition.first_observation.state["position"]
    )


@pytest.mark.parametrize(("episode_id", "step"), [(0, 1), (1, 0)])
def test_an_answer_to_another_observation_is_a_hold(episode_id: int, step: int) -> None:
    loop = started()
    stale = Action(episode_id, step, 7, np.zeros(2, np.float32))
    assert_hold(loop.step(loop.decide(stale, None)), "stale action")


@pytest.mark.parametrize(
    ("data", "reason"),
    [([np.nan, 0], "NaN"), ([np.inf, 0], "infinity"), ([0.0], "expected 2"), ([0] * 6, "expected 2")],
)
def test_an_unusable_action_is_a_hold(data: list, reason: str) -> None:
    loop = started()
    assert_hold(loop.step(loop.decide(answer(loop, data), None)), reason)


def test_too_large_an_action_is_recorded_as_executed() -> None:
    loop = started()
    transition = loop.step(loop.decide(answer(loop, [5.0, -0.5]), None))
    assert transition.source is Source.POLICY
    np.testing.assert_array_equal(transition.action, [1.0, -0.5])


def test_a_person_overrides_the_policy() -> None:
    loop = started()
    transition = loop.step(loop.decide(answer(loop), word(loop)))
    assert (transition.source, transition.source_detail, transition.policy_version) == (
        Source.HUMAN,
        "spacemouse",
        0,
    )
    np.testing.assert_array_equal(transition.action, [-1.0, 1.0])


def test_a_person_needs_no_policy() -> None:
    loop = started()
    assert loop.step(loop.decide(None, word(loop))).source is Source.HUMAN


def test_hands_off_leaves_the_policy_in_charge_whatever_the_device_says() -> None:
    loop = started()
    transition = loop.step(loop.decide(answer(loop), word(loop, [np.nan, 0.0], active=False)))
    assert transition.source is Source.POLICY


@pytest.mark.parametrize("data", [[np.nan, 0.0], [0.0]])
def test_an_unusable_intervention_is_a_hold_not_the_policy(data: list) -> None:
    loop = started()
    assert_hold(loop.step(loop.decide(answer(loop), word(loop, data))), "intervention of spacemouse refused")


def test_what_the_environment_held_is_recorded_as_held() -> None:
    loop = started(held="protective stop")
    assert_hold(loop.step(loop.decide(answer(loop), None)), "protective stop")


def test_the_summary_counts_segments_steps_and_forces() -> None:
    loop = started(max_steps=8)
    forces = [1.0, 9.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0]
    for who, force in zip("HHPHoPHH", forces, strict=True):  # o: hold
        loop._environment.changes = {"peak_force": force}  # type: ignore[attr-defined]
        policy = answer(loop, [0.0, 0.0], version=30 + int(force)) if who == "P" else None
        loop.step(loop.decide(policy, word(loop, [0.0, 0.0]) if who == "H" else None))
    summary = loop.summary()
    assert (summary.steps, summary.human_steps, summary.hold_steps, summary.interventions) == (8, 5, 1, 3)
    assert summary.intervention_steps == (2, 1, 2) and summary.human_at_end
    assert (summary.peak_force, summary.policy_version) == (9.0, 32)
    assert (summary.episode_id, summary.env_id, summary.task) == (0, "env-1", "fake_reach")
    assert summary.duration == pytest.approx(0.8)
    assert summary.stamp == pytest.approx(0.8)
    assert (summary.undiscounted_return, summary.success, summary.end_reason) == (0.0, False, "time_limit")


def test_a_summary_does_not_remember_the_episode_before() -> None:
    loop = started(max_steps=1, peak_force=50.0)
    loop.step(loop.decide(None, word(loop)))
    loop._environment.changes = {}  # type: ignore[attr-defined]
    loop.start_episode()
    loop.step(HOLD)
    summary = loop.summary()
    assert (summary.episode_id, summary.steps, summary.human_steps, summary.peak_force) == (1, 1, 0, 0.0)
