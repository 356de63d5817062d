# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""No sample joins two episodes, a gap or the ring's seam, whatever order transitions come in."""

from __future__ import annotations

import dataclasses
import errno
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_cases import SPEC, observation, recording, transition

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_core.specs import ArraySpec
from serl_core.types import Source
from serl_learner.replay.joiner import Joiner
from serl_learner.replay.ring_buffer import Horizon, Layout, RingBuffer
from serl_learner.replay.sampler import SymmetricSampler, is_demonstration


def rows_of(transitions, joiner=None):
    joiner = joiner or Joiner(SPEC)
    return [row for each in transitions for row in joiner.add(each)]


def filled(rows, capacity=1000, frames=None):
    buffer = RingBuffer(SPEC, capacity, frames)
    for row in rows:
        buffer.insert(row)
    return buffer


def assert_neighbours(batch):
    """Positions name episode and step: successors share the one and follow in the other."""
    state, following = batch["state"], batch["next_state"]
    assert (following[..., 0] == state[..., 0]).all()
    assert (following[..., 1] == state[..., 1] + 1).all()


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    capacity=st.integers(2, 40),
    spare=st.integers(0, 6),
    keep=st.floats(0.3, 1.0),
    order=st.integers(0, 2**32 - 1),
    shuffle=st.booleans(),
)
def test_no_sample_joins_episodes_or_gaps(lengths, capacity, spare, keep, order, shuffle):
    rng = np.random.default_rng(order)
    everything, sequence = [], 0
    for episode, length in enumerate(lengths):
        for step in range(length):
            sequence += 1
            everything.append(transition(sequence, episode, step, last=step == length - 1))
    arriving = [t for t in everything if rng.random() < keep]
    if shuffle:
        rng.shuffle(arriving)
    arriving += arriving[:3]
    joiner = Joiner(SPEC)
    rows = rows_of(arriving, joiner)
    joiner.flush()
    kept = {(t.episode_id, t.step) for t in arriving}
    joinable = {(e, s) for e, s in kept if s == 0 or (e, s - 1) in kept}
    assert {(row.episode[1], row.step) for row in rows} == joinable
    assert len(rows) == len(joinable)
    assert joiner.dropped == len(kept) - len(joinable)
    buffer = RingBuffer(SPEC, capacity, capacity + 2 + spare)
    for row in rows:
        buffer.insert(row)
        buffer.check_valid()
    if rows:
        batch = buffer.sample((4, 16), rng)
        assert_neighbours(batch)
        assert batch["state"].shape == (4, 16, 3) and batch["reward"].dtype == np.float32


def test_order_does_not_change_the_rows():
    transitions = recording(3, 5)
    forward = {(row.episode, row.step): row for row in rows_of(transitions)}
    backward = {(row.episode, row.step): row for row in rows_of(transitions[::-1])}
    assert forward.keys() == backward.keys() and len(forward) == 15
    for key, row in forward.items():
        assert np.array_equal(row.frame.state, backward[key].frame.state)
        assert np.array_equal(row.frame.state, SPEC.policy_vector(observation(key[0][1], key[1]).state))


def test_rows_of_two_environments_do_not_mix():
    mixed = [t for pair in zip(recording(2, 4, "a"), recording(2, 4, "b"), strict=True) for t in pair]
    rows = rows_of(mixed)
    assert len(rows) == 16
    buffer = filled(rows)
    buffer.check_valid()
    assert_neighbours(buffer.sample(100, np.random.default_rng(0)))


def test_duplicates_are_ignored_and_counted():
    joiner = Joiner(SPEC)
    transitions = recording(2, 5)
    assert len(rows_of(transitions + transitions, joiner)) == 10
    assert joiner.duplicates == 10 and joiner.dropped == 0


def test_a_missing_predecessor_is_dropped_once_the_window_passed():
    joiner = Joiner(SPEC, window=10)
    transitions = recording(10, 5)
    rows = rows_of([t for t in transitions if t.sequence != 3], joiner)
    assert len(rows) == 50 - 2
    assert joiner.dropped == 1


