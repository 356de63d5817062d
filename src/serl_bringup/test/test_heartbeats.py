# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A node that fails or falls silent is noticed, with the reason; one that has not spoken yet is not lost."""

import pytest

from serl_bringup.heartbeats import ERROR, Heartbeats, NodeLost


def heard(*events: tuple[str, int, str, float], timeout: float = 5.0) -> Heartbeats:
    beats = Heartbeats(["/env", "/actor"], timeout)
    for event in events:
        beats.hear(*event)
    return beats


def test_silence_counts_from_the_first_sign_of_life_on() -> None:
    beats = heard()
    beats.check(1e9)
    beats.hear("/env", 0, "", 10.0)
    beats.check(15.0)
    with pytest.raises(NodeLost, match=r"/env is lost: no diagnostics for 5\.1 s"):
        beats.check(15.1)
    beats.hear("/env", 0, "", 16.0)
    beats.check(20.0)


def test_a_failure_is_told_in_the_nodes_own_words_and_is_for_good() -> None:
    beats = heard(("/env", ERROR, "the arm cannot be reset", 1.0), ("/env", 0, "", 2.0))
    with pytest.raises(NodeLost, match="/env failed: the arm cannot be reset"):
        beats.check(2.0)


def test_a_warning_is_no_failure_and_strangers_do_not_count() -> None:
    beats = heard(("/env", 1, "late", 1.0), ("/stranger", ERROR, "broken", 1.0))
    beats.check(2.0)
    assert beats.ages(3.0) == {"/env": 2.0}


def test_any_one_of_them_will_do() -> None:
    beats = heard(("/env", 0, "", 10.0), ("/actor", 0, "", 1.0))
    with pytest.raises(NodeLost, match="/actor"):
        beats.check(10.0)
