# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Batches of two halves: what the policy met, and what people showed (SERL paper, section IV-A)."""

from __future__ import annotations

from typing import Any

import numpy as np

from serl_core.types import Source
from serl_learner.replay.ring_buffer import RingBuffer


def is_demonstration(source: Source) -> bool:
    """Return whether an online row also belongs among the demonstrations: only where a person acted."""
    return source == Source.HUMAN


class SymmetricSampler:
    """Draws a fixed share of every batch from demonstrations; all from one buffer while the other is empty.

    Args:
        online: Rows of the run.
        demo: Demonstrations and a person's corrections.
        demo_fraction: Share of demonstrations in a batch.
        seed: Seed of the draw.
    """

    def __init__(self, online: RingBuffer, demo: RingBuffer, demo_fraction: float, seed: int) -> None:
        self._online = online
        self._demo = demo
        self._demo_fraction = demo_fraction
        self._rng = np.random.default_rng(seed)

    def sample(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """Return batches with leading shape (updates, batch_size); see `RingBuffer.sample` for the arrays.

        SchemaError if both buffers are empty.
        """
        demos = round(batch_size * self._demo_fraction)
        if not len(self._demo):
            demos = 0
        elif not len(self._online):
            demos = batch_size
        parts = [
            buffer.sample((updates, count), self._rng)
            for buffer, count in ((self._online, batch_size - demos), (self._demo, demos))
            if count
        ]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def state(self) -> dict[str, Any]:
        """Return the state of the draw, as JSON can hold it."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._rng.bit_generator.state = state
