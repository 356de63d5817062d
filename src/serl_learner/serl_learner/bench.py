# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How fast the learner learns: critic gradient steps per second, beside a plain implementation."""

from __future__ import annotations

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
from serl_learner import networks
from serl_learner.actor_network import ActorNetwork
from serl_learner.agents import rlpd
from serl_learner.agents.config import RLPDConfig

STATE_SIZE = 30
ACTION_SIZE = 6


def benchmark_learner(seconds: float, config: RLPDConfig | None = None) -> dict[str, Any]:
    """Measure RLPD with the paper's settings (batch 256, ten critics, eight critic updates per actor's).

    The baseline differs in two ways only: the ensemble is one batched product, and targets evaluate all ten
    members before two are drawn. Both run in turns, so that a busy machine slows both alike.

    Args:
        seconds: Time to measure for, compilation excluded.
        config: Other settings than the paper's.

    Returns:
        Rates [1/s], medians [ms], the ratio of the two, and the latency of one action in NumPy [us].
    """
    config = config or RLPDConfig()
    spec = EnvSpec(
        task="bench",
        state=(ArraySpec("state", (STATE_SIZE,)),),
        images=(),
        action_size=ACTION_SIZE,
        action_unit="",
        policy_keys=("state",),
        step_seconds=0.1,
        max_steps=100,
    )
    batches = _batches(config)
    ours = _Timed(partial(rlpd.update, config), rlpd.init(config, spec, 0), batches)
    plain = _Timed(
        jax.jit(partial(_plain_update, config), donate_argnums=0), rlpd.init(config, spec, 0), batches
    )
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ours.seconds) < 3:
        ours.run()
        plain.run()
    ours_ms, plain_ms = (1e3 * float(np.median(t.seconds)) / config.utd_ratio for t in (ours, plain))
    return {
        "critic_updates_per_second": 1e3 / ours_ms,
        "critic_update_ms": ours_ms,
        "critic_update_ms_best": 1e3 * min(ours.seconds) / config.utd_ratio,
        "plain_critic_update_ms": plain_ms,
        "speedup_over_plain": plain_ms / ours_ms,
        "action_us": _action_microseconds(config, rlpd.actor_leaves(ours.state)),
        "batch_size": config.batch_size,
        "utd_ratio": config.utd_ratio,
        "ensemble_size": config.ensemble_size,
        "cores": os.cpu_count(),
    }


class _Timed:
    """An update function with its state, run and timed once per call; compiled beforehand."""

    def __init__(self, update: Callable, state: rlpd.TrainState, batches: dict[str, np.ndarray]) -> None:
        self._update = update
        self._batches = batches
        self.state = state
        self.seconds: list[float] = []
        self.run()
        self.seconds.clear()

    def run(self) -> None:
        start = time.perf_counter()
        self.state, _ = jax.block_until_ready(self._update(self.state, self._batches))
        self.seconds.append(time.perf_counter() - start)


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
    seconds = []
    for _ in range(500):
        start = time.perf_counter()
        network.sample(state, rng)
        seconds.append(time.perf_counter() - start)
    return 1e6 * float(np.median(seconds))


def _plain_update(config: RLPDConfig, state: rlpd.TrainState, batches: dict) -> tuple[rlpd.TrainState, Any]:
    def values(params: networks.Params, observation: jax.Array, action: jax.Array) -> jax.Array:
        def member(own: networks.Params) -> jax.Array:
            return networks.critics([own], observation, action, config.activation)[0]

        return jax.vmap(member)(params)

    optimizer = optax.adam(config.critic_lr)
    actor_config = config.actor_config(STATE_SIZE, ACTION_SIZE)

    def critic_step(state: rlpd.TrainState, batch: dict) -> tuple[rlpd.TrainState, None]:
        key, action_key, subset_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        action, _ = networks.sample(state.actor, batch["next_state"], action_key, actor_config)
        everyone = values(state.target_critic, batch["next_state"], action)
        subset = jax.random.permutation(subset_key, config.ensemble_size)[: config.subsample_size]
        target = batch["reward"] + config.discount * batch["discount"] * jnp.min(everyone[subset], 0)

        def loss(critic: networks.Params) -> jax.Array:
            predicted = values(critic, batch["state"], batch["action"])
            return jnp.mean((predicted - jnp.broadcast_to(target, predicted.shape)) ** 2)

        updates, critic_opt = optimizer.update(jax.grad(loss)(state.critic), state.critic_opt)
        critic = optax.apply_updates(state.critic, updates)
        target_critic = optax.incremental_update(critic, state.target_critic, config.tau)
        return state._replace(
            critic=critic, target_critic=target_critic, critic_opt=critic_opt, key=jax.random.key_data(key)
        ), None

    state, _ = jax.lax.scan(critic_step, state, batches)
    return rlpd.actor_update(config, state, {name: array[-1] for name, array in batches.items()})
