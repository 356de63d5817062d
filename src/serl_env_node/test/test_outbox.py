# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What is not acknowledged is not forgotten, whatever happens to messages and receiver, and nothing is sent in vain."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_core import contract
from serl_core.errors import SerlError
from serl_core.types import TransitionAck
from serl_env_node.outbox import PATIENCE_SECONDS, WINDOW, Outbox
from serl_learner.intake import Intake

NEVER = 10**9


def ack(sequence: int, epoch: int = 1, resend: bool = False, step_limit: int = 0) -> TransitionAck:
    return TransitionAck("env", sequence, epoch, resend, step_limit)


def due(outbox: Outbox[int]) -> list[int]:
    return list(iter(outbox.take, None))


def filled(count: int = 5) -> Outbox[int]:
    """An outbox that has sent what it may of `count` items."""
    outbox: Outbox[int] = Outbox()
    outbox.acknowledge(ack(0), 0.0)
    for sequence in range(1, count + 1):
        outbox.add(sequence, sequence)
    due(outbox)
    return outbox


def test_an_acknowledgement_forgets_and_sends_nothing() -> None:
    outbox = filled()
    outbox.acknowledge(ack(3, step_limit=40), 0.0)
    assert due(outbox) == []
    assert (len(outbox), outbox.acknowledged, outbox.step_limit) == (2, 3, 40)


def test_acknowledging_twice_or_late_changes_nothing() -> None:
    outbox = filled()
    for sequence in (4, 4, 2, 0):
        outbox.acknowledge(ack(sequence, resend=sequence == 2), 0.0)
        assert due(outbox) == []
    assert (len(outbox), outbox.acknowledged) == (1, 4)


def test_a_restarted_receiver_gets_everything_it_lacks_once() -> None:
    outbox = filled()
    outbox.acknowledge(ack(2, epoch=2), 0.0)
    assert due(outbox) == [3, 4, 5]
    outbox.acknowledge(ack(2, epoch=2), 0.0)
    assert due(outbox) == []


def test_the_first_word_of_a_receiver_counts_as_a_restart() -> None:
    outbox: Outbox[int] = Outbox()
    outbox.add(1, 1)
    assert due(outbox) == [1]
    outbox.acknowledge(ack(0), 0.0)
    assert due(outbox) == [1]


def test_a_gap_is_filled_once_and_after_a_while_again() -> None:
    outbox = filled()
    for now in (0.0, 0.1, 0.2):
        outbox.acknowledge(ack(3, resend=True), now)
        assert due(outbox) == ([4, 5] if now == 0.0 else []), "every arrival behind a gap asks anew"
    outbox.acknowledge(ack(4, resend=True), 0.3)
    assert due(outbox) == [5], "another gap"
    outbox.acknowledge(ack(4), 0.3 + 2.0 * PATIENCE_SECONDS)
    assert due(outbox) == [5], "what was sent again was lost, and nothing behind it tells"


def test_no_more_than_a_window_is_on_its_way_and_two_fit_the_queues() -> None:
    outbox = filled(3 * WINDOW)
    outbox.acknowledge(ack(7), 0.0)
    assert due(outbox) == list(range(WINDOW + 1, WINDOW + 8))
    outbox.acknowledge(ack(7, epoch=2), 0.0)
    assert due(outbox) == list(range(8, WINDOW + 8))
    assert contract.TRANSITION.depth >= 2 * WINDOW