def test_foreign_transitions_are_refused_by_name():
    joiner = Joiner(SPEC)
    good = transition(1, 0, 0)
    with pytest.raises(SchemaError, match="task 'other'"):
        joiner.add(dataclasses.replace(good, task="other"))
    with pytest.raises(SchemaError, match="action: expected 2"):
        joiner.add(dataclasses.replace(good, action=np.zeros(3)))
    with pytest.raises(SchemaError, match="NaN"):
        joiner.add(dataclasses.replace(good, action=np.array([np.nan, 0])))
    lacking = dataclasses.replace(good.next_observation, state={"ignored": np.zeros(2)})
    with pytest.raises(SchemaError, match="lacks 'position'"):
        joiner.add(dataclasses.replace(good, next_observation=lacking))
    assert len(joiner.add(good)) == 1


def test_fragments_of_interventions_pair_with_their_own_frames():
    # Three takeovers of five steps within one episode: a store that assumes contiguous rows would pair the
    # first step of each with the last frame of the one before.
    taken_over = {*range(5, 10), *range(20, 25), *range(40, 45)}
    rows = [row for row in rows_of(recording(1, 60)) if row.step in taken_over]
    buffer = filled(rows, capacity=15, frames=18)
    assert len(buffer) == 15
    buffer.check_valid()
    assert_neighbours(buffer.sample(500, np.random.default_rng(0)))


PICTURED = dataclasses.replace(
    SPEC, images=(ArraySpec("wrist", (4, 4, 3), "uint8"),), policy_keys=("position", "wrist")
)


def pictured(episode):
    """Return the transitions of one episode with pictures that show their step."""

    def seen(observation, step):
        return observation and dataclasses.replace(
            observation, images={"wrist": np.full((4, 4, 3), step, np.uint8)}
        )

    return [
        dataclasses.replace(
            t,
            first_observation=seen(t.first_observation, 0),
            next_observation=seen(t.next_observation, t.step + 1),
        )
        for t in episode
    ]


def assert_pictures_belong(batch):
    """The picture, too, names the step that the position names."""
    assert (batch["wrist"] == batch["state"][:, 1, None, None, None]).all()
    assert (batch["next_wrist"] == batch["next_state"][:, 1, None, None, None]).all()
    assert_neighbours(batch)


def test_a_picture_belongs_to_its_state_across_takeovers():
    # SERL's own buffer gives 13 in 100 samples of such fragments the picture of another state.
    taken_over = {*range(5, 10), *range(20, 25), *range(40, 45)}
    rows = rows_of(pictured(recording(1, 60)), Joiner(PICTURED))
    demos = RingBuffer(PICTURED, 15, 18)
    for row in rows:
        if row.step in taken_over:
            demos.insert(row)
    assert len(demos) == 15
    assert_pictures_belong(demos.sample(500, np.random.default_rng(0)))


def test_frames_are_stored_once():
    buffer = RingBuffer(PICTURED, 20, 22)
    for row in rows_of(pictured(recording(1, 20)), Joiner(PICTURED)):
        buffer.insert(row)
    assert len(buffer) == 20  # 21 frames for 20 rows: each is there once, or rows would have had to go
    batch = buffer.sample(200, np.random.default_rng(0))
    assert batch["wrist"].dtype == np.uint8 and batch["wrist"].shape == (200, 4, 4, 3)
    assert_pictures_belong(batch)


def test_the_oldest_rows_go_first():
    buffer = filled(rows_of(recording(10, 10)), capacity=25)
    batch = buffer.sample(1000, np.random.default_rng(0))
    seen = {(int(e), int(s)) for e, s, _ in batch["state"]}
    assert seen == {(e, s) for e in (7, 8, 9) for s in range(10) if (e, s) >= (7, 5)}


def test_rows_hold_nothing_that_no_sample_gives():
    batch = filled(rows_of(recording(1, 5))).sample(2, np.random.default_rng(0))
    assert set(Layout.of(SPEC).rows) - {"frame", "next_frame"} < set(batch)


def test_state_and_restore_give_the_same_samples():
    rows = rows_of(recording(4, 10))
    buffer = filled(rows[:30], capacity=20)
    other = RingBuffer(SPEC, 20)
    other.restore(buffer.state())
    for row in rows[30:]:
        buffer.insert(row)
        other.insert(row)
    other.check_valid()
    a, b = (each.sample(50, np.random.default_rng(1)) for each in (buffer, other))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    with pytest.raises(SchemaError, match="another"):
        RingBuffer(SPEC, 21).restore(buffer.state())


