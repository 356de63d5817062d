# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A person's word at an episode's end, in time or late, is that episode's outcome and nothing else's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Transition
from serl_learner.bag import content_hash
from serl_learner.bag.labels import (
    HUMAN,
    Labels,
    judged_by_human,
    read_labels,
    relabelled,
    write_labels,
)
from serl_reward.assembly import make_reward

SPEC = fake_spec()
OUTCOME = ("reward", "reward_source", "discount", "success")


def run(outcomes: list[bool], env_id: str = "env-a") -> list[Transition]:
    """Episodes of four steps that ended as given."""
    rng = np.random.default_rng(0)
    return [
        t
        for number, success in enumerate(outcomes)
        for t in random_episode(SPEC, rng, 4, env_id, 4 * number + 1, episode_id=number, success=success)
    ]


def outcome(transition: Transition) -> tuple[object, ...]:
    return tuple(getattr(transition, name) for name in OUTCOME)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("word", [True, False])
def test_the_word_decides_whatever_was_said_before(before: bool, word: bool) -> None:
    last = run([before])[-1]
    judged = judged_by_human(last, word)
    assert outcome(judged) == ((1.0, HUMAN, 0.0, True) if word else (0.0, HUMAN, 1.0, False))
    for field in dataclasses.fields(Transition):
        if field.name not in OUTCOME:
            assert getattr(judged, field.name) is getattr(last, field.name), field.name


def test_only_the_last_step_is_touched() -> None:
    for transition in run([True])[:-1]:
        assert judged_by_human(transition, True) is transition


def test_a_late_word_reaches_its_episode_and_no_other() -> None:
    transitions = [*run([False, False, True]), *run([False, True], "env-b")]
    word = {("env-a", 1): True, ("env-b", 1): False, ("env-c", 0): True}
    after = list(relabelled(transitions, word))
    assert [t.sequence for t in after] == [t.sequence for t in transitions]
    changed = [
        (t.env_id, t.episode_id, t.step) for s, t in zip(transitions, after, strict=True) if t is not s
    ]
    assert changed == [("env-a", 1, 3), ("env-b", 1, 3)]
    assert [outcome(t) for s, t in zip(transitions, after, strict=True) if t is not s] == [
        (1.0, HUMAN, 0.0, True),
        (0.0, HUMAN, 1.0, False),
    ]


def test_a_word_may_be_taken_back() -> None:
    transitions = run([False])
    once = list(relabelled(transitions, {("env-a", 0): True}))
    again = list(relabelled(once, {("env-a", 0): False}))
    assert (again[-1].reward, again[-1].discount, again[-1].success) == (0.0, 1.0, False)


def test_no_words_no_change() -> None:
    transitions = run([True, False])
    assert content_hash(list(relabelled(transitions, {}))) == content_hash(transitions)


def test_words_are_kept_beside_the_bag(tmp_path: Path) -> None:
    write_labels(tmp_path, Labels(episodes={("env-a", 0): True}))
    after = list(relabelled(run([False]), read_labels(tmp_path).episodes))
    assert after[-1].success


def test_until_the_word_comes_nothing_is_rewarded_and_nothing_ends() -> None:
    reward = make_reward("serl_reward.human:HumanReward", lambda config: config())
    verdict = reward({})
    assert (verdict.value, verdict.success, verdict.source) == (0.0, False, "human (awaited)")
    assert np.isnan(verdict.probability)
