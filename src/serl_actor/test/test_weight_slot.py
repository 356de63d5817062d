# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Weights arrive beside the acting thread: latest wins, bad ones change nothing, nobody waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from serl_actor.weight_slot import WeightSlot
from serl_core.errors import SchemaError
from serl_core.types import PolicyWeights

PATIENCE = 20.0


def weights(version: int) -> PolicyWeights:
    return PolicyWeights("task", "fingerprint", version, "checksum", b"")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.001)


class Workshop:
    """Builds policies (their version numbers), slowly or not at all when told so."""

    def __init__(self) -> None:
        self.may_build = threading.Event()
        self.may_build.set()
        self.begun: list[int] = []
        self.reasons: list[str] = []
        self.error: Exception | None = None
        self.slot: WeightSlot[int] = WeightSlot(self.build, self.reasons.append)

    def build(self, arrived: PolicyWeights) -> int:
        self.begun.append(arrived.version)
        assert self.may_build.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return arrived.version


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    made = Workshop()
    yield made
    made.may_build.set()
    made.slot.close()
    assert not made.slot._thread.is_alive()


def test_there_is_no_policy_before_the_first_weights(workshop: Workshop) -> None:
    assert workshop.slot.take() is None


def test_weights_become_the_policy_and_stay_it(workshop: Workshop) -> None:
    workshop.slot.put(weights(3))
    until(lambda: workshop.slot.take() == 3)
    assert workshop.slot.take() == 3
    assert (workshop.slot.received, workshop.slot.rejected) == (1, 0)


def test_the_latest_wins_and_those_in_between_are_never_built(workshop: Workshop) -> None:
    workshop.may_build.clear()
    workshop.slot.put(weights(1))
    until(lambda: workshop.begun == [1])
    for version in range(2, 10):
        workshop.slot.put(weights(version))
    workshop.may_build.set()
    until(lambda: workshop.slot.take() == 9)
    assert workshop.begun == [1, 9]
    assert workshop.slot.received == 9


def test_taking_does_not_wait_for_a_slow_build(workshop: Workshop) -> None:
    workshop.slot.put(weights(1))
    until(lambda: workshop.slot.take() == 1)
    workshop.may_build.clear()
    workshop.slot.put(weights(2))
    until(lambda: workshop.begun == [1, 2])
    began = time.monotonic()
    assert [workshop.slot.take() for _ in range(100)] == [1] * 100
    workshop.slot.put(weights(3))
    assert time.monotonic() - began < 10.0
    workshop.may_build.set()
    until(lambda: workshop.slot.take() == 3)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SchemaError("weights of another network"), "weights of another network"),
        (KeyError("kernel"), "unusable weights: KeyError('kernel')"),
    ],
)
def test_refused_weights_keep_the_old_policy_and_later_ones_are_heeded(
    workshop: Workshop, error: Exception, reason: str
) -> None:
    workshop.slot.put(weights(1))
    until(lambda: workshop.slot.take() == 1)
    workshop.error = error
    workshop.slot.put(weights(2))
    until(lambda: workshop.slot.rejected == 1 and bool(workshop.reasons))
    assert workshop.reasons == [reason]
    assert workshop.slot.take() == 1
    workshop.error = None
    workshop.slot.put(weights(3))
    until(lambda: workshop.slot.take() == 3)


def test_closing_ends_the_thread_with_weights_still_waiting() -> None:
    workshop = Workshop()
    workshop.may_build.clear()
    workshop.slot.put(weights(1))
    until(lambda: workshop.begun == [1])
    workshop.slot.put(weights(2))
    threading.Timer(0.05, workshop.may_build.set).start()
    workshop.slot.close()
    assert not workshop.slot._thread.is_alive()
    assert workshop.begun == [1]
