# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Verdicts of another process: they end the task, and no step waits for them longer than it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from serl_core.errors import ConfigError
from serl_core.interfaces import StepResult
from serl_core.testing.fakes import FakeEnvironment, FakePolicy
from serl_core.types import Action, Observation, RewardSignal, Transition, TransitionAck
from serl_env_node.config import EnvConfig
from serl_env_node.driver import EnvDriver, Outlets
from serl_env_node.step_loop import StepLoop
from serl_reward.awaited import UNKNOWN, AwaitedReward, AwaitedRewardConfig

PATIENCE = 20.0
"""Longest that a test waits for something that must happen [s]; a loaded machine is slow."""


class Unjudged(FakeEnvironment):
    """An environment that never says success itself, as with `AwaitedReward`."""

    def step(self, action: Any) -> StepResult:
        result = super().step(action)
        self._ready = True
        return StepResult(result.state, result.images, RewardSignal(0.0, False, UNKNOWN))


class Rig:
    """A driver with an actor, a receiver, and a reward process that `judge` stands for."""

    def __init__(
        self, judge: Callable[[Observation], RewardSignal | None], timeout_s: float, **settings: Any
    ) -> None:
        self.judge = judge
        self.asked: list[tuple[int, int]] = []
        self.finals: list[Observation] = []
        self.sent: list[Transition] = []
        self.awaited = AwaitedReward(AwaitedRewardConfig(reward_timeout_s=timeout_s))
        self.driver: EnvDriver[Transition] = EnvDriver(
            StepLoop(Unjudged(max_steps=6), "env-1"),
            EnvConfig(**settings),
            Outlets(
                observation=self.observe,
                final=self.finals.append,
                encode=lambda transition: transition,
                transition=self.receive,
                episode=lambda _: None,
                stepped=lambda _: None,
            ),
            self.awaited,
        )
        self.thread = threading.Thread(target=self.driver.run, daemon=True)

    def observe(self, observation: Observation) -> None:
        place = (observation.episode_id, observation.step)
        self.asked.append(place)
        self.driver.put_action(Action(*place, 1, FakePolicy().act(observation)))
        verdict = self.judge(observation)
        if verdict is not None:
            self.awaited.verdicts.put(*place, verdict)

    def receive(self, transition: Transition) -> None:
        self.sent.append(transition)
        self.driver.acknowledge(TransitionAck("env-1", transition.sequence, 1, False, 10**9))

    def run(self) -> list[Transition]:
        self.driver.acknowledge(TransitionAck("env-1", 0, 1, False, 10**9))
        self.thread.start()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.sent


def success_at(step: int) -> Callable[[Observation], RewardSignal]:
    return lambda o: RewardSignal(float(o.step == step), o.step == step, "classifier", 0.9)


@pytest.mark.parametrize(("real_time_factor", "timeout_s"), [(0.0, PATIENCE), (100.0, 0.001)])
def test_the_verdict_on_its_outcome_is_the_step_s_reward_and_ends_the_task(
    real_time_factor: float, timeout_s: float
) -> None:
    sent = Rig(
        success_at(3), timeout_s, max_episodes=2, real_time_factor=real_time_factor, action_timeout_s=1.0
    ).run()
    assert [(t.episode_id, t.step, t.reward, t.discount, t.last, t.success) for t in sent] == [
        (e, s, float(s == 2), float(s < 2), s == 2, s == 2) for e in range(2) for s in range(3)
    ]
    assert {t.reward_source for t in sent} == {"classifier"}


def test_each_observation_goes_out_once() -> None:
    rig = Rig(success_at(3), PATIENCE, max_episodes=1)
    rig.run()
    assert rig.asked == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert rig.finals == [], "the last one went out for its verdict"


def test_a_verdict_that_does_not_come_is_unknown_and_the_episode_goes_on() -> None:
    rig = Rig(
        lambda o: None if o.step == 2 else RewardSignal(0.0, False, "classifier"), 0.001, max_episodes=1
    )
    sent = rig.run()
    assert [t.reward_source for t in sent] == ["classifier", UNKNOWN, *["classifier"] * 4]
    assert [(t.reward, t.success) for t in sent] == [(0.0, False)] * 6
    assert (sent[-1].discount, sent[-1].last) == (1.0, True), "a time-out bootstraps"
    assert rig.awaited.figures() == {"unknown_rewards": 1, "late_rewards": 0}


def test_a_reward_process_killed_in_an_episode_costs_verdicts_not_steps() -> None:
    rig = Rig(lambda o: RewardSignal(0.0, False, "classifier") if o.step < 3 else None, 0.001, max_episodes=2)
    sent = rig.run()
    assert len(sent) == 12
    assert rig.awaited.figures()["unknown_rewards"] == 8


def test_a_verdict_repeated_to_a_slow_actor_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serl_env_node.driver.ASK_AGAIN_SECONDS", 0.001)
    rig = Rig(lambda _: RewardSignal(0.0, False, "classifier"), PATIENCE, max_episodes=1)
    put_action, quick = rig.driver.put_action, {(0, 0)}

    def put_action_when_asked_again(action: Action) -> None:
        place = (action.episode_id, action.step)
        if place in quick or rig.asked.count(place) > 3:
            put_action(action)

    rig.driver.put_action = put_action_when_asked_again  # type: ignore[method-assign]
    rig.run()
    assert all(rig.asked.count((0, step)) > 3 for step in range(1, 6))
    assert rig.awaited.figures() == {"unknown_rewards": 0, "late_rewards": 0}


@pytest.mark.parametrize("live", [False, True])
def test_in_real_time_no_verdict_may_be_awaited_past_the_period(
    live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unjudged, "live", live)
    with pytest.raises(ConfigError, match="reward_timeout_s: 0.051 s exceeds the period of 0.05 s") as raised:
        Rig(success_at(3), 0.051, real_time_factor=2.0)
    assert "\n" not in str(raised.value)
    Rig(success_at(3), 0.05, real_time_factor=2.0)


def test_a_live_environment_s_period_counts_with_no_factor_and_lockstep_s_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Rig(success_at(3), 60.0)  # the arm's time stands still meanwhile
    monkeypatch.setattr(Unjudged, "live", True)
    with pytest.raises(ConfigError, match="exceeds the period of 0.1 s"):
        Rig(success_at(3), 60.0)


def test_a_stop_does_not_wait_for_a_verdict() -> None:
    rig = Rig(lambda _: None, 60.0)
    rig.driver.acknowledge(TransitionAck("env-1", 0, 1, False, 10**9))
    rig.thread.start()
    end = time.monotonic() + PATIENCE
    while len(rig.asked) < 2:
        assert time.monotonic() < end
        time.sleep(0.002)
    rig.driver.stop()
    rig.thread.join(PATIENCE)
    assert not rig.thread.is_alive()
