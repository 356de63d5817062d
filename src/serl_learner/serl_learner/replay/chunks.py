# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Rows of whole episodes for policies that read and predict several steps at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serl_core.errors import SchemaError
from serl_learner.actor_network import ChunkShape
from serl_learner.replay.joiner import Row


class ChunkBuffer:
    """Chunks of demonstrations: the observations up to a step, and the actions from it on.

    Nothing is chunked across two episodes or a missing step: before the first step its observation stands again, after
    the last one its action (Chi et al. 2024, section 3.2).

    Args:
        rows: Of any number of episodes, in any order; SchemaError if there are none.
        shape: How many observations and actions.
        shifts: Whether images are feature maps (shifts, height, width, channels), of which a sample draws one.
    """

    def __init__(self, rows: Sequence[Row], shape: ChunkShape, shifts: bool = False) -> None:
        if not rows:
            raise SchemaError("cannot make chunks of an empty recording")
        rows = sorted(rows, key=lambda row: (row.episode, row.step))
        place = np.arange(len(rows))
        begins = np.array(
            [
                i == 0 or (rows[i - 1].episode, rows[i - 1].step + 1) != (r.episode, r.step)
                for i, r in enumerate(rows)
            ]
        )
        first = np.maximum.accumulate(np.where(begins, place, 0))
        ends = np.append(begins[1:], True)
        last = np.minimum.accumulate(np.where(ends, place, len(rows))[::-1])[::-1]
        before, after = np.arange(1 - shape.observation, 1), np.arange(shape.prediction)
        self._observed = np.maximum(place[:, None] + before, first[:, None])
        self._done = np.minimum(place[:, None] + after, last[:, None])
        self._state = np.stack([row.frame.state for row in rows]).astype(np.float32)
        self._action = np.stack([row.action for row in rows]).astype(np.float32)
        names = rows[0].frame.images
        self._images = {name: np.stack([row.frame.images[name] for row in rows]) for name in names}
        self._shifts = shifts

    def __len__(self) -> int:
        return len(self._state)

    def sample(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw steps uniformly with replacement.

        Args:
            shape: Leading shape of the result.
            rng: Source of randomness.

        Returns:
            "state" (..., observation * state_size), "action" (..., prediction, action_size), and by name what the
            cameras showed at the step.
        """
        chosen = rng.integers(len(self), size=shape)
        state = self._state[self._observed[chosen]]
        batch = {
            "state": state.reshape(*chosen.shape, -1),
            "action": self._action[self._done[chosen]],
        }
        for name, images in self._images.items():
            if self._shifts:
                batch[name] = images[chosen, rng.integers(images.shape[1], size=chosen.shape)]
            else:
                batch[name] = images[chosen]
        return batch
