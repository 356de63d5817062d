# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Training of the image classifier: balanced batches, augmented; then calibration on what was held out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_learner.networks import Params
from serl_learner.vision import resnet10
from serl_learner.vision.augmentation import random_shift
from serl_learner.vision.backbone_file import Backbone, load_backbone
from serl_reward.classifier import image_classifier
from serl_reward.classifier.calibration import (
    Calibration,
    Scores,
    calibrate,
    choose_threshold,
    cross_fitted,
    score,
)
from serl_reward.classifier.config import TrainingConfig
from serl_reward.classifier.frames import LabelledFrames, check_classes
from serl_reward.classifier.image_classifier import ImageClassifier, NetworkConfig

_ADAM = optax.scale_by_adam()
VARIANTS = 3
"""Augmented copies of each frame that a frozen backbone sees once: in every batch anew it would take too long."""


@dataclass(frozen=True)
class TrainingResult:
    """What training came to.

    Attributes:
        classifier: Calibrated, with its threshold.
        scores: On held-out frames, each judged by a calibration and a threshold that were not fitted to it; of
            too few held-out episodes for that, by those that were (`cross_fitted` False).
        cross_fitted: Which of the two.
        training_scores: On the training frames.
        probability: Of the held-out frames, as `scores` judged them.
        threshold: For each of them, likewise.
        losses: Of every update.
        seconds: Wall-clock time [s].
    """

    classifier: ImageClassifier
    scores: Scores
    cross_fitted: bool
    training_scores: Scores
    probability: np.ndarray
    threshold: np.ndarray
    losses: tuple[float, ...]
    seconds: float


class _Noise(NamedTuple):
    """What is random in a gradient step."""

    shift_pixels: int
    brightness: float
    dropout: float


class _State(NamedTuple):
    params: Params
    optimizer: optax.OptState
    key: jax.Array


def train(
    frames: LabelledFrames, held_out: np.ndarray, config: TrainingConfig, note: Callable[[str], None]
) -> TrainingResult:
    """Train on the frames that are not held out, calibrate and choose the threshold on those that are.

    Args:
        frames: Labelled frames, n.
        held_out: bool (n,); ConfigError unless both sides hold both classes.
        config: Settings.
        note: Told about progress, a line now and then.
    """
    began = time.monotonic()
    check_classes(frames.success[~held_out], "training frames")
    check_classes(frames.success[held_out], "held-out frames")
    backbone = load_backbone(config.resnet10_weights) if config.encoder == "resnet10" else None
    network = NetworkConfig.of(frames.shapes, config.filters, config.hidden_size, backbone)
    params, losses = _fit(frames.where(~held_out), network, backbone, config, note)
    leaves = {name: np.asarray(leaf) for name, leaf in params.items()}
    logits = ImageClassifier(network, leaves, Calibration(), 0.5, backbone=backbone).logits(frames.images)

    success, seen, own = frames.success, frames.success[held_out], logits[held_out]
    calibration = calibrate(own, seen)
    threshold = choose_threshold(calibration.probability(own), seen, config.min_precision)
    episodes = [episode for episode, out in zip(frames.episodes, held_out, strict=True) if out]
    fitted = cross_fitted(own, seen, episodes, config.min_precision)
    judged, thresholds = fitted or (calibration.probability(own), np.full(seen.shape, threshold))
    return TrainingResult(
        classifier=ImageClassifier(network, leaves, calibration, threshold, backbone=backbone),
        scores=score(judged, seen, thresholds),
        cross_fitted=fitted is not None,
        training_scores=score(calibration.probability(logits[~held_out]), success[~held_out], threshold),
        probability=judged,
        threshold=thresholds,
        losses=tuple(losses),
        seconds=time.monotonic() - began,
    )


