# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""New weights are timed from the learner's memory to the actor's first action by them."""

from serl_bringup.weights_bench_node import benchmark_weights


def test_new_weights_and_the_answers_beside_them_are_timed():
    figures = benchmark_weights(swaps=3, seconds=0.6)
    assert 5.0 < figures["policy_mb"] < 5.5
    for name in ("until_used_ms", "answer_ms", "answer_with_weights_ms"):
        assert 0.0 < figures[name] <= figures[f"{name}_p99"]
    assert figures["until_used_ms"] > 1.0, "packing and transport take their time"
    assert 0.0 <= figures["late_share"] <= 1.0
