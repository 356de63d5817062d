# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From a classifier's logits to probabilities that mean what they say, and to a threshold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

ECE_BINS = 15
LOWEST_THRESHOLD = 0.5
"""What is more likely a failure than a success is never called a success."""


@dataclass(frozen=True)
class Calibration:
    """Probability of success: sigmoid(logit / temperature + bias).

    Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks") with a bias, since batches
    are balanced and the data are not.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities of success for logits of any shape."""
        return expit(np.asarray(logits, float) / self.temperature + self.bias)


def calibrate(logits: np.ndarray, success: np.ndarray) -> Calibration:
    """Fit a calibration to held-out logits (n,) and labels (n,) by likelihood.

    Labels are taken as (n+ + 1) / (n+ + 2) and 1 / (n- + 2) (Platt 1999): where the classes are separable, they
    would else call for a temperature of 0.
    """
    positives, negatives = np.count_nonzero(success), np.count_nonzero(~success)
    target = np.where(success, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(-x[0])
        z = logits * scale + x[1]
        slope = expit(z) - target
        value = np.mean(np.logaddexp(0.0, z) - target * z)
        return float(value), np.array([np.mean(-slope * logits * scale), np.mean(slope)])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-3.0, 5.0), (-10.0, 10.0)])
    return Calibration(float(np.exp(found.x[0])), float(found.x[1]))


def expected_calibration_error(probability: np.ndarray, success: np.ndarray) -> float:
    """Return the mean distance of probability from frequency over equally wide bins, weighted by their counts."""
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    total = 0.0
    for index in np.unique(bins):
        here = bins == index
        total += abs(probability[here].mean() - success[here].mean()) * here.mean()
    return float(total)


def choose_threshold(probability: np.ndarray, success: np.ndarray, min_precision: float) -> float:
    """Return the threshold with the best recall among those that keep `min_precision`.

    A false success is what reinforcement learning exploits, so precision goes first. Candidates lie midway
    between neighbouring probabilities, on the logit scale; of several with the same recall the one in the widest
    gap wins. Where none keeps the precision, the one with the best does, and where no success can be found at all,
    one that calls none; never below `LOWEST_THRESHOLD`.
    """
    logits = logit(np.clip(probability, 1e-9, 1 - 1e-9))
    points = np.unique(np.append(logits[logits > 0.0], 0.0))
    gaps = [(0.0, 0.0), *itertools.pairwise(points)]
    best: tuple[tuple[float, ...], float] = ((-1.0,), float(expit(points[-1] + 1e-3)))
    for low, high in gaps:
        threshold = float(expit(0.5 * (low + high)))
        scores = score(probability, success, threshold)
        if scores.recall > 0.0:
            enough = scores.precision >= min_precision
            best = max(
                best, ((float(enough), scores.recall if enough else scores.precision, high - low), threshold)
            )
    return best[1]


@dataclass(frozen=True)
class Scores:
    """How verdicts compare with labels.

    Attributes:
        positives, negatives: Labels of each class.
        accuracy: Share of right verdicts.
        precision: Share of true ones among called successes; 1 where there are none.
        recall: Share of successes that were called so; 1 where there are none.
        false_positives, false_negatives: Wrong verdicts.
        ece: Expected calibration error.
    """

    positives: int
    negatives: int
    accuracy: float
    precision: float
    recall: float
    false_positives: int
    false_negatives: int
    ece: float


def score(probability: np.ndarray, success: np.ndarray, threshold: float | np.ndarray) -> Scores:
    """Return the scores of probabilities (n,) against labels (n,); a threshold may be given for each."""
    called = probability >= threshold
    hits = int(np.count_nonzero(called & success))
    wrong_yes, wrong_no = int(np.count_nonzero(called & ~success)), int(np.count_nonzero(~called & success))
    positives = int(np.count_nonzero(success))
    return Scores(
        positives=positives,
        negatives=int(success.size) - positives,
        accuracy=float(np.mean(called == success)) if success.size else float("nan"),
        precision=hits / (hits + wrong_yes) if hits + wrong_yes else 1.0,
        recall=hits / positives if positives else 1.0,
        false_positives=wrong_yes,
        false_negatives=wrong_no,
        ece=expected_calibration_error(probability, success) if success.size else float("nan"),
    )


def cross_fitted(
    logits: np.ndarray, success: np.ndarray, episodes: Sequence[object], min_precision: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return honest probabilities (n,) and thresholds (n,) for held-out frames.

    Calibration and threshold are fitted to held-out frames too, so figures on the same frames would flatter. Here
    the episodes are dealt into two halves and each is judged by what was fitted to the other.

    Returns:
        None where a half would lack a class: too few held-out episodes.
    """
    order: dict[object, None] = {}
    for label in (True, False):  # deal out the episodes with successes first, so that both halves get some
        order.update(dict.fromkeys(e for e, s in zip(episodes, success, strict=True) if s == label))
    half = {episode: place % 2 for place, episode in enumerate(order)}
    halves = np.array([half[episode] for episode in episodes])
    probability, threshold = np.zeros(logits.shape), np.zeros(logits.shape)
    for here in (0, 1):
        other = halves != here
        if not success[other].any() or success[other].all():
            return None
        fitted = calibrate(logits[other], success[other])
        probability[~other] = fitted.probability(logits[~other])
        threshold[~other] = choose_threshold(fitted.probability(logits[other]), success[other], min_precision)
    return probability, threshold
