# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Random shifts of images (DrQ, Kostrikov et al. 2020, section 3.1; "random crop" in HIL-SERL's tables)."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def random_shift(key: jax.Array, images: jax.Array, padding: int) -> jax.Array:
    """Shift every image on its own, up to `padding` pixels each way; its edge is repeated into the gap.

    Args:
        key: Random key.
        images: (batch, height, width, channels), any dtype.
        padding: 0 returns the images as they are.
    """
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)
    return shift(images, corners, padding)


def shift(images: jax.Array, corners: jax.Array, padding: int) -> jax.Array:
    """Crop every image, its edge repeated by `padding`, at its corner (batch, 2) in [0, 2 * padding]."""
    if padding == 0:
        return images
    _, *shape = images.shape
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="edge")

    def crop(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), shape)

    return jax.vmap(crop)(padded, corners)
