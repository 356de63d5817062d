# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where arrays lie: parameters on every local device, batches divided among them."""

from __future__ import annotations

from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from serl_core.errors import ConfigError

T = TypeVar("T")

_ROWS = "rows"


class Placement:
    """Data parallelism over local devices: each takes a part of every batch, the compiler sums gradients up.

    Args:
        devices: How many take part; 0: all. ConfigError if there are fewer, or if they cannot share a batch
            equally.
        batch_size: Rows of a batch.
    """

    def __init__(self, devices: int, batch_size: int) -> None:
        local = jax.local_devices()
        count = devices or len(local)
        if count > len(local):
            raise ConfigError(f"devices is {count}, but there are {len(local)} here; 0 takes all")
        if batch_size % count:
            raise ConfigError(
                f"batch_size {batch_size} cannot be shared equally by {count} devices: change it or set devices"
            )
        mesh = Mesh(np.array(local[:count]), (_ROWS,))
        self.devices = count
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._shared = NamedSharding(mesh, PartitionSpec(None, _ROWS))

    def everywhere(self, tree: T) -> T:
        """Return `tree` with every array on each device."""
        return jax.device_put(tree, self._everywhere)

    def shared(self, batches: dict[str, np.ndarray]) -> dict[str, np.ndarray] | dict[str, jax.Array]:
        """Return arrays (updates, batch, ...) with their rows divided among the devices."""
        # One device takes arrays of the host as they are, without a copy of its own.
        return batches if self.devices == 1 else jax.device_put(batches, self._shared)
