# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How fast the learner learns: gradient steps per second, from state vectors and from cameras."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.specs import ArraySpec, EnvSpec
from serl_core.types import Source
from serl_learner import networks
from serl_learner.actor_network import ActorNetwork
from serl_learner.agents import rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.replay.joiner import Frame, Row
from serl_learner.replay.ring_buffer import RingBuffer
from serl_learner.vision.backbone_file import leaf_shapes, make_backbone
from serl_learner.vision.feature_cache import FeatureCache
from serl_learner.vision.image_actor import ImageActor

STATE_SIZE = 30
ACTION_SIZE = 6
CAMERAS = ("wrist_1", "wrist_2")

Seconds = tuple[float, float]
"""By the wall clock, and of all processors together."""


def benchmark_learner(
    seconds: float, config: RLPDConfig | None = None, beside: Callable[[], Seconds] | None = None
) -> dict[str, Any]:
    """Measure RLPD with the paper's settings (batch 256, ten critics, eight critic updates per actor's).

    The baseline differs in one way only: targets evaluate all ten members before two are drawn. A third way is ours
    with factors of products in bfloat16. All run in turns, so that a busy machine slows all alike.

    Args:
        seconds: Time to measure for, compilation excluded.
        config: Other settings than the paper's.
        beside: Does one call of another's update, `utd_ratio` critic updates and one of the actor.

    Returns:
        Rates [1/s], medians [ms], ratios of them, and the latency of one action in NumPy [us]; of processor time
        where so named, as another process on the same cores lengthens the wall clock.
    """
    config = config or RLPDConfig()
    spec = _spec()
    batches = _batches(config)
    ours = _Timed(partial(rlpd.update, config), rlpd.init(config, spec, 0), lambda: batches)
    plain = _Timed(
        jax.jit(partial(_plain_update, config), donate_argnums=0), rlpd.init(config, spec, 0), lambda: batches
    )
    half = dataclasses.replace(config, precision="bfloat16")
    lowered = _Timed(partial(rlpd.update, half), rlpd.init(half, spec, 0), lambda: batches)
    others: list[Seconds] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours.seconds) < 3:
        for timed in (ours, plain, lowered):
            timed.run()
        if beside is not None:
            others.append(beside())
    ours_ms, plain_ms, lowered_ms = (
        1e3 * float(np.median(t.seconds)) / config.utd_ratio for t in (ours, plain, lowered)
    )
    return {
        "critic_updates_per_second": 1e3 / ours_ms,
        "critic_update_ms": ours_ms,
        "critic_update_ms_best": 1e3 * min(ours.seconds) / config.utd_ratio,
        "plain_critic_update_ms": plain_ms,
        "speedup_over_plain": plain_ms / ours_ms,
        "speedup_of_bfloat16": ours_ms / lowered_ms,
        **_beside(others, ours, config.utd_ratio),
        "action_us": _action_microseconds(config, rlpd.actor_leaves(ours.state)),
        "batch_size": config.batch_size,
        "utd_ratio": config.utd_ratio,
        "ensemble_size": config.ensemble_size,
        **_machine(),
    }


