# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import json
import math

from serl_learner.agents.config import RLPDConfig
from serl_learner.bench import benchmark_images, benchmark_learner


def test_the_benchmark_measures_both_in_one_run():
    figures = benchmark_learner(
        0.0,
        RLPDConfig(hidden_sizes=(16,), ensemble_size=2, batch_size=32, utd_ratio=3),
        beside=lambda: (3.0, 6.0),
    )
    assert json.loads(json.dumps(figures)) == figures
    assert figures.pop("device_kind")
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    assert math.isclose(figures["critic_updates_per_second"] * figures["critic_update_ms"], 1000.0)
    assert figures["serl_critic_update_ms"] == 1000.0 and figures["ratio_to_serl"] > 1.0
    assert figures["batch_size"] == 32 and figures["ensemble_size"] == 2


def test_the_benchmark_from_cameras_measures_both_ways():
    config = RLPDConfig(
        hidden_sizes=(8,), ensemble_size=2, batch_size=4, utd_ratio=1, bottleneck_size=8, proprio_size=4
    )
    figures = benchmark_images(0.0, config, side=16, filters=(4, 4, 4, 8), beside=lambda: (3.0, 6.0))
    assert json.loads(json.dumps(figures)) == figures
    assert figures.pop("device_kind")
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    ratio = figures["update_ms_per_sample"] / figures["update_ms_cached"]
    assert (
        math.isclose(figures["speedup_of_cache"], ratio) and figures["action_ms_p99"] >= figures["action_ms"]
    )
    with_features = figures["update_ms_cached"] + figures["features_ms_per_frame"]
    assert math.isclose(figures["ratio_to_serl_with_features"], 3000.0 / with_features)
    assert figures["ratio_to_serl_with_features"] < figures["ratio_to_serl"]
