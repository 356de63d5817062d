# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The clock of the loop never waits longer than it may, and always knows what it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from serl_core.errors import SerlError
from serl_core.testing.fakes import FakeEnvironment, FakePolicy
from serl_core.types import (
    Action,
    EpisodeSummary,
    Intervention,
    Observation,
    Source,
    Transition,
    TransitionAck,
)
from serl_env_node.config import EnvConfig
from serl_env_node.driver import EnvDriver, Outlets
from serl_env_node.outbox import WINDOW
from serl_env_node.step_loop import StepLoop

PATIENCE = 20.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""

NEVER = 10**9


class Rig:
    """A driver on a fake environment in a thread, with an actor and a receiver that can be switched off."""

    def __init__(self, max_steps: int = 20, **settings: Any) -> None:
        self.environment = FakeEnvironment(max_steps)
        self.loop = StepLoop(self.environment, "env-1")
        self.asked: list[Observation] = []
        self.finals: list[Observation] = []
        self.sent: list[Transition] = []
        self.times: list[float] = []
        self.episodes: list[EpisodeSummary] = []
        self.answer: Callable[[Observation], None] = self.act
        self.receive: Callable[[Transition], None] = self.accept
        self.step_limit = NEVER
        self.driver: EnvDriver[Transition] = EnvDriver(
            self.loop,
            EnvConfig(**settings),
            Outlets(
                observation=self._on_observation,
                final=self.finals.append,
                encode=lambda transition: transition,
                transition=self._on_transition,
                episode=self.episodes.append,
                stepped=lambda _: self.times.append(time.monotonic()),
            ),
        )
        self.thread = threading.Thread(target=self.driver.run, daemon=True)

    def _on_observation(self, observation: Observation) -> None:
        self.asked.append(observation)
        self.answer(observation)

    def _on_transition(self, transition: Transition) -> None:
        self.sent.append(transition)
        self.receive(transition)

    def act(self, observation: Observation) -> None:
        action = FakePolicy().act(observation)
        self.driver.put_action(Action(observation.episode_id, observation.step, 7, action))

    def intervene(self, observation: Observation, active: bool = True) -> None:
        data = np.array([0.5, 0.5], np.float32)
        self.driver.put_intervention(
            Intervention("spacemouse", observation.episode_id, observation.step, active, data)
        )

    def accept(self, transition: Transition) -> None:
        self.acknowledge(transition.sequence)

    def acknowledge(self, sequence: int = 0, epoch: int = 1, env_id: str = "env-1") -> None:
        self.driver.acknowledge(TransitionAck(env_id, sequence, epoch, False, self.step_limit))

    def start(self) -> Rig:
        self.acknowledge()
        self.thread.start()
        return self

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            time.sleep(0.002)

    def finish(self) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def stop(self) -> float:
        """Stop and return how long that took [s]."""
        began = time.monotonic()
        self.driver.stop()
        self.finish()
        return time.monotonic() - began


def silent(_: Any) -> None:
    """An actor or a receiver that is dead."""


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(**settings: Any) -> Rig:
        made.append(Rig(**settings))
        return made[-1]

    yield make
    for rig in made:
        rig.driver.stop()
        if rig.thread.ident is not None:
            rig.thread.join(PATIENCE)


def test_lockstep_runs_the_episodes_asked_for(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_episodes=3).start()
    rig.finish()
    assert [e.end_reason for e in rig.episodes] == ["success"] * 3
    assert (rig.driver.episodes, rig.driver.successes, rig.driver.late_steps) == (3, 3, 0)
    assert [t.sequence for t in rig.sent] == list(range(1, len(rig.sent) + 1))
    assert {t.source for t in rig.sent} == {Source.POLICY}
    assert len(rig.asked) == len(rig.sent)
    assert rig.driver.unacknowledged == 0


@pytest.mark.parametrize("settings", [{}, {"real_time_factor": 50.0, "action_timeout_s": 10.0}])
def test_an_episode_s_last_observation_is_shown_and_not_asked_about(
    rigs: Callable[..., Rig], settings: dict
) -> None:
    rig = rigs(max_episodes=2, **settings).start()
    rig.finish()
    ends = [t.next_observation for t in rig.sent if t.last]
    assert [(o.episode_id, o.step) for o in rig.finals] == [(o.episode_id, o.step) for o in ends]
    assert len(rig.finals) == 2 and all(a is b for a, b in zip(rig.finals, ends, strict=True))
    asked = {(o.episode_id, o.step) for o in rig.asked}
    assert not asked & {(o.episode_id, o.step) for o in rig.finals}