def test_an_empty_buffer_and_a_wrong_row_are_refused():
    with pytest.raises(SchemaError, match="empty"):
        RingBuffer(SPEC, 5).sample(1, np.random.default_rng(0))
    row = rows_of(recording(1, 1))[0]
    with pytest.raises(SchemaError, match="action"):
        RingBuffer(SPEC, 5).insert(dataclasses.replace(row, action=np.zeros(3)))
    wrong = dataclasses.replace(row.frame, state=np.zeros(4))
    with pytest.raises(SchemaError, match="state of shape"):
        RingBuffer(SPEC, 5).insert(dataclasses.replace(row, frame=wrong))


def test_half_of_each_batch_is_demonstrations():
    online = filled(rows_of(recording(2, 10)))
    demo = filled([row for row in rows_of(recording(12, 10)) if row.episode[1] >= 10])
    sampler = SymmetricSampler(online, demo, 0.5, seed=0)
    batch = sampler.sample(4, 16)
    from_demo = batch["state"][..., 0] >= 10
    assert (from_demo.sum(1) == 8).all()
    assert_neighbours(batch)
    everything = SymmetricSampler(online, RingBuffer(SPEC, 5), 0.5, seed=0).sample(1, 16)
    assert everything["state"].shape == (1, 16, 3) and (everything["state"][..., 0] < 10).all()


def test_sampling_goes_on_where_its_state_was_taken():
    buffer = filled(rows_of(recording(2, 10)))
    first = SymmetricSampler(buffer, buffer, 0.5, seed=0)
    first.sample(2, 8)
    second = SymmetricSampler(buffer, buffer, 0.5, seed=9)
    second.restore(first.state())
    assert np.array_equal(first.sample(2, 8)["state"], second.sample(2, 8)["state"])


def test_only_human_rows_count_as_demonstrations():
    assert [is_demonstration(source) for source in Source] == [False, True, False]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    n_step=st.integers(1, 5),
    capacity=st.integers(2, 40),
    keep=st.floats(0.5, 1.0),
    seed=st.integers(0, 2**32 - 1),
    shuffle=st.booleans(),
)
def test_returns_over_n_steps_agree_with_the_oracle(lengths, n_step, capacity, keep, seed, shuffle):
    """Sum up step by step over the rows that are left, as the definition has it; ends and gaps cut it short."""
    rng = np.random.default_rng(seed)
    gamma, bias = 0.9, -0.5
    rows = []
    for episode, length in enumerate(lengths):
        terminal = rng.random() < 0.5
        made = [
            transition(
                step + 1,
                episode,
                step,
                last=step == length - 1,
                env_id=f"env{episode}",
                reward=float(rng.normal()),
                discount=0.0 if terminal and step == length - 1 else 1.0,
            )
            for step in range(length)
        ]
        rows += rows_of(made)
    rows = [row for row in rows if rng.random() < keep]
    if shuffle:
        rng.shuffle(rows)
    if not rows:
        return
    buffer = RingBuffer(SPEC, capacity, capacity + 4, horizon=Horizon(n_step, gamma, bias))
    for row in rows:
        buffer.insert(row)
        buffer.check_valid()
    held = {(row.episode[1], row.step): row for row in rows[-len(buffer) :]}
    batch = buffer.sample((3, 32), rng)
    for index in np.ndindex(3, 32):
        episode, step = (int(each) for each in batch["state"][index][:2])
        row = held[episode, step]
        total, weight, taken = row.reward, 1.0, 0
        while taken + 1 < n_step and (episode, step + taken + 1) in held:
            weight *= gamma * row.discount
            taken += 1
            row = held[episode, step + taken]
            total += weight * (row.reward + bias)
        assert batch["reward"][index] == pytest.approx(total, abs=1e-5)
        assert batch["discount"][index] == pytest.approx(weight * row.discount, abs=1e-6)
        assert tuple(batch["next_state"][index][:2]) == (episode, step + taken + 1)
        assert batch["discount"][index] == 0.0 or row.discount == 1.0


def test_one_step_is_what_it_was_without_a_horizon():
    rows = rows_of(recording(4, 10))
    plain, one = filled(rows), RingBuffer(SPEC, 1000, horizon=Horizon(1, 0.9, -1.0))
    for row in rows:
        one.insert(row)
    a, b = (buffer.sample((2, 50), np.random.default_rng(3)) for buffer in (plain, one))
    assert all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


