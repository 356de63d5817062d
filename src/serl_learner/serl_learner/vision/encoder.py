# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From images to the latent vector that actor and critics read beside the state.

    small:     image -> convolutions -> feature map  \\
                                                       -> spatial embeddings -> bottleneck -> latent, per camera
    resnet10:  image -> frozen ResNet -> feature map  /

Spatial learned embeddings weigh every channel's map by learned masks, so that a latent can say where something
is, not only that it is there; the bottleneck is a dense layer, normalised, with tanh (HIL-SERL, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from serl_core.errors import SchemaError
from serl_learner.networks import Params, dense
from serl_learner.vision import resnet10
from serl_learner.vision.augmentation import random_shift
from serl_learner.vision.config import RESNET_HALVINGS, VisionConfig, VisionOptions, halved

Batch = dict[str, jax.Array]
NEXT = "next_"
"""Prefix of the arrays of a step's second observation."""

_initializers = jax.nn.initializers
_INITIALIZERS = {
    "conv": _initializers.he_normal(),
    # A mask is a sum over space for each channel apart, whatever the number of channels.
    "embedding": _initializers.variance_scaling(
        1.0, "fan_in", "truncated_normal", in_axis=(0, 1), out_axis=3, batch_axis=2
    ),
    "bottleneck": _initializers.glorot_uniform(),
}


def init(key: jax.Array, config: VisionConfig) -> Params:
    """Return fresh parameters of all cameras, named as `VisionConfig.leaf_shapes` says."""
    params: Params = {}
    for i, (name, shape) in enumerate(config.leaf_shapes().items()):
        layer, part = name.split("/")[-2:]
        if part == "kernel":
            make = _INITIALIZERS[layer.partition("_")[0]]
            params[name] = make(jax.random.fold_in(key, i), shape)
        else:
            params[name] = jnp.ones(shape) if part == "scale" else jnp.zeros(shape)
    return params


def cameras(params: Params) -> list[str]:
    """Return the cameras that `params` encode, in the order of their latents: sorted."""
    return sorted(name.split("/")[1] for name in params if name.endswith("/embedding/kernel"))


def see(
    options: VisionOptions, params: Params, backbone: resnet10.Leaves | None, batch: Batch, key: jax.Array
) -> Batch:
    """Return `batch` with its images shifted at random and, for a frozen backbone, replaced by feature maps.

    Both observations of every row and every camera are shifted on their own. Arrays that are feature maps
    already (of a floating dtype, from a cache) stay as they are.

    Args:
        options: Encoder and padding.
        params: Parameters of the encoder, for the names of the cameras.
        backbone: Frozen weights where `options.encoder` is "resnet10".
        batch: Images uint8 (batch, height, width, 3) by camera and by "next_" + camera; others are kept.
        key: Random key.
    """
    names = [
        prefix + camera for camera in cameras(params) for prefix in ("", NEXT) if prefix + camera in batch
    ]
    seen = dict(batch)
    for i, name in enumerate(names):
        if batch[name].dtype == jnp.uint8:
            shifted = random_shift(jax.random.fold_in(key, i), batch[name], options.shift_padding)
            seen[name] = shifted if backbone is None else resnet10.features(backbone, shifted)
    return seen


def encode(params: Params, views: Mapping[str, jax.Array], prefix: str = "") -> jax.Array | None:
    """Return latents (batch, latent_size), or None where there is no camera.

    Args:
        params: Parameters of the encoder; empty where there is no camera.
        views: What `see` returned: images or feature maps by prefix + camera.
        prefix: "" for a step's first observation, `NEXT` for its second.
    """
    if not params:
        return None
    return jnp.concatenate(
        [_latent(params, camera, views[prefix + camera]) for camera in cameras(params)], -1
    )


def check_images(options: VisionOptions, params: Params, batch: Batch, lead: tuple[int, ...]) -> None:
    """Raise SchemaError unless images or feature maps with leading axes `lead` fit the encoder."""
    for camera in cameras(params):
        own = f"image/{camera}"
        expected = params[f"{own}/embedding/kernel"].shape[:3]
        for name in (camera, NEXT + camera):
            if name not in batch:
                continue  # cloning needs no second observation
            array = batch[name]
            shape = array.shape[len(lead) :]
            if array.dtype == jnp.uint8 and len(shape) == 3:
                convolutions = sum(f"{own}/conv_{i}/kernel" in params for i in range(len(params)))
                halvings = RESNET_HALVINGS if options.encoder == "resnet10" else convolutions
                shape = (*halved(shape[:2], halvings), expected[2] if shape[2] == 3 else 0)
            if array.shape[: len(lead)] != lead or shape != expected:
                raise SchemaError(
                    f"batches: {name} of shape {array.shape} and dtype {array.dtype} must be {lead} images or"
                    f" feature maps that make {expected} features"
                )


def _latent(params: Params, camera: str, view: jax.Array) -> jax.Array:
    own = f"image/{camera}"
    if f"{own}/conv_0/kernel" in params:
        view = _convolutions(params, own, view)
    weighed = jnp.einsum("bhwc,hwce->bce", view.astype(jnp.float32), params[f"{own}/embedding/kernel"])
    return jnp.tanh(dense(params, f"{own}/bottleneck", weighed.reshape(len(view), -1)))


def _convolutions(params: Params, own: str, images: jax.Array) -> jax.Array:
    x = images.astype(jnp.float32) / 255.0 - 0.5
    i = 0
    while f"{own}/conv_{i}/kernel" in params:
        kernel, bias = params[f"{own}/conv_{i}/kernel"], params[f"{own}/conv_{i}/bias"]
        x = _halving_convolution(x, kernel) if i == 0 else _halving_product(x, kernel)
        x = jax.nn.relu(x + jnp.broadcast_to(bias[None, None, None, :], x.shape))
        i += 1
    return x


def _halving_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve (batch, height, width, channels) by a kernel (3, 3, channels, filters) at every other pixel."""
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _halving_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Do the same as `_halving_convolution` by one matrix product.

    On a CPU, XLA's derivative of a strided convolution by its input takes three times as long (JAX 0.10, 64 x 64
    pixels, 16 to 32 channels). The first layer needs none, and its patches would be most of the memory.
    """
    batch, height, width, channels = x.shape
    rows, columns = halved((height, width), 1)
    # "SAME" puts the odd pixel of padding last.
    x = jnp.pad(x, ((0, 0), (height % 2, 1), (width % 2, 1), (0, 0)))
    neighbours = [
        x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for i in range(3) for j in range(3)
    ]
    patches = jnp.concatenate(neighbours, -1).reshape(-1, 9 * channels)
    return (patches @ kernel.reshape(9 * channels, -1)).reshape(batch, rows, columns, -1)
