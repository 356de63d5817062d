# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Latency is told over the recent answers."""

import time

from serl_core import contract
from serl_core.latency import RecentLatencies


def test_figures_are_of_the_recent_answers_only():
    latencies = RecentLatencies(count=100)
    assert latencies.figures() == {}
    latencies.add(30.0)  # a first answer that had to wait for compilation
    for _ in range(99):
        latencies.add(0.002)
    assert latencies.figures()["p50_ms"] == 2.0
    assert latencies.figures()["p99_ms"] > 2.0
    latencies.add(0.002)
    assert latencies.figures() == {"p50_ms": 2.0, "p99_ms": 2.0}


def test_age_counts_from_reception_and_is_never_negative():
    now = time.time_ns()
    assert 1.0 <= contract.age({"received_timestamp": now - 10**9}) < 60.0
    assert contract.age({"received_timestamp": now + 10**12}) == 0.0