CAMERAS = dataclasses.replace(
    SPEC,
    images=(ArraySpec("wrist_1", (8, 8, 3), "uint8"), ArraySpec("wrist_2", (8, 8, 3), "uint8")),
    policy_keys=("position", "wrist_1", "wrist_2"),
)


def camera_rows(count, length=25, features=None):
    """Rows of episodes of `length`, made one by one so that only a buffer keeps them."""
    rng = np.random.default_rng(0)

    def frame(episode, step):
        shape, dtype = ((8, 8, 3), np.uint8) if features is None else (features, np.float16)
        images = {name: rng.integers(0, 255, shape).astype(dtype) for name in ("wrist_1", "wrist_2")}
        return dataclasses.replace(
            plain[0].frame, state=np.array([episode, step, 0.5], np.float32), images=images
        )

    plain, after = rows_of(recording(1, 1)), None
    for number in range(count):
        episode, step = divmod(number, length)
        before = after if step else frame(episode, step)
        after = frame(episode, step + 1)
        yield dataclasses.replace(
            plain[0], episode=("env", episode), step=step, frame=before, next_frame=after
        )


@settings(max_examples=60, deadline=None)
@given(budget=st.integers(5_000, 50_000_000), cameras=st.booleans(), privileged=st.integers(0, 30))
def test_a_budget_is_used_up_and_never_exceeded(budget, cameras, privileged):
    layout = Layout.of(CAMERAS if cameras else SPEC, privileged_size=privileged)
    capacity = layout.capacity_within(budget)
    assert layout.nbytes(capacity) <= budget < layout.nbytes(capacity + 1)


def test_a_budget_for_nothing_is_refused():
    with pytest.raises(ConfigError, match="allow more"):
        Layout.of(SPEC).capacity_within(400)


def test_a_full_buffer_takes_what_it_says_and_grows_no_more():
    capacity = 2000
    first = next(camera_rows(1))
    RingBuffer(CAMERAS, 2).insert(first)  # what is imported on the way is not the buffer's
    tracemalloc.start()
    buffer = RingBuffer(CAMERAS, capacity)
    taken = []
    for number, row in enumerate(camera_rows(4 * capacity)):
        buffer.insert(row)
        if (number + 1) % capacity == 0:
            taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    buffer.check_valid()
    assert 0.6 * buffer.nbytes < taken[0] and max(taken) <= buffer.nbytes


def test_200000_transitions_with_two_cameras_fit_in_22_gigabytes():
    size = dataclasses.replace(
        CAMERAS, images=tuple(ArraySpec(f"wrist_{i}", (128, 128, 3), "uint8") for i in (1, 2))
    )
    features = {f"wrist_{i}": (3, 4, 4, 512) for i in (1, 2)}
    for held in (None, features):
        assert 19e9 < Layout.of(size, held, privileged_size=100).nbytes(200_000) < 22e9


@pytest.mark.parametrize("features", [None, (2, 2, 2, 5)], ids=["images", "features"])
def test_files_hold_the_same_as_memory(features, tmp_path):
    shapes = features and {"wrist_1": features, "wrist_2": features}
    buffers = [
        RingBuffer(CAMERAS, 60, features=shapes, horizon=Horizon(3, 0.9), folder=folder)
        for folder in (None, tmp_path / "replay")
    ]
    for row in camera_rows(150, features=features):
        for buffer in buffers:
            buffer.insert(row)
    a, b = (buffer.sample((4, 50), np.random.default_rng(1)) for buffer in buffers)
    assert set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)
    assert not list((tmp_path / "replay").iterdir()), "files have no name, so that none is left behind"
    copy = RingBuffer(CAMERAS, 60, features=shapes, horizon=Horizon(3, 0.9))
    copy.restore(buffers[1].state())
    copy.check_valid()
    c = copy.sample((4, 50), np.random.default_rng(1))
    assert all(np.array_equal(a[name], c[name]) for name in a)


def test_a_disk_without_room_is_one_line(tmp_path, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SerlError, match="No space left on device; allow less") as caught:
        RingBuffer(CAMERAS, 60, folder=tmp_path)
    assert "\n" not in str(caught.value)