def _fit(
    frames: LabelledFrames,
    network: NetworkConfig,
    backbone: Backbone | None,
    config: TrainingConfig,
    note: Callable[[str], None],
) -> tuple[Params, list[float]]:
    key = jax.random.key(config.seed)
    params = image_classifier.init(key, network)
    state = _State(params, _ADAM.init(params), jax.random.fold_in(key, 1))
    noise = _Noise(config.shift_pixels, config.brightness, config.dropout)
    step_sizes = (
        config.learning_rate * 0.5 * (1.0 + np.cos(np.pi * np.arange(config.updates) / config.updates))
    )
    rng = np.random.default_rng(config.seed)
    views, variants = dict(frames.images), 1
    if backbone is not None:
        note(f"frozen features of {VARIANTS} variants of {len(frames)} frames")
        views, variants = _frozen_views(backbone, frames.images, config), VARIANTS
    losses: list[float] = []
    rows = balanced_rows(frames.success, (config.updates, config.batch_size), rng)
    view_rows = rng.integers(variants, size=rows.shape) * len(frames) + rows
    for i, (own, own_views) in enumerate(zip(rows, view_rows, strict=True)):
        batch = {camera: view[own_views] for camera, view in views.items()}
        label = frames.success[own].astype(np.float32)
        state, loss = _update(noise, state, batch, label, step_sizes[i], config.weight_decay)
        losses.append(float(loss))
        if i % 50 == 0 or i + 1 == config.updates:
            note(f"{i + 1} of {config.updates} updates, loss {losses[-1]:.4f}")
    return state.params, losses


def balanced_rows(success: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw indices (updates, batch) of frames; one half of every batch are successes, the other failures."""
    updates, batch = shape
    sides = [np.flatnonzero(success == label) for label in (True, False)]
    return np.concatenate(
        [
            rng.choice(side, (updates, size))
            for side, size in zip(sides, (batch // 2, batch - batch // 2), strict=True)
        ],
        axis=1,
    )


def augmented(key: jax.Array, images: jax.Array, shift_pixels: int, brightness: float) -> jax.Array:
    """Return uint8 images (n, H, W, 3), each shifted and made brighter or darker at random."""
    shift_key, light_key = jax.random.split(key)
    images = random_shift(shift_key, images, shift_pixels)
    if brightness == 0.0:
        return images
    factor = jax.random.uniform(
        light_key, (len(images), 1, 1, 1), minval=1 - brightness, maxval=1 + brightness
    )
    return jnp.clip(jnp.round(images * jnp.broadcast_to(factor, images.shape)), 0, 255).astype(jnp.uint8)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(
    noise: _Noise,
    state: _State,
    views: dict[str, jax.Array],
    label: jax.Array,
    step_size: jax.Array,
    weight_decay: jax.Array,
) -> tuple[_State, jax.Array]:
    """Do one gradient step.

    One step a call: inside of a loop, XLA's convolutions on a CPU are 20 times slower (measured with JAX 0.10).
    """
    key, drop_key, *view_keys = jax.random.split(state.key, 2 + len(views))
    seen = {
        camera: augmented(view_key, view, noise.shift_pixels, noise.brightness)
        if view.dtype == jnp.uint8
        else view
        for view_key, (camera, view) in zip(view_keys, sorted(views.items()), strict=True)
    }

    def loss_of(params: Params) -> jax.Array:
        latent = image_classifier.latents(params, None, seen)
        logit = image_classifier.head(params, latent, drop_key, noise.dropout)
        return jnp.mean(optax.sigmoid_binary_cross_entropy(logit, label))

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    direction, optimizer = _ADAM.update(gradient, state.optimizer)
    params = jax.tree.map(lambda p, d: p - step_size * (d + weight_decay * p), state.params, direction)
    return _State(params, optimizer, key), loss


def _frozen_views(
    backbone: Backbone, images: Mapping[str, np.ndarray], config: TrainingConfig
) -> dict[str, np.ndarray]:
    """Return float16 feature maps (VARIANTS * n, h, w, channels) by camera; the first variant is unchanged."""
    leaves = jax.device_put(backbone.leaves)

    @partial(jax.jit, static_argnums=2)
    def seen(key: jax.Array, pixels: jax.Array, change: bool) -> jax.Array:
        if change:
            pixels = augmented(key, pixels, config.shift_pixels, config.brightness)
        return resnet10.features(leaves, pixels).astype(jnp.float16)

    views = {}
    for index, (camera, pixels) in enumerate(sorted(images.items())):
        parts = []
        for variant in range(VARIANTS):
            for start in range(0, len(pixels), image_classifier.BATCH):
                key = jax.random.fold_in(jax.random.key(config.seed + variant), start * len(images) + index)
                batch = pixels[start : start + image_classifier.BATCH]
                parts.append(np.asarray(seen(key, batch, variant > 0)))
        views[camera] = np.concatenate(parts)
    return views
