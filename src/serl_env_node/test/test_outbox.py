# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What is not acknowledged is not forgotten, whatever happens to messages and receiver."""

from hypothesis import given
from hypothesis import strategies as st

from serl_core.types import TransitionAck
from serl_env_node.outbox import Outbox


def ack(sequence: int, epoch: int = 1, resend: bool = False, step_limit: int = 0) -> TransitionAck:
    return TransitionAck("env", sequence, epoch, resend, step_limit)


def filled(count: int = 5) -> Outbox[str]:
    outbox: Outbox[str] = Outbox()
    outbox.acknowledge(ack(0))
    for sequence in range(1, count + 1):
        outbox.add(sequence, f"item {sequence}")
    return outbox


def test_an_acknowledgement_forgets_and_sends_nothing() -> None:
    outbox = filled()
    assert outbox.acknowledge(ack(3, step_limit=40)) == []
    assert outbox.unacknowledged() == ["item 4", "item 5"]
    assert (len(outbox), outbox.acknowledged, outbox.step_limit) == (2, 3, 40)


def test_acknowledging_twice_or_late_changes_nothing() -> None:
    outbox = filled()
    for sequence in (4, 4, 2, 0):
        assert outbox.acknowledge(ack(sequence)) == []
    assert outbox.unacknowledged() == ["item 5"]
    assert outbox.acknowledged == 4


def test_a_restarted_receiver_gets_everything_it_lacks_once() -> None:
    outbox = filled()
    assert outbox.acknowledge(ack(2, epoch=2)) == ["item 3", "item 4", "item 5"]
    assert outbox.acknowledge(ack(2, epoch=2)) == []


def test_a_receiver_that_missed_something_gets_it_whenever_it_asks() -> None:
    outbox = filled()
    for _ in range(2):
        assert outbox.acknowledge(ack(3, resend=True)) == ["item 4", "item 5"]


def test_the_first_word_of_a_receiver_counts_as_a_restart() -> None:
    outbox: Outbox[str] = Outbox()
    outbox.add(1, "item 1")
    assert outbox.acknowledge(ack(0)) == ["item 1"]


class Receiver:
    """Writes an unbroken row to disk; a restart loses all but the disk."""

    def __init__(self) -> None:
        self.disk: list[int] = []
        self.epoch = 1
        self.gap = False

    def receive(self, sequence: int) -> None:
        if sequence == len(self.disk) + 1:
            self.disk.append(sequence)
        elif sequence > len(self.disk) + 1:
            self.gap = True

    def acknowledgement(self) -> TransitionAck:
        gap, self.gap = self.gap, False
        return ack(len(self.disk), self.epoch, gap)

    def restart(self) -> None:
        self.epoch += 1
        self.gap = False


FATE = st.sampled_from(["arrives", "is lost", "arrives twice"])
EVENT = st.one_of(st.tuples(st.just("step"), FATE), st.tuples(st.just("ack"), FATE), st.just(("restart", "")))


@given(st.lists(EVENT, max_size=60), st.lists(FATE, max_size=200))
def test_everything_reaches_the_disk_once_and_in_order(
    events: list[tuple[str, str]], fates: list[str]
) -> None:
    outbox: Outbox[int] = Outbox()
    receiver, sent = Receiver(), 0
    resend_fates = iter(fates)
    copies = {"arrives": 1, "is lost": 0, "arrives twice": 2}

    def deliver(sequence: int, fate: str) -> None:
        for _ in range(copies[fate]):
            receiver.receive(sequence)

    for event, fate in events:
        if event == "step":
            sent += 1
            outbox.add(sent, sent)
            deliver(sent, fate)
        elif event == "ack":
            message = receiver.acknowledgement()
            for _ in range(copies[fate]):
                for sequence in outbox.acknowledge(message):
                    deliver(sequence, next(resend_fates, "arrives"))
        else:
            receiver.restart()
        assert receiver.disk == list(range(1, len(receiver.disk) + 1))
        assert set(outbox.unacknowledged()) >= set(range(len(receiver.disk) + 1, sent + 1))

    receiver.restart()  # from here on nothing is lost: two rounds must do
    for _ in range(2):
        for sequence in outbox.acknowledge(receiver.acknowledgement()):
            receiver.receive(sequence)
    assert receiver.disk == list(range(1, sent + 1))
    assert len(outbox) == 0
