# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Cached features are those of the shifted images, whenever they are computed; rows keep their neighbours."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from vision_cases import CAMERAS, SPEC_IMAGES, frozen

from serl_core.testing.fakes import random_episode
from serl_core.types import Source
from serl_learner.replay.joiner import Joiner, Row
from serl_learner.replay.ring_buffer import RingBuffer
from serl_learner.training_loop import LoopConfig, TrainingLoop
from serl_learner.vision import resnet10
from serl_learner.vision.feature_cache import FeatureCache


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    return dataclasses.replace(frozen(tmp_path_factory.mktemp("weights")), feature_shifts=4, shift_padding=2)


def cache_of(agent, seed: int = 0) -> FeatureCache:
    backbone = agent.backbone(SPEC_IMAGES)
    return FeatureCache(agent, agent.vision_config(SPEC_IMAGES, backbone), backbone, seed)


def episode(length: int, number: int = 0, source: Source = Source.POLICY):
    rng = np.random.default_rng(number)
    first = 1 + 100 * number
    return random_episode(SPEC_IMAGES, rng, length, "env", first, episode_id=number, source=source)


def rows_of(transitions) -> list[Row]:
    joiner = Joiner(SPEC_IMAGES)
    return [row for transition in transitions for row in joiner.add(transition)]


def test_features_are_those_of_shifted_images(agent):
    rows = rows_of(episode(11))
    encoded = cache_of(agent).encode(rows)
    leaves = agent.backbone(SPEC_IMAGES).leaves
    draws = set()
    for row, coded in zip(rows, encoded, strict=True):
        assert (coded.episode, coded.step, coded.reward) == (row.episode, row.step, row.reward)
        assert np.array_equal(coded.frame.state, row.frame.state)
        for camera in CAMERAS:
            maps = coded.frame.images[camera]
            assert maps.dtype == np.float16 and maps.shape == (4, 1, 1, 12)
            padded = np.pad(row.frame.images[camera], ((2, 2), (2, 2), (0, 0)), "edge")
            crops = [padded[i : i + 16, j : j + 16] for i in range(5) for j in range(5)]
            exact = np.asarray(jax.jit(resnet10.features)(leaves, np.stack(crops)))
            for one in maps:
                distance = np.abs(exact - one).max((1, 2, 3))
                assert distance.min() < 0.01
                draws.add(int(distance.argmin()))
    assert len(draws) > 15, "shifts are not drawn from all"


def test_where_all_shifts_are_kept_each_is_there_once_as_the_plain_way_draws_them(agent):
    cache = cache_of(dataclasses.replace(agent, feature_shifts=1000))
    row = rows_of(episode(1))[0]
    maps = cache.encode([row])[0].frame.images["left"]
    assert maps.shape == cache.shapes["left"] == (25, 1, 1, 12)
    padded = np.pad(row.frame.images["left"], ((2, 2), (2, 2), (0, 0)), "edge")
    crops = [padded[i : i + 16, j : j + 16] for i in range(5) for j in range(5)]
    exact = np.asarray(jax.jit(resnet10.features)(agent.backbone(SPEC_IMAGES).leaves, np.stack(crops)))
    distances = np.abs(exact[None] - maps[:, None].astype(np.float32)).max((2, 3, 4))
    assert distances.min(axis=0).max() < 0.01 and distances.min(axis=1).max() < 0.01
    corners = cache._corners("left", ("env", 0, 0))
    assert sorted(map(tuple, corners.tolist())) == list(np.ndindex(5, 5))


def test_every_frame_has_its_own_features_in_whatever_order_rows_come(agent):
    rows = rows_of(episode(9)) + rows_of(episode(5, 1))
    together = cache_of(agent).encode(rows)
    alone = cache_of(agent)
    backwards = [alone.encode([row])[0] for row in rows[::-1]][::-1]
    for a, b in zip(together, backwards, strict=True):
        for camera in CAMERAS:
            np.testing.assert_allclose(a.frame.images[camera], b.frame.images[camera], rtol=2e-2, atol=2e-3)
            np.testing.assert_allclose(
                a.next_frame.images[camera], b.next_frame.images[camera], rtol=2e-2, atol=2e-3
            )
    other = cache_of(agent, seed=1).encode(rows[:1])[0]
    assert not np.allclose(other.frame.images["left"], together[0].frame.images["left"], atol=0.05)


def test_a_frame_is_computed_once(agent, monkeypatch):
    cache = cache_of(agent)
    frames: list[int] = []
    compute = cache._compute
    monkeypatch.setattr(
        cache, "_compute", lambda keys, found: frames.append(len(keys)) or compute(keys, found)
    )
    rows = rows_of(episode(12))
    for row in rows:
        cache.encode([row])
    assert sum(frames) == 13, "neighbouring rows share a frame"
    cache.encode([rows[-1]])
    assert sum(frames) == 13
    assert cache.encode([]) == []


def test_a_sample_draws_any_shift_of_its_own_frame(agent):
    cache = cache_of(agent)
    rows = cache.encode(rows_of(episode(6)) + rows_of(episode(4, 1)))
    buffer = RingBuffer(SPEC_IMAGES, 20, features=cache.shapes)
    for row in rows:
        buffer.insert(row)
    buffer.check_valid()
    batch = buffer.sample((50, 8), np.random.default_rng(0))
    by_state = {row.frame.state.tobytes(): row for row in rows}
    drawn: dict[str, set[int]] = {name: set() for name in batch}
    for u, b in np.ndindex(50, 8):
        row = by_state[batch["state"][u, b].tobytes()]
        for prefix, frame in (("", row.frame), ("next_", row.next_frame)):
            for camera in CAMERAS:
                found = batch[prefix + camera][u, b]
                matches = [i for i, maps in enumerate(frame.images[camera]) if np.array_equal(maps, found)]
                assert matches
                drawn[prefix + camera].update(matches)
    assert all(drawn[prefix + camera] == {0, 1, 2, 3} for prefix in ("", "next_") for camera in CAMERAS)
    blank = buffer.blank((2, 3))
    sample = buffer.sample((2, 3), np.random.default_rng(0))
    assert {n: (a.shape, a.dtype) for n, a in blank.items()} == {
        n: (a.shape, a.dtype) for n, a in sample.items()
    }


@pytest.mark.parametrize("shifts", [0, 4])
def test_the_loop_learns_either_way(agent, shifts):
    loop = TrainingLoop(
        SPEC_IMAGES,
        LoopConfig(min_online=10, replay_capacity=60, demo_capacity=60),
        dataclasses.replace(agent, feature_shifts=shifts),
        None,
        0,
    )
    for transition in episode(9, 1, Source.HUMAN):
        loop.ingest(transition, demo=True)
    for transition in episode(7) + episode(5, 2, Source.HUMAN):
        assert loop.ingest(transition) == 1
    assert loop.ready() and loop.env_steps == 12
    assert (len(loop._online), len(loop._demo)) == (12, 14)
    first = loop.policy_weights(0.0).checksum
    for _ in range(2):
        loop.step(0.0)
    assert loop.policy_weights(0.0).checksum != first and loop.metrics["skipped"] == 0
    assert loop._online.sample(1, np.random.default_rng(0))["left"].dtype == (
        np.float16 if shifts else np.uint8
    )
