# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The actor's own process is timed, from observation to action."""

from serl_bringup.bench import time_actions


def test_every_observation_is_answered_by_the_actor_process():
    measured = time_actions(filters=(4, 4, 4, 4), side=16, count=5)
    for figures in (measured["node"], measured["round_trip"]):
        assert 0.0 < figures["p50_ms"] <= figures["p99_ms"]
    assert measured["node"]["p50_ms"] <= measured["round_trip"]["p99_ms"] < 10_000.0
