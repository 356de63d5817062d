# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Intervals against published values, direct definitions and their coverage."""

import math

import numpy as np
import pytest

from serl_bringup.statistics import (
    duration_text,
    human_seconds,
    human_share,
    mean_interval,
    moving_rate,
    wilson_interval,
)
from serl_core.types import EpisodeSummary


@pytest.mark.parametrize("successes, trials", [(1, 10), (5, 10), (81, 263), (99, 100)])
def test_wilson_bounds_solve_their_equation(successes, trials):
    # The bounds are the rates p at which the observed rate is exactly z standard errors away.
    for p in wilson_interval(successes, trials):
        assert (successes / trials - p) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / trials, rel=1e-5)


def test_wilson_at_the_ends():
    low, high = wilson_interval(100, 100)
    assert high == 1.0 and low == pytest.approx(0.9630, abs=1e-4)
    assert wilson_interval(0, 100) == pytest.approx((0.0, 1 - low))
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="11 of 10"):
        wilson_interval(11, 10)


def test_moving_rate_is_the_mean_of_the_window():
    outcomes = list(np.random.default_rng(0).random(60) < 0.5)
    rates = moving_rate(outcomes, 20)
    assert rates == pytest.approx([np.mean(outcomes[max(0, i - 19) : i + 1]) for i in range(60)])
    assert moving_rate([]) == []
    with pytest.raises(ValueError, match="window"):
        moving_rate(outcomes, 0)


def test_mean_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for sample in generator.normal(3.0, 2.0, (400, 5)):
        mean, low, high = mean_interval(sample)
        assert mean == pytest.approx(np.mean(sample))
        covered += low <= 3.0 <= high
    assert 0.92 < covered / 400 < 0.98


def test_a_persons_share_is_of_steps_and_their_time_of_the_episodes():
    long, short, none = (
        EpisodeSummary("t", "e", i, 0.0, steps, 0.0, False, 0.1 * steps, human, 0, 1, 0.0, 0, "")
        for i, (steps, human) in enumerate([(90, 45), (10, 0), (0, 0)])
    )
    assert human_share([long, short, none]) == 0.45, "of all steps, not the mean of the episodes"
    assert human_seconds(long) == pytest.approx(4.5)
    assert human_seconds(none) == 0.0 and math.isnan(human_share([none])) and math.isnan(human_share([]))


def test_mean_interval_of_few():
    assert all(map(math.isnan, mean_interval([])))
    mean, low, high = mean_interval([2.0])
    assert mean == 2.0 and math.isnan(low) and math.isnan(high)
    assert mean_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.0, "0.0 s"),
        (4.24, "4.2 s"),
        (9.97, "10 s"),
        (59.6, "1 min 00 s"),
        (187.0, "3 min 07 s"),
        (3599.9, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (-3.0, "-3.0 s"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration_text(seconds) == text