def benchmark_images(
    seconds: float,
    config: RLPDConfig | None = None,
    side: int = 128,
    filters: tuple[int, ...] = (64, 128, 256, 512),
    beside: Callable[[], Seconds] | None = None,
) -> dict[str, Any]:
    """Measure RLPD from two cameras through a frozen ResNet-10, features computed per sample and cached per frame.

    An update is the draw from replay, `utd_ratio` critic updates and one of the actor. Weights are random, which
    costs the same. Both ways run in turns, the slow one as often as time allows, once at least.

    Args:
        seconds: Time to measure for, compilation excluded.
        config: Other settings than batch 64 and one critic update per actor's.
        side: Of the square images [pixels].
        filters: Of the ResNet's four stages.
        beside: Does one call of another's update.

    Returns:
        Medians [ms] of an update either way and their ratio, and that to another's update, also with the features of
        one new frame counted in; of the features of one frame of both cameras, all its shifts; and of an action, from
        images in memory, with its 99th percentile.
    """
    config = dataclasses.replace(config or RLPDConfig(batch_size=64, utd_ratio=1), encoder="resnet10")
    rng = np.random.default_rng(0)
    cameras = tuple(ArraySpec(name, (side, side, 3), "uint8") for name in CAMERAS)
    spec = dataclasses.replace(
        _spec(), images=cameras, policy_keys=("state", *(camera.name for camera in cameras))
    )
    leaves = {
        name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in leaf_shapes(filters).items()
    }
    backbone = make_backbone(leaves, "bench")
    vision_config = config.vision_config(spec, backbone)
    assert vision_config is not None
    cache = FeatureCache(config, vision_config, backbone, seed=0)
    rows = _rows(spec, rng)
    buffers = {
        "per_sample": (RingBuffer(spec, len(rows)), rows),
        "cached": (RingBuffer(spec, len(rows), features=cache.shapes), cache.encode(rows)),
    }
    timed = {}
    frozen = jax.device_put(backbone.leaves)
    for name, (buffer, held) in buffers.items():
        for row in held:
            buffer.insert(row)
        draw = partial(buffer.sample, (config.utd_ratio, config.batch_size), rng)
        update = partial(rlpd.update, config)
        timed[name] = _Timed(
            lambda state, batch, update=update: update(state, batch, frozen),
            rlpd.init(config, spec, 0, backbone),
            draw,
        )
    state = timed["cached"].state
    actor = ImageActor(
        config.actor_config(STATE_SIZE, ACTION_SIZE, vision_config), rlpd.actor_leaves(state), backbone
    )
    observed = (rows[0].frame.state, rows[0].frame.images, rng)
    unseen = (dataclasses.replace(rows[0], episode=("bench", i)) for i in itertools.count(1))
    cost = {"features": _repeat(lambda: cache.encode([next(unseen)]), 10)}
    cost["action"] = _repeat(lambda: actor.sample(*observed), 200)
    end = time.perf_counter() + seconds
    others: list[Seconds] = []
    while time.perf_counter() < end or len(timed["per_sample"].seconds) < 1:
        timed["per_sample"].run()
        if beside is not None:
            others.append(beside())
        for _ in range(10):
            timed["cached"].run()
    per_sample, cached = (1e3 * float(np.median(timed[name].seconds)) for name in ("per_sample", "cached"))
    features = 0.5e3 * float(np.median(cost["features"]))  # a row alone has two frames
    return {
        "update_ms_per_sample": per_sample,
        "update_ms_cached": cached,
        "speedup_of_cache": per_sample / cached,
        **_beside(others, timed["cached"], config.utd_ratio),
        **_beside_with_features(others, cached + features),
        "features_ms_per_frame": features,
        "action_ms": 1e3 * float(np.median(cost["action"])),
        "action_ms_p99": 1e3 * float(np.quantile(cost["action"], 0.99)),
        "batch_size": config.batch_size,
        "utd_ratio": config.utd_ratio,
        "ensemble_size": config.ensemble_size,
        "shifts": config.feature_shifts,
        **_machine(),
    }


def _machine() -> dict[str, Any]:
    """Return what was measured on, so that figures of a GPU are told apart."""
    return {
        "cores": os.cpu_count(),
        "devices": jax.device_count(),
        "device_kind": jax.devices()[0].device_kind,
    }


def _spec() -> EnvSpec:
    return EnvSpec(
        task="bench",
        state=(ArraySpec("state", (STATE_SIZE,)),),
        images=(),
        action_size=ACTION_SIZE,
        action_unit="",
        policy_keys=("state",),
        step_seconds=0.1,
        max_steps=100,
    )


def _rows(spec: EnvSpec, rng: np.random.Generator, length: int = 32) -> list[Row]:
    """An episode of noise."""

    def frame() -> Frame:
        images = {camera.name: rng.integers(0, 256, camera.shape, np.uint8) for camera in spec.images}
        return Frame(rng.standard_normal(STATE_SIZE).astype(np.float32), images)

    frames = [frame() for _ in range(length + 1)]
    action = np.zeros(ACTION_SIZE, np.float32)
    return [
        Row(("bench", 0), step, frames[step], action, 0.0, 1.0, frames[step + 1], Source.POLICY)
        for step in range(length)
    ]