def test_only_successes_count_towards_max_successes(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_successes=1)
    rig.answer = lambda o: (
        rig.act(o)
        if o.episode_id == 2
        else rig.driver.put_action(Action(o.episode_id, o.step, 7, np.zeros(2)))
    )
    rig.start().finish()
    assert [e.success for e in rig.episodes] == [False, False, True]


def test_lockstep_never_steps_beyond_the_limit(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    for limit in (7, 9):
        rig.step_limit = limit
        rig.start() if limit == 7 else rig.acknowledge(7)
        rig.until(lambda: rig.loop.sequence == rig.step_limit and "receiver" in rig.driver.waiting_for)
        time.sleep(0.1)
        assert rig.loop.sequence == limit


def test_lockstep_does_not_begin_before_a_receiver_spoke(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.thread.start()
    rig.until(lambda: "receiver" in rig.driver.waiting_for)
    assert rig.environment.seeds == []
    rig.acknowledge()
    rig.until(lambda: len(rig.sent) > 3)


def test_what_is_kept_for_resending_is_bounded(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_unacknowledged=5)
    rig.receive = silent
    rig.start()
    rig.until(lambda: rig.driver.unacknowledged == 5 and "receiver" in rig.driver.waiting_for)
    time.sleep(0.1)
    assert rig.loop.sequence == 5
    rig.receive = rig.accept
    rig.acknowledge(5)
    rig.until(lambda: rig.loop.sequence > 10)


def test_a_lost_acknowledgement_does_not_stop_the_loop_for_good(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_unacknowledged=1)
    rig.receive = lambda t: rig.accept(t) if [s.sequence for s in rig.sent].count(t.sequence) > 1 else None
    rig.start()
    rig.until(lambda: rig.loop.sequence >= 2)


def test_the_end_waits_until_all_is_on_disk_and_sends_it_again(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_episodes=1)
    rig.receive = silent
    rig.start()
    rig.until(lambda: bool(rig.episodes))
    steps = rig.episodes[0].steps
    rig.until(lambda: len(rig.sent) >= 2 * steps)
    assert rig.thread.is_alive()
    rig.acknowledge(steps)
    rig.finish()
    assert [t.sequence for t in rig.sent[steps : 2 * steps]] == list(range(1, steps + 1))


def test_a_restarted_receiver_gets_what_it_lacks_and_a_foreign_one_nothing(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.receive, rig.step_limit = silent, 4
    rig.start()
    rig.until(lambda: rig.loop.sequence == 4 and "receiver" in rig.driver.waiting_for)
    rig.acknowledge(4, epoch=2, env_id="env-2")
    assert rig.driver.unacknowledged == 4
    before = len(rig.sent)
    rig.acknowledge(2, epoch=2)
    assert [t.sequence for t in rig.sent[before : before + 2]] == [3, 4]
    assert rig.driver.unacknowledged == 2


def test_a_receiver_far_behind_gets_its_windows_in_order_while_steps_go_on(rigs: Callable[..., Rig]) -> None:
    rig = rigs(real_time_factor=100.0, action_timeout_s=0.001)
    rig.receive = silent
    rig.start()
    rig.until(lambda: rig.loop.sequence > 3 * WINDOW)
    assert len(rig.sent) == WINDOW, "nobody takes them"
    rig.receive = rig.accept
    rig.acknowledge(epoch=2)
    rig.until(lambda: rig.sent[-1].sequence > 4 * WINDOW)
    assert [t.sequence for t in rig.sent[WINDOW:]] == list(range(1, len(rig.sent) - WINDOW + 1))


def test_an_unanswered_observation_is_asked_again_and_answered_once(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.answer = silent
    rig.start()
    rig.until(lambda: len(rig.asked) >= 3)
    assert {(o.episode_id, o.step) for o in rig.asked} == {(0, 0)}
    assert rig.driver.waiting_for == "action"
    assert rig.sent == []
    rig.answer, rig.step_limit = rig.act, 1
    rig.acknowledge()
    rig.act(rig.asked[0])
    rig.until(lambda: rig.loop.sequence == 1)
    assert [t.source for t in rig.sent] == [Source.POLICY]


def test_lockstep_heeds_a_person_with_the_actor_dead(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, max_episodes=1)
    rig.answer = rig.intervene
    rig.start().finish()
    assert {(t.source, t.source_detail) for t in rig.sent} == {(Source.HUMAN, "spacemouse")}


def test_lockstep_with_an_operator_waits_for_its_word_even_if_it_is_hands_off(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(operator=True)
    rig.start()
    rig.until(lambda: len(rig.asked) >= 2)
    assert rig.sent == []
    rig.answer = lambda o: (rig.act(o), rig.intervene(o, active=False))
    rig.until(lambda: len(rig.sent) >= 3)
    assert {t.source for t in rig.sent} == {Source.POLICY}


def test_demonstrations_need_no_policy(rigs: Callable[..., Rig]) -> None:
    rig = rigs(policy=False, operator=True, max_episodes=1)
    rig.answer = rig.intervene
    rig.start().finish()
    assert {t.source for t in rig.sent} == {Source.HUMAN}


def test_real_time_holds_and_keeps_its_rate_with_no_actor_at_all(rigs: Callable[..., Rig]) -> None:
    rig = rigs(max_steps=100, real_time_factor=1.0, action_timeout_s=0.09)  # of a step of 0.1 s
    rig.answer = silent
    rig.start()
    rig.until(lambda: len(rig.times) >= 13)
    # Waiting is part of the step, it does not come on top; the median, as a busy machine may pause now and then.
    assert 0.095 < np.median(np.diff(rig.times)) < 0.17
    assert {(t.source, t.source_detail) for t in rig.sent} == {(Source.HOLD, "no action in time")}
    assert rig.environment.actions[:12] == [None] * 12


def test_real_time_does_not_wait_for_a_receiver(rigs: Callable[..., Rig]) -> None:
    rig = rigs(real_time_factor=20.0, action_timeout_s=0.001)
    rig.receive = silent
    rig.thread.start()
    rig.until(lambda: len(rig.sent) >= 5)


def test_real_time_waits_no_longer_than_it_must_when_the_answer_is_quick(rigs: Callable[..., Rig]) -> None:
    rig = rigs(real_time_factor=2.0, action_timeout_s=10.0, max_episodes=1)
    began = time.monotonic()
    rig.start().finish()
    assert {t.source for t in rig.sent} == {Source.POLICY}
    assert time.monotonic() - began < 10.0


def test_real_time_does_not_execute_an_answer_that_comes_too_late(rigs: Callable[..., Rig]) -> None:
    rig = rigs(real_time_factor=2.0, action_timeout_s=0.01)
    before: list[Observation] = []

    def answer_the_one_before(observation: Observation) -> None:
        if before:
            rig.act(before[-1])
        before.append(observation)

    rig.answer = answer_the_one_before
    rig.start()
    rig.until(lambda: len(rig.sent) >= 5)
    assert {t.source for t in rig.sent} == {Source.HOLD}


def test_real_time_lets_a_person_take_over_with_the_actor_dead(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=0.02)
    rig.answer = silent
    rig.start()
    rig.until(lambda: len(rig.sent) >= 2)
    assert {t.source for t in rig.sent} == {Source.HOLD}
    taken_over = len(rig.sent) + 1
    rig.answer = rig.intervene
    rig.until(lambda: len(rig.sent) >= taken_over + 3)
    assert {t.source for t in rig.sent[taken_over:]} == {Source.HUMAN}


def test_real_time_does_not_go_on_with_a_word_that_grew_old(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=0.02, max_steps=100)
    rig.answer = lambda o: rig.intervene(o) if o.step == 0 else None
    rig.start()
    rig.until(lambda: len(rig.sent) >= 12)
    assert rig.sent[0].source is Source.HUMAN
    assert rig.sent[-1].source is Source.HOLD


def test_real_time_never_executes_a_word_of_another_episode(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=0.1, max_steps=2, max_episodes=3)
    rig.answer = rig.act
    reset = rig.environment.reset

    def reset_with_the_clutch_held(seed: int | None) -> Any:
        first = reset(seed)
        if rig.asked:
            rig.intervene(rig.asked[-1])
        return first

    rig.environment.reset = reset_with_the_clutch_held  # type: ignore[method-assign]
    rig.start().finish()
    assert [(t.episode_id, t.step) for t in rig.sent] == [(e, s) for e in range(3) for s in range(2)]
    assert {t.source for t in rig.sent} == {Source.POLICY}


def say_the_step(rig: Rig, observation: Observation) -> None:
    """Take over with an action that tells which observation it is on."""
    say(rig, "anna", observation, data=(0.01 * observation.step, 0.0))


def steps_said(rig: Rig) -> list[int]:
    assert {t.source for t in rig.sent} == {Source.HUMAN}
    return [round(100 * float(t.action[0])) for t in rig.sent]


def test_real_time_waits_for_the_word_on_the_present_observation(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=2.0, max_steps=6, max_episodes=1)
    rig.answer = lambda o: (rig.act(o), threading.Timer(0.01, say_the_step, (rig, o)).start())
    rig.start().finish()
    assert steps_said(rig) == [0, 1, 2, 3, 4, 5]


def test_real_time_takes_the_latest_word_where_none_comes_in_time(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serl_env_node.driver.OPERATOR_SHARE", 0.02)
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=10.0, max_steps=4, max_episodes=1)
    rig.answer = lambda o: (rig.act(o), say_the_step(rig, o) if o.step != 2 else None)
    began = time.monotonic()
    rig.start().finish()
    assert steps_said(rig) == [0, 1, 1, 3]
    assert time.monotonic() - began < 10.0, "it is awaited for a part of the time-out only"


def test_real_time_goes_on_with_the_policy_where_the_operator_is_dead(rigs: Callable[..., Rig]) -> None:
    rig = rigs(operator=True, real_time_factor=2.0, action_timeout_s=0.05, max_steps=4, max_episodes=1)
    rig.start().finish()
    assert {t.source for t in rig.sent} == {Source.POLICY}


@pytest.mark.parametrize("settings", [{}, {"real_time_factor": 2.0, "action_timeout_s": 10.0}])
def test_a_reset_ends_the_episode_even_if_no_answer_ever_comes(
    rigs: Callable[..., Rig], settings: dict
) -> None:
    rig = rigs(**settings)
    rig.answer = lambda o: rig.act(o) if o.step < 3 else None
    rig.start()
    rig.until(lambda: len(rig.asked) >= 4)
    rig.driver.ask_reset(5)
    rig.until(lambda: bool(rig.episodes) and len(rig.environment.seeds) == 2)
    end = rig.sent[3]
    assert (end.last, end.discount, end.source) == (True, 1.0, Source.HOLD)
    assert (rig.episodes[0].end_reason, rig.episodes[0].steps) == ("reset", 4)
    assert rig.environment.seeds == [None, 5]


class TestStopIsPromptWhereverItComes:
    """A stop must end `run` well within the 5 s that a person grants to Ctrl-C."""

    def test_before_the_first_word_of_a_receiver(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()
        rig.thread.start()
        rig.until(lambda: "receiver" in rig.driver.waiting_for)
        assert rig.stop() < 2.0
        assert rig.sent == []

    def test_while_waiting_for_an_action(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()
        rig.answer = silent
        rig.start()
        rig.until(lambda: rig.driver.waiting_for == "action")
        assert rig.stop() < 2.0
        assert (rig.sent[-1].last, rig.episodes[-1].end_reason) == (True, "stopped")

    def test_while_waiting_for_a_late_action_in_real_time(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(real_time_factor=0.01, action_timeout_s=10.0)
        rig.answer = silent
        rig.start()
        rig.until(lambda: bool(rig.asked))
        assert rig.stop() < 2.0
        assert rig.episodes[-1].end_reason == "stopped"

    def test_in_the_rest_of_a_long_step(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(real_time_factor=0.01)
        rig.start()
        rig.until(lambda: bool(rig.times))
        assert rig.stop() < 2.0

    def test_while_the_receiver_is_behind(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()
        rig.step_limit = 3
        rig.start()
        rig.until(lambda: rig.loop.sequence == 3 and "receiver" in rig.driver.waiting_for)
        assert rig.stop() < 2.0
        assert rig.sent[-1].last

    def test_while_the_disk_is_awaited(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(max_episodes=1)
        rig.receive = silent
        rig.start()
        rig.until(lambda: rig.driver.episodes == 1)
        assert rig.stop() < 2.0

    def test_at_full_speed(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs().start()
        rig.until(lambda: rig.driver.episodes >= 3)
        assert rig.stop() < 2.0
        assert rig.sent[-1].last


def make_live(rig: Rig) -> None:
    """From now on its steps count as having waited for their period already, as hardware does."""
    rig.loop.live = True


class TestLive:
    """Who waits: the environment, and nobody else."""

    def test_the_period_is_not_waited_for_twice(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(real_time_factor=0.001, max_episodes=1)  # a period of 100 s, if the driver waited for it
        make_live(rig)
        rig.start().finish()
        assert [e.end_reason for e in rig.episodes] == ["success"]
        assert {t.source for t in rig.sent} == {Source.POLICY}
        assert rig.driver.late_steps == 0

    def test_it_is_in_real_time_whatever_the_factor_says(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(max_episodes=1, action_timeout_s=0.001)
        make_live(rig)
        rig.answer = silent
        rig.receive = silent
        rig.step_limit = 0
        rig.start()
        rig.until(lambda: len(rig.sent) >= 5)
        assert {t.source_detail for t in rig.sent} == {"no action in time"}

    def test_it_does_not_begin_before_a_receiver_spoke(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()
        make_live(rig)
        rig.thread.start()
        rig.until(lambda: "receiver" in rig.driver.waiting_for)
        assert rig.environment.seeds == []
        rig.acknowledge()
        rig.until(lambda: len(rig.sent) > 3)

    def test_an_answer_has_its_time_from_the_end_of_the_period_before(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(max_episodes=1, action_timeout_s=10.0)
        make_live(rig)
        rig.answer = lambda o: threading.Timer(0.02, rig.act, (o,)).start()
        rig.start().finish()
        assert {t.source for t in rig.sent} == {Source.POLICY}

    def test_the_patience_is_that_of_a_faster_clock(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs(real_time_factor=100.0, action_timeout_s=10.0)
        make_live(rig)
        rig.answer = silent
        rig.start()
        rig.until(lambda: len(rig.sent) >= 3)  # 0.1 s each; 10 s each would be too long
        assert {t.source for t in rig.sent} == {Source.HOLD}

    def test_a_motion_cut_short_by_a_stop_is_no_failure(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()
        make_live(rig)
        failures: list[BaseException] = []

        def reset(seed: int | None) -> Any:
            rig.driver.stop()
            raise SerlError("halted")

        def run() -> None:
            try:
                rig.driver.run()
            except SerlError as error:
                failures.append(error)

        rig.environment.reset = reset  # type: ignore[method-assign]
        rig.thread = threading.Thread(target=run, daemon=True)
        rig.start().finish()
        assert failures == []

    def test_an_arm_that_cannot_be_reset_is_one(self, rigs: Callable[..., Rig]) -> None:
        rig = rigs()

        def reset(seed: int | None) -> Any:
            raise SerlError("no controller")

        rig.environment.reset = reset  # type: ignore[method-assign]
        rig.acknowledge()
        with pytest.raises(SerlError, match="no controller"):
            rig.driver.run()


# Two operators, and one whose device is lost.


def say(
    rig: Rig, who: str, o: Observation, active: bool = True, data: tuple[float, ...] = (0.5, 0.5)
) -> None:
    rig.driver.put_intervention(Intervention(who, o.episode_id, o.step, active, np.array(data, np.float32)))


def test_the_first_operator_keeps_the_arm(rigs) -> None:
    rig = rigs(operator=True, max_episodes=1)
    rig.answer = lambda o: (say(rig, "anna", o), say(rig, "bert", o))
    rig.start().finish()
    assert {t.source_detail for t in rig.sent} == {"anna"}
    assert rig.driver.ignored_interventions > 0


def test_an_operator_whose_device_is_lost_holds_the_arm(rigs) -> None:
    rig = rigs(operator=True)
    rig.answer = lambda o: (
        rig.act(o),
        say(rig, "anna", o, True, ()) if o.step > 2 else say(rig, "anna", o, False, ()),
    )
    rig.start()
    rig.until(lambda: len(rig.sent) >= 8)
    assert [t.source for t in rig.sent[:8]] == [Source.POLICY] * 3 + [Source.HOLD] * 5
    assert rig.sent[5].source_detail == "anna in control, its device lost"
    assert rig.environment.actions[4] is None


def test_an_operator_that_died_with_the_arm_is_succeeded(rigs) -> None:
    rig = rigs(operator=True)
    rig.answer = lambda o: (rig.act(o), say(rig, "bert" if o.step else "anna", o))
    rig.start()
    rig.until(lambda: len(rig.sent) >= 3)
    assert [t.source_detail for t in rig.sent[:3]] == ["anna", "bert", "bert"]
