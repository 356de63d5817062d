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

UPDATES_PER_CALL = 10
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
        losses: Mean loss of every call.
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
    state = _State(params, _optimizer(config).init(params), jax.random.fold_in(key, 1))
    rng = np.random.default_rng(config.seed)
    views, variants = dict(frames.images), 1
    if backbone is not None:
        note(f"frozen features of {VARIANTS} variants of {len(frames)} frames")
        views, variants = _frozen_views(backbone, frames.images, config), VARIANTS
    views = jax.device_put(views)
    success = jnp.asarray(frames.success, jnp.float32)
    losses: list[float] = []
    done = 0
    while done < config.updates:
        count = min(UPDATES_PER_CALL, config.updates - done)
        rows = balanced_rows(frames.success, (count, config.batch_size), rng)
        variant = rng.integers(variants, size=rows.shape)
        state, loss = _update(config, state, views, success, rows, variant * len(frames) + rows)
        losses.append(float(loss))
        done += count
        if len(losses) % 10 == 1 or done == config.updates:
            note(f"{done} of {config.updates} updates, loss {losses[-1]:.4f}")
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


def _optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.updates)
    return optax.adamw(schedule, weight_decay=config.weight_decay)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(
    config: TrainingConfig,
    state: _State,
    views: Mapping[str, jax.Array],
    success: jax.Array,
    rows: jax.Array,
    view_rows: jax.Array,
) -> tuple[_State, jax.Array]:
    """Do one gradient step for each row of indices (updates, batch)."""

    def loss_of(params: Params, batch: dict[str, jax.Array], label: jax.Array, key: jax.Array) -> jax.Array:
        logit = image_classifier.head(
            params, image_classifier.latents(params, None, batch), key, config.dropout
        )
        return jnp.mean(optax.sigmoid_binary_cross_entropy(logit, label))

    def step(state: _State, chosen: tuple[jax.Array, jax.Array]) -> tuple[_State, jax.Array]:
        own, own_views = chosen
        key, drop_key, *keys = jax.random.split(state.key, 2 + len(views))
        batch = {}
        for view_key, (camera, view) in zip(keys, sorted(views.items()), strict=True):
            picked = view[own_views]
            plain = picked.dtype == jnp.uint8
            batch[camera] = (
                augmented(view_key, picked, config.shift_pixels, config.brightness) if plain else picked
            )
        value, gradient = jax.value_and_grad(loss_of)(state.params, batch, success[own], drop_key)
        changes, optimizer = _optimizer(config).update(gradient, state.optimizer, state.params)
        return _State(optax.apply_updates(state.params, changes), optimizer, key), value

    state, losses = jax.lax.scan(step, state, (rows, view_rows))
    return state, jnp.mean(losses)


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
