# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark measures what it says."""

import pytest

from serl_reward.classifier import bench
from serl_reward.classifier.config import TrainingConfig


def test_the_benchmark_trains_and_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESNET10", (4, 4, 8, 8))
    config = TrainingConfig(
        positives=12, negatives=28, updates=2, batch_size=4, filters=(4, 4, 4), hidden_size=8
    )
    figures = bench.benchmark_classifier(calls=3, config=config)
    assert figures["training_s"] > 0.0
    assert 20 <= figures["training_frames"] < 40
    for encoder in ("small", "resnet10"):
        assert 0.0 < figures[f"{encoder}_p50_ms"] <= figures[f"{encoder}_p99_ms"]