class Paper:
    """A log that remembers what was written."""

    def __init__(self) -> None:
        self.row: list[int] = []

    def write(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        self.row.append(int(cdr))

    def flush(self) -> None:
        """It is on paper already."""


class Wire:
    """Environment and receiver with the queues of the middleware between them, which push out the oldest."""

    def __init__(self) -> None:
        self.outbox: Outbox[int] = Outbox()
        self.paper, self.epoch, self.now = Paper(), 0, 0.0
        self.sequence = self.sent = 0
        self.there: deque[int] = deque(maxlen=contract.TRANSITION.depth)
        self.back: deque[TransitionAck] = deque(maxlen=contract.TRANSITION_ACK.depth)
        self.restart()

    def restart(self) -> None:
        """Begin a receiver on the same log; what it had not read is gone."""
        self.epoch += 1
        known = {"env": len(self.paper.row)}
        self.intake = Intake(self.paper, "t", self.epoch, lambda last, environments: NEVER, known)
        self.intake.greet("env")
        self.there.clear()

    def step(self) -> None:
        self.sequence += 1
        self.outbox.add(self.sequence, self.sequence)
        self.send()

    def send(self) -> None:
        for item in iter(self.outbox.take, None):
            self.there.append(item)
            self.sent += 1

    def receive(self, most: int) -> None:
        for _ in range(min(most, len(self.there))):
            sequence = self.there.popleft()
            self.back.append(self.intake.receive("env", sequence, 0, b"%d" % sequence).ack)

    def hear(self, most: int) -> None:
        for _ in range(min(most, len(self.back))):
            self.outbox.acknowledge(self.back.popleft(), self.now)
            self.send()

    def repeat(self) -> None:
        """The acknowledgement that comes every now and then."""
        self.now += 0.2
        self.back.extend(self.intake.acks())

    def settle(self) -> None:
        """Go on until all is on paper; from here on only full queues lose anything."""
        while len(self.outbox):
            before = len(self.outbox)
            for _ in range(10):
                self.repeat()
                self.hear(NEVER)
                self.receive(NEVER)
            assert len(self.outbox) < before, "it stopped for good"


TURN = st.tuples(
    st.sampled_from(["step", "receive", "receive", "hear", "hear", "repeat", "lose", "lose ack", "restart"]),
    st.integers(1, 120),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(TURN, max_size=60))
def test_everything_is_written_once_and_in_order_whatever_is_lost(turns: list[tuple[str, int]]) -> None:
    wire = Wire()
    losses = 1
    for what, count in turns:
        if what == "step":
            for _ in range(count):
                wire.step()
        elif what in ("receive", "hear"):
            getattr(wire, what)(count)
        elif what == "lose" and wire.there:
            del wire.there[count % len(wire.there)]
        elif what == "lose ack" and wire.back:
            del wire.back[count % len(wire.back)]
        elif what in ("restart", "repeat"):
            getattr(wire, what)()
        losses += what in ("restart", "repeat", "lose")
        assert wire.paper.row == list(range(1, len(wire.paper.row) + 1))
        assert len(wire.outbox) >= wire.sequence - len(wire.paper.row), "it forgot what is not on paper"
    before = wire.sent
    wire.settle()
    assert wire.paper.row == list(range(1, wire.sequence + 1))
    assert before <= wire.sequence + 2 * WINDOW * losses
    assert wire.sent <= wire.sequence + 2 * WINDOW * (losses + 1)


@pytest.mark.parametrize("at_once", [1, 5, 60, NEVER])
@pytest.mark.parametrize("outstanding", [100, 1000, 10_000])
def test_what_a_restart_costs_is_linear_in_what_is_outstanding(outstanding: int, at_once: int) -> None:
    """However many the receiver takes before the environment hears of them."""
    wire = Wire()
    for _ in range(outstanding):
        wire.step()
    wire.restart()
    wire.repeat()
    turns = 0
    while len(wire.outbox):
        wire.hear(NEVER)
        if turns % 20 == 0:  # meanwhile the environment goes on
            wire.step()
        if not wire.there:
            wire.repeat()
        wire.receive(at_once)
        turns += 1
        assert wire.sent <= wire.sequence + 4 * WINDOW
    assert wire.paper.row == list(range(1, wire.sequence + 1))


def test_a_receiver_that_lacks_what_another_acknowledged_ends_it_in_one_line() -> None:
    outbox = filled()
    outbox.acknowledge(ack(4), 0.0)
    with pytest.raises(
        SerlError, match=r"lacks transitions 3 to 4 of env.*resume that run, or restart"
    ) as error:
        outbox.acknowledge(ack(2, epoch=2), 0.0)
    assert "\n" not in str(error.value)
    outbox.acknowledge(ack(4, epoch=3), 0.0)
    assert due(outbox) == [5]
