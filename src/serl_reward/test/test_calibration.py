# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Probabilities mean what they say, and the threshold keeps what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from serl_reward.classifier.calibration import (
    LOWEST_THRESHOLD,
    Calibration,
    calibrate,
    choose_threshold,
    cross_fitted,
    expected_calibration_error,
    score,
)


def drawn(n: int, temperature: float, bias: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and labels whose true probability is sigmoid(logit / temperature + bias)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 3.0 * temperature, n)
    return logits, rng.random(n) < expit(logits / temperature + bias)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("bias", [-1.6, 0.0, 1.0])
def test_a_known_miscalibration_is_found(temperature: float, bias: float) -> None:
    logits, success = drawn(20_000, temperature, bias)
    found = calibrate(logits, success)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx(bias, abs=0.1)
    fresh, truth = drawn(20_000, temperature, bias, seed=1)
    assert expected_calibration_error(found.probability(fresh), truth) < 0.01


def test_overconfidence_is_what_calibration_takes_away() -> None:
    logits, success = drawn(5_000, 5.0, 0.0)
    raw = expected_calibration_error(Calibration().probability(logits), success)
    assert raw > 0.05
    assert expected_calibration_error(calibrate(logits, success).probability(logits), success) < 0.25 * raw


def test_separable_classes_do_not_make_it_certain() -> None:
    logits = np.array([-4.0] * 50 + [4.0] * 10)
    probability = calibrate(logits, logits > 0).probability(logits)
    assert 0.8 < probability[-1] < 0.99
    assert 0.01 < probability[0] < 0.1


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_any_scale_of_logits_stays_finite_and_in_order(scale: float) -> None:
    logits, success = drawn(200, 1.0, 0.0)
    found = calibrate(scale * logits, success)
    probability = found.probability(np.sort(scale * logits))
    assert np.isfinite(probability).all()
    assert (np.diff(probability) >= 0).all()


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.95, 0.95, 0.95, 0.95, 0.05, 0.05])
    success = np.array([True, True, True, False, False, False])
    assert expected_calibration_error(probability, success) == pytest.approx((4 * 0.2 + 2 * 0.05) / 6)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0.0


def test_scores_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.6, 0.4, 0.2, 0.7])
    success = np.array([True, True, True, True, False, False])
    scores = score(probability, success, 0.65)
    assert (scores.positives, scores.negatives, scores.false_positives, scores.false_negatives) == (
        4,
        2,
        1,
        2,
    )
    assert (scores.accuracy, scores.precision, scores.recall) == (0.5, 2 / 3, 0.5)


def test_scores_where_nothing_is_called_or_there() -> None:
    silent = score(np.array([0.1, 0.2]), np.array([True, False]), 0.5)
    assert (silent.precision, silent.recall) == (1.0, 0.0)
    assert score(np.array([0.1]), np.array([False]), 0.5).recall == 1.0


def test_the_threshold_of_separable_classes_lies_in_the_gap() -> None:
    probability = np.array([0.01, 0.02, 0.6, 0.95, 0.99])
    threshold = choose_threshold(probability, np.array([False, False, False, True, True]), 0.98)
    assert 0.6 < threshold < 0.95
    assert threshold == pytest.approx(expit((np.log(0.6 / 0.4) + np.log(0.95 / 0.05)) / 2))


def test_a_false_success_costs_recall_rather_than_precision() -> None:
    probability = np.array([0.1, 0.7, 0.75, 0.8, 0.9])
    success = np.array([False, True, False, True, True])
    assert choose_threshold(probability, success, 0.98) > 0.75
    assert choose_threshold(probability, success, 0.7) < 0.7


def test_where_no_threshold_is_precise_enough_the_most_precise_is_taken() -> None:
    probability = np.array([0.6, 0.8, 0.95])
    assert 0.6 < choose_threshold(probability, np.array([False, True, False]), 0.98) < 0.8


def test_where_no_success_can_be_found_none_is_called() -> None:
    probability = np.array([0.2, 0.7, 0.9])
    assert choose_threshold(probability, np.array([True, False, False]), 0.98) > 0.9


def test_a_classifier_that_knows_nothing_gets_a_threshold_all_the_same() -> None:
    assert choose_threshold(np.full(10, 0.3), np.arange(10) < 5, 0.98) >= LOWEST_THRESHOLD


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=30), st.floats(0.0, 1.0))
def test_no_other_threshold_keeps_the_precision_and_finds_more(
    rows: list[tuple[float, bool]], wanted: float
) -> None:
    probability, success = np.array([p for p, _ in rows]), np.array([s for _, s in rows])
    threshold = choose_threshold(probability, success, wanted)
    assert LOWEST_THRESHOLD <= threshold <= 1.0
    chosen = score(probability, success, threshold)
    for other in np.unique(np.append(probability[probability >= LOWEST_THRESHOLD], LOWEST_THRESHOLD)):
        if 1e-6 < other < 1 - 1e-6:
            rival = score(probability, success, other)
            if rival.precision >= wanted and rival.recall > 0.0:
                assert chosen.precision >= wanted
                assert chosen.recall >= rival.recall


def test_held_out_frames_are_judged_by_what_was_fitted_to_others() -> None:
    logits, success = drawn(400, 2.0, -1.0)
    episodes = list(np.arange(400) // 50)
    probability, threshold = cross_fitted(logits, success, episodes, 0.9)
    assert len(np.unique(threshold)) == 2, "one for each half"
    # Turning one frame's label round moves the figures of the other half only.
    turned = success.copy()
    turned[0] = ~turned[0]
    again, _ = cross_fitted(logits, turned, episodes, 0.9)
    changed = again != probability
    assert not changed[:50].any()
    assert changed.any()


def test_too_few_held_out_episodes_cannot_be_fitted_apart() -> None:
    logits, success = drawn(60, 1.0, 0.0)
    assert cross_fitted(logits, success, [0] * 60, 0.9) is None
    assert cross_fitted(logits, success, [0] * 30 + [1] * 30, 0.9) is not None
    only_first = np.arange(60) < 10
    assert cross_fitted(logits, only_first, [0] * 30 + [1] * 30, 0.9) is None
