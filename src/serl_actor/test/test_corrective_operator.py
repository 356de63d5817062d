# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The scripted person leaves a good policy alone, helps a bad one in time, and lets go again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest

from serl_actor.intervention.caution import caution
from serl_actor.intervention.config import OperatorConfig
from serl_actor.intervention.corrective import Corrector, Demonstrator, scripted_operator
from serl_core.errors import ConfigError
from serl_core.types import EpisodeSummary, Observation, Source

STEP_S = 0.1
STRIDE = 0.01
START = np.array([0.05, 0.02, 0.06])
REACHED = 0.004
STEPS = 100

CONFIG = OperatorConfig(style="corrective", seed=3)
SLOWEST = 1.5 * CONFIG.reaction_s + STEP_S
"""Longest from trouble to take-over: the slowest reaction, noticed at a step [s]."""

Policy = Callable[[np.ndarray], np.ndarray]


class Straight:
    """An expert that walks to the goal at half of the full speed."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return walk(observation["goal_pose"][:3])


def walk(to_goal: np.ndarray, speed: float = 0.5) -> np.ndarray:
    return np.concatenate(
        [speed * to_goal / max(float(np.linalg.norm(to_goal)), STRIDE * speed), np.zeros(3)]
    )


class Episode:
    """A point that moves by the actions until it reaches the goal, with a policy and an operator."""

    def __init__(self, operator: Corrector, policy: Policy, number: int = 0) -> None:
        self.sources: list[Source] = []
        self.distances: list[float] = []
        to_goal = START.copy()
        for step in range(STEPS):
            self.distances.append(float(np.linalg.norm(to_goal)))
            state = {"goal_pose": np.concatenate([to_goal, np.zeros(3)]).astype(np.float32)}
            word = operator.word(Observation(number, step, (1000 * number + step) * STEP_S, state))
            assert (word.episode_id, word.step, word.device) == (number, step, "scripted")
            action = word.data if word.active else policy(to_goal)
            assert np.abs(action).max() <= 1.0
            assert (word.data.size == 0) is not word.active
            self.sources.append(Source.HUMAN if word.active else Source.POLICY)
            to_goal = to_goal - STRIDE * action[:3]
            if np.linalg.norm(to_goal) < REACHED:
                break
        self.success = bool(np.linalg.norm(to_goal) < REACHED)
        runs = groupby(self.sources, lambda source: source is Source.HUMAN)
        self.interventions = [sum(1 for _ in run) for human, run in runs if human]

    @property
    def first(self) -> int:
        return self.sources.index(Source.HUMAN)


def corrector(**changes: object) -> Corrector:
    return Corrector(Straight(), replace(CONFIG, **changes))


def stuck(_: np.ndarray) -> np.ndarray:
    return np.zeros(6)


def away(to_goal: np.ndarray) -> np.ndarray:
    return -walk(to_goal)


@pytest.mark.parametrize("speed", [1.0, 0.5, 0.2])
def test_a_good_policy_is_left_alone(speed: float) -> None:
    operator = corrector()
    for number in range(5):
        episode = Episode(operator, lambda d: walk(d, speed), number)
        assert episode.success and not episode.interventions


def test_a_policy_that_wiggles_on_its_way_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    episode = Episode(corrector(), lambda d: np.clip(walk(d, 0.3) + rng.normal(0, 0.4, 6), -1, 1))
    assert episode.success and not episode.interventions


@pytest.mark.parametrize("seed", range(8))
def test_a_stuck_policy_is_helped_within_the_reaction_time(seed: int) -> None:
    first = Episode(corrector(seed=seed), stuck).first * STEP_S
    assert CONFIG.stuck_s + 0.5 * CONFIG.reaction_s <= first <= CONFIG.stuck_s + SLOWEST + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_a_drifting_policy_is_helped_before_it_would_be_called_stuck(seed: int) -> None:
    config = replace(CONFIG, stuck_s=8.0, seed=seed)
    episode = Episode(Corrector(Straight(), config), away)
    drifted = (
        next(n for n, d in enumerate(episode.distances) if d > episode.distances[0] + CONFIG.drift) * STEP_S
    )
    assert drifted + 0.5 * CONFIG.reaction_s - 1e-9 <= episode.first * STEP_S <= drifted + SLOWEST + 1e-9


def test_trouble_that_passes_by_itself_within_the_reaction_time_is_none() -> None:
    calls = iter(range(STEPS))

    def pausing(to_goal: np.ndarray) -> np.ndarray:
        return stuck(to_goal) if next(calls) % 16 < 15 else walk(to_goal, 1.0)

    config = replace(CONFIG, reaction_s=1.0)
    assert not Episode(Corrector(Straight(), config), pausing).interventions


def test_it_lets_go_when_progress_is_made_and_lets_the_policy_be() -> None:
    operator = corrector()
    episode = Episode(operator, stuck)
    needed = CONFIG.correction / (0.5 * STRIDE)  # steps of the expert for a correction
    change = (Source.HUMAN, Source.POLICY)
    ends = [n for n, pair in enumerate(pairwise(episode.sources), start=1) if pair == change]
    assert len(ends) >= 2
    assert all(length <= needed + 2 for length in episode.interventions)
    for end in ends:
        pause = episode.sources[end : end + round(CONFIG.refractory_s / STEP_S)]
        assert set(pause) == {Source.POLICY}


def test_it_lets_go_after_its_longest_time_if_nothing_helps() -> None:
    class Helpless(Straight):
        def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
            return np.zeros(6)

    episode = Episode(Corrector(Helpless(), replace(CONFIG, noise=0.0)), stuck)
    assert episode.interventions[0] * STEP_S == pytest.approx(CONFIG.longest_s)
    assert len(episode.interventions) > 1, "and tries again later"


def test_near_the_goal_it_leaves_the_end_to_the_policy() -> None:
    operator = corrector(correction=0.05)
    episode = Episode(operator, lambda d: walk(d, 1.0) if np.linalg.norm(d) > 0.025 else stuck(d))
    takeover = episode.distances[episode.first]
    assert 0.015 < takeover < 0.025
    back = episode.first + episode.interventions[0]
    assert episode.distances[back] == pytest.approx(0.5 * takeover, abs=0.5 * STRIDE + 0.002)


def test_help_is_sparse_and_short() -> None:
    episode = Episode(corrector(), stuck)
    assert sum(episode.interventions) < 0.5 * len(episode.sources)
    assert max(episode.interventions) * STEP_S <= CONFIG.longest_s


def test_the_rate_falls_as_the_policy_improves() -> None:
    def rate(skill: float) -> float:
        rng, operator = np.random.default_rng(0), corrector()

        def learner(to_goal: np.ndarray) -> np.ndarray:
            return np.clip(skill * walk(to_goal) + (1.0 - skill) * rng.normal(0.0, 0.5, 6), -1.0, 1.0)

        episodes = [Episode(operator, learner, number) for number in range(12)]
        return sum(sum(e.interventions) for e in episodes) / sum(len(e.sources) for e in episodes)

    rates = [rate(skill) for skill in (0.0, 0.15, 0.5, 1.0)]
    assert rates[0] > 0.05
    assert rates == sorted(rates, reverse=True) and rates[-1] == 0.0


def test_episodes_are_judged_apart_and_seeds_repeat() -> None:
    def lengths(seed: int) -> list:
        operator = corrector(seed=seed)
        return [Episode(operator, stuck, number).sources for number in range(3)]

    assert lengths(1) == lengths(1)
    assert lengths(1) != lengths(2)
    for sources in lengths(1):
        assert set(sources[: round(CONFIG.stuck_s / STEP_S)]) == {Source.POLICY}, (
            "nothing carries over a reset"
        )


def test_an_episode_that_ends_in_a_correction_does_not_carry_it_over() -> None:
    operator = corrector()
    state = {"goal_pose": np.full(6, 0.05, np.float32)}
    word = None
    for step in range(40):
        word = operator.word(Observation(0, step, step * STEP_S, state))
        if word.active:
            break
    assert word is not None and word.active
    assert not operator.word(Observation(1, 0, 50.0, state)).active


def test_the_expert_begins_anew_at_each_take_over() -> None:
    expert = Straight()
    episode = Episode(Corrector(expert, CONFIG), stuck)
    assert expert.resets == len(episode.interventions)


def test_what_is_watched_must_be_seen() -> None:
    with pytest.raises(ConfigError, match="did you mean goal_pose"):
        corrector(watch="goal_pos").word(Observation(0, 0, 0.0, {"goal_pose": np.zeros(6)}))


def test_the_style_chooses() -> None:
    assert isinstance(scripted_operator(Straight(), CONFIG), Corrector)
    demonstrator = scripted_operator(Straight(), OperatorConfig())
    assert isinstance(demonstrator, Demonstrator)
    state = {"goal_pose": np.ones(6, np.float32)}
    assert all(demonstrator.word(Observation(0, n, 0.0, state)).active for n in range(5))


# The paper's caution.


def episode(*steps: int, success: bool = True, finished: bool = True) -> EpisodeSummary:
    return EpisodeSummary(
        "t", "e", 0, 0.0, 100, 1.0, success, 10.0, sum(steps), 0, len(steps), 0.0, 1, "",
        intervention_steps=steps, human_at_end=finished and bool(steps),
    )  # fmt: skip


def test_long_interventions_that_finish_the_task_are_warned_of() -> None:
    told = caution([episode(40)] * 4 + [episode()] * 2, STEP_S)
    assert "4 of the last 6 successes" in told and "4.0 s" in told and "\n" not in told


@pytest.mark.parametrize(
    "episodes",
    [
        [],
        [episode(40)] * 2,
        [episode(29)] * 10,
        [episode(40, 5)] * 10,
        [episode(40, success=False)] * 10,
        [episode(40, finished=False)] * 10,
        [episode(40)] * 5 + [episode()] * 5,
        [episode(40)] * 10 + [episode()] * 20,
    ],
    ids=["none", "too few", "short", "short at the end", "failures", "handed back", "half", "long ago"],
)
def test_what_is_no_cause_for_a_warning(episodes: list) -> None:
    assert caution(episodes, STEP_S) == ""
