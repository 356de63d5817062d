# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Learning from a bag alone: behaviour cloning, the baseline of SERL's section V, and diffusion policies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from serl_core.specs import EnvSpec
from serl_learner import weights
from serl_learner.actor_network import ChunkShape
from serl_learner.agents import bc, diffusion, rlpd
from serl_learner.agents.config import BCConfig, DiffusionConfig
from serl_learner.checkpoint import save_policy
from serl_learner.demonstrations import read_demonstrations, spec_of_task
from serl_learner.replay.chunks import ChunkBuffer
from serl_learner.replay.joiner import Joiner, Row
from serl_learner.replay.ring_buffer import RingBuffer
from serl_learner.vision.config import policy_cameras
from serl_learner.vision.feature_cache import FeatureCache

UPDATES_PER_CALL = 100
MAX_SKIPPED_IN_ROW = 100
"""Updates in a row with a gradient that is not finite after which training ends."""


@dataclass(frozen=True)
class CloningResult:
    """What cloning was done on and how long it took.

    Attributes:
        demos: Demonstrations used.
        demo_cycle_time_s: Their mean duration [s].
        seconds: Wall-clock time of training [s].
        losses: Loss of every call of the agent's update, in order.
        skipped: Updates that were skipped for a gradient that was not finite.
    """

    demos: int
    demo_cycle_time_s: float
    seconds: float
    losses: tuple[float, ...]
    skipped: int


def train_offline(
    bag: Path,
    task: str,
    config: BCConfig | DiffusionConfig,
    run: Path,
    seed: int,
    note: Callable[[str], None],
) -> CloningResult:
    """Clone the demonstrations of a bag and save the policy as a checkpoint of `run`.

    SerlError after `MAX_SKIPPED_IN_ROW` updates in a row that were skipped, or all that there are; what was learned
    before them is saved.

    Args:
        bag: Bag of demonstrations; BagError or ConfigError if it holds none.
        task: Name that the environment of the demonstrations must have; ConfigError if it has another.
        config: Settings of behaviour cloning or of a diffusion policy, which is thereby chosen.
        run: Run folder.
        seed: Seed of network and sampling.
        note: Told about progress, a line now and then, and in one line each what a damaged bag has lost and
            how many updates were skipped.
    """
    spec = spec_of_task(bag, task)
    episodes = read_demonstrations(bag, spec, note)
    joiner = Joiner(spec)
    rows = [row for episode in episodes for transition in episode for row in joiner.add(transition)]
    backbone = config.backbone(spec)
    vision_config = config.vision_config(spec, backbone)
    features = None
    if backbone is not None and vision_config is not None and config.feature_shifts:
        cache = FeatureCache(config, vision_config, backbone, seed)
        rows, features = cache.encode(rows), cache.shapes
    actor_config = config.actor_config(spec.policy_state_size, spec.action_size, vision_config)
    agent: Any = bc if actor_config.chunks is None else diffusion
    buffer = _buffer(spec, rows, actor_config.chunks, features)
    rng = np.random.default_rng(seed)
    state = agent.init(config, spec, seed, backbone)
    leaves = None if backbone is None else jax.device_put(backbone.leaves)
    wanted = {"state", "action", *(camera.name for camera in policy_cameras(spec))}
    began = time.monotonic()
    losses: list[float] = []
    done = skipped = skipped_in_row = 0
    limit = min(MAX_SKIPPED_IN_ROW, config.updates)
    while done < config.updates and skipped_in_row < limit:
        count = min(UPDATES_PER_CALL, config.updates - done)
        batch = buffer.sample((count, config.batch_size), rng)
        state, metrics = agent.update(config, state, {key: batch[key] for key in wanted}, leaves)
        done += count
        skipped, skipped_in_row = int(metrics["skipped"]), int(metrics["skipped_in_row"])
        losses.append(float(metrics["loss"]))
        if len(losses) % 50 == 1:
            note(
                f"cloning {len(episodes)} demonstrations: {done} of {config.updates} updates, loss {losses[-1]:.4f}"
            )
    if skipped:
        note(f"{skipped} of {done} updates were skipped: their gradient was not finite")
    if skipped < done:
        policy = weights.encode(agent.actor_leaves(state), spec, actor_config, done, time.time())
        facts = {"method": config.method, "seed": seed, "demos": len(episodes)}
        save_policy(run, done, policy, spec, facts, backbone)
    advice = f"clone with a smaller learning_rate, and look for huge numbers in {bag}"
    rlpd.end_if_stuck(skipped_in_row, limit, advice)
    durations = [len(episode) * spec.step_seconds for episode in episodes]
    seconds = time.monotonic() - began
    return CloningResult(len(episodes), float(np.mean(durations)), seconds, tuple(losses), skipped)


def _buffer(
    spec: EnvSpec,
    rows: Sequence[Row],
    chunks: ChunkShape | None,
    features: Mapping[str, tuple[int, ...]] | None,
) -> RingBuffer | ChunkBuffer:
    if chunks is not None:
        return ChunkBuffer(rows, chunks, features is not None)
    buffer = RingBuffer(spec, max(2, len(rows)), features=features)
    for row in rows:
        buffer.insert(row)
    return buffer
