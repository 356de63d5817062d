# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Verdicts across processes: one for each observation, and none that a step waits for too long."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

from serl_core.types import Observation, RewardSignal
from serl_reward.awaited import UNKNOWN, AwaitedReward, AwaitedRewardConfig, VerdictSlot
from serl_reward.judge import Judge


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """A reward that remembers: success at its third call in an episode, and takes 10 ms."""

    name, cameras = "counting", ()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calls = 0
        self.resets = 0

    def reset(self) -> None:
        self.calls = 0
        self.resets += 1

    def __call__(
        self, state: dict[str, np.ndarray], images: dict[str, np.ndarray] | None = None
    ) -> RewardSignal:
        self.calls += 1
        self._clock.now += 0.01
        return RewardSignal(float(self.calls == 3), self.calls == 3, self.name)


class Bench:
    """A judge and what it needs."""

    def __init__(self, deadline_s: float = 0.05) -> None:
        self.clock = Clock()
        self.reward = Counting(self.clock)
        self.judge = Judge(self.reward, deadline_s)

    def see(self, episode: int, step: int, waited: float = 0.0) -> RewardSignal | None:
        observation = Observation(episode, step, 0.1 * step, {})
        return self.judge.judge(observation, self.clock.now - waited, self.clock)


def test_each_observation_is_judged_in_turn() -> None:
    bench = Bench()
    assert [bench.see(0, step).success for step in range(4)] == [False, False, True, False]
    assert bench.reward.resets == 1
    assert [bench.see(1, step).success for step in range(3)] == [False, False, True]
    assert bench.reward.resets == 2
    assert (bench.judge.judged, bench.judge.missed, bench.judge.late) == (7, 0, 0)


def test_an_observation_that_comes_again_gets_the_same_verdict_and_counts_once() -> None:
    bench = Bench()
    verdicts = [
        bench.see(0, 0),
        bench.see(0, 0),
        bench.see(0, 0),
        bench.see(0, 1),
        bench.see(0, 1),
        bench.see(0, 2),
    ]
    assert [v.success for v in verdicts] == [False] * 5 + [True]
    assert bench.judge.judged == 3


def test_what_is_older_than_the_last_verdict_gets_none() -> None:
    bench = Bench()
    bench.see(3, 5)
    assert bench.see(3, 4) is None
    assert bench.see(2, 9) is None
    assert bench.judge.judged == 1


def test_steps_that_never_came_are_counted() -> None:
    bench = Bench()
    bench.see(0, 2)
    bench.see(0, 3)
    bench.see(0, 6)
    bench.see(1, 1)
    assert bench.judge.missed == 2 + 2 + 1


def test_another_environment_starts_from_its_first_episode() -> None:
    bench = Bench()
    bench.see(7, 1)
    bench.judge.restart()
    assert bench.see(0, 0) is not None
    assert bench.reward.resets == 2


def test_verdicts_after_the_deadline_are_counted() -> None:
    bench = Bench(deadline_s=0.05)
    bench.see(0, 0, waited=0.0399)
    bench.see(0, 1, waited=0.0401)
    assert bench.judge.late == 1
    figures = bench.judge.figures()
    assert figures["p50_ms"] == pytest.approx(50.0, abs=0.2)
    assert figures["p99_ms"] >= figures["p50_ms"]


def test_there_are_no_times_before_the_first_verdict() -> None:
    assert Bench().judge.figures() == {"judged": 0, "missed": 0, "late": 0}


YES = RewardSignal(1.0, True, "classifier", 0.97)


def test_a_verdict_that_is_there_is_taken_at_once() -> None:
    slot = VerdictSlot()
    slot.put(0, 1, YES)
    assert slot.wait(0, 1, 0.0) == YES
    assert (slot.unknown, slot.late) == (0, 0)


def test_a_verdict_that_comes_in_time_ends_the_wait() -> None:
    slot = VerdictSlot()
    timer = threading.Timer(0.05, slot.put, (0, 1, YES))
    timer.start()
    assert slot.wait(0, 1, 30.0) == YES
    timer.join()


def test_no_verdict_in_time_is_unknown_and_no_success() -> None:
    slot = VerdictSlot()
    verdict = slot.wait(0, 1, 0.0)
    assert (verdict.value, verdict.success, verdict.source) == (0.0, False, UNKNOWN)
    assert math.isnan(verdict.probability)
    assert slot.unknown == 1


def test_a_late_verdict_is_counted_and_never_taken_for_a_later_step() -> None:
    slot = VerdictSlot()
    slot.wait(0, 1, 0.0)
    slot.put(0, 1, YES)
    assert slot.late == 1
    assert slot.wait(0, 2, 0.0).source == UNKNOWN
    slot.put(0, 1, YES)
    assert slot.late == 1, "said again it is not late again"
    slot.put(0, 2, YES)
    assert slot.wait(1, 0, 0.0).source == UNKNOWN
    assert (slot.late, slot.unknown) == (2, 3)


@pytest.mark.parametrize("verdict", [YES, RewardSignal(math.nan, False, "broken")])
def test_a_verdict_that_came_in_time_is_not_late_when_it_is_said_again(verdict: RewardSignal) -> None:
    slot = VerdictSlot()
    slot.put(0, 1, verdict)
    slot.wait(0, 1, 0.0)
    slot.put(0, 1, verdict)
    slot.wait(0, 2, 0.0)
    slot.put(0, 1, verdict)
    assert slot.late == 0


def test_a_verdict_of_a_coming_step_waits_for_it() -> None:
    slot = VerdictSlot()
    slot.put(0, 2, YES)
    assert slot.wait(0, 2, 0.0) == YES


def test_a_verdict_is_taken_once() -> None:
    slot = VerdictSlot()
    slot.put(0, 1, YES)
    slot.wait(0, 1, 0.0)
    assert slot.wait(0, 1, 0.0).source == UNKNOWN


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_unknown(value: float) -> None:
    slot = VerdictSlot()
    slot.put(0, 1, RewardSignal(value, True, "broken"))
    verdict = slot.wait(0, 1, 0.0)
    assert (verdict.value, verdict.success, verdict.source) == (0.0, False, UNKNOWN)
    assert slot.unknown == 1


def test_a_stop_ends_the_wait_and_all_later_ones() -> None:
    slot = VerdictSlot()
    timer = threading.Timer(0.05, slot.close)
    timer.start()
    began = time.monotonic()
    assert [slot.wait(0, step, 60.0).source for step in (1, 2)] == [UNKNOWN] * 2
    assert time.monotonic() - began < 30.0
    timer.join()


def test_what_has_come_before_a_stop_still_counts() -> None:
    slot = VerdictSlot()
    slot.put(0, 1, YES)
    slot.close()
    assert slot.wait(0, 1, 60.0) == YES


def test_an_environment_that_awaits_its_verdicts_judges_nothing_itself() -> None:
    reward = AwaitedReward.from_parameters(AwaitedRewardConfig(("wrist",), 0.001))
    assert reward.cameras == ("wrist",)
    verdict = reward({})
    assert (verdict.value, verdict.success, verdict.source) == (0.0, False, UNKNOWN)
    reward.verdicts.put(0, 1, YES)
    assert reward.await_verdict(0, 1) == YES
    assert reward.await_verdict(0, 2).source == UNKNOWN