def _repeat(call: Callable[[], Any], times: int) -> list[float]:
    call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


class _Timed:
    """An update function with its state and its draw of batches, timed together; compiled beforehand."""

    def __init__(
        self, update: Callable, state: rlpd.TrainState, draw: Callable[[], dict[str, np.ndarray]]
    ) -> None:
        self._update = update
        self._draw = draw
        self.state = state
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []
        self.run()
        self.seconds.clear()
        self.processor_seconds.clear()

    def run(self) -> None:
        start, processor_start = time.perf_counter(), time.process_time()
        self.state, _ = jax.block_until_ready(self._update(self.state, self._draw()))
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(time.process_time() - processor_start)


def _beside(others: list[Seconds], ours: _Timed, updates: int) -> dict[str, float]:
    """Return the figures of another's `updates` critic updates a call, by the wall clock and of processors."""
    if not others:
        return {}
    wall, processor = np.median(np.array(others), 0)
    return {
        "serl_critic_update_ms": 1e3 * float(wall) / updates,
        "ratio_to_serl": float(wall / np.median(ours.seconds)),
        "processor_ratio_to_serl": float(processor / np.median(ours.processor_seconds)),
    }


def _beside_with_features(others: list[Seconds], milliseconds: float) -> dict[str, float]:
    """Return the ratio of another's update to ours and the features of the frame that an environment's step brings."""
    if not others:
        return {}
    return {
        "ratio_to_serl_with_features": 1e3 * float(np.median([wall for wall, _ in others])) / milliseconds
    }


def _batches(config: RLPDConfig) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)

    def normal(*tail: int) -> np.ndarray:
        return rng.standard_normal((config.utd_ratio, config.batch_size, *tail)).astype(np.float32)

    return {
        "state": normal(STATE_SIZE),
        "next_state": normal(STATE_SIZE),
        "action": np.tanh(normal(ACTION_SIZE)),
        "reward": normal(),
        "discount": np.ones((config.utd_ratio, config.batch_size), np.float32),
    }


def _action_microseconds(config: RLPDConfig, leaves: dict[str, np.ndarray]) -> float:
    network = ActorNetwork(config.actor_config(STATE_SIZE, ACTION_SIZE), leaves)
    state, rng = np.zeros(STATE_SIZE, np.float32), np.random.default_rng(0)
    return 1e6 * float(np.median(_repeat(lambda: network.sample(state, rng), 500)))


def _plain_update(config: RLPDConfig, state: rlpd.TrainState, batches: dict) -> tuple[rlpd.TrainState, Any]:
    optimizer = optax.adam(config.critic_lr)
    actor_config = config.actor_config(STATE_SIZE, ACTION_SIZE)

    def critic_step(state: rlpd.TrainState, batch: dict) -> tuple[rlpd.TrainState, None]:
        key, action_key, subset_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        action, _ = networks.sample(state.actor, batch["next_state"], action_key, actor_config)
        everyone = networks.critics(state.target_critic, batch["next_state"], action, config.activation)
        subset = jax.random.permutation(subset_key, config.ensemble_size)[: config.subsample_size]
        target = batch["reward"] + config.discount * batch["discount"] * jnp.min(everyone[subset], 0)

        def loss(critic: networks.Params) -> jax.Array:
            predicted = networks.critics(critic, batch["state"], batch["action"], config.activation)
            return jnp.mean((predicted - jnp.broadcast_to(target, predicted.shape)) ** 2)

        (updates, _), critic_opt = optimizer.update((jax.grad(loss)(state.critic), {}), state.critic_opt)
        critic = optax.apply_updates(state.critic, updates)
        target_critic = optax.incremental_update(critic, state.target_critic, config.tau)
        return state._replace(
            critic=critic, target_critic=target_critic, critic_opt=critic_opt, key=jax.random.key_data(key)
        ), None

    state, _ = jax.lax.scan(critic_step, state, batches)
    return rlpd.actor_update(config, state, {name: array[-1] for name, array in batches.items()})
