# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A ResNet-10 of a task's own: trained to tell the goal's pose from rendered scenes, then frozen.

It stands where ImageNet's weights are not at hand, or are too slow: their 512 filters cost a CPU twenty times what
these do. Each camera has to tell the pose alone, through spatial embeddings and a bottleneck like those that read
the features in RL; these are thrown away, only the backbone is kept. What it learns from is a simulator's, so the
poses cost nobody's time; the policy later sees images and no pose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_learner.networks import Params, dense
from serl_learner.vision import encoder, resnet10
from serl_learner.vision.augmentation import random_shift
from serl_learner.vision.backbone_file import Backbone, leaf_shapes, make_backbone
from serl_learner.vision.config import PretrainingConfig, VisionConfig

_NOTE_EVERY = 25  # updates
_HELD_OUT = 10  # one scene in so many is not trained on
_EMBEDDINGS, _BOTTLENECK = 8, 256  # of the head, as in RL


@dataclass(frozen=True)
class Pretrained:
    """What a training came to.

    Attributes:
        backbone: Its weights, to be frozen.
        losses: Loss of every gradient step: absolute error in units of the target's scale.
        errors: Median absolute error of every element of the pose on scenes that were held out, mean over cameras.
    """

    backbone: Backbone
    losses: tuple[float, ...]
    errors: np.ndarray


class _Trained(NamedTuple):
    backbone: Params
    head: Params


def pretrain(
    config: PretrainingConfig,
    images: Mapping[str, np.ndarray],
    poses: np.ndarray,
    scale: np.ndarray,
    seed: int,
    origin: str,
    note: Callable[[str, float], None] = lambda text, fraction: None,
) -> Pretrained:
    """Train a ResNet-10 to tell poses from images.

    Args:
        config: Settings.
        images: uint8 (scenes, height, width, 3) by camera.
        poses: What is to be told (scenes, elements), e.g. the goal in the tcp frame [m, rad].
        scale: What to divide them by (elements,), as the agents do.
        seed: Seed of weights, order and shifts.
        origin: What the scenes are of, written into the weights.
        note: Told about progress: a line, and the share that is done.
    """
    names = tuple(sorted(images))
    vision = VisionConfig(
        encoder="resnet10",
        cameras=tuple((name, images[name].shape[1:]) for name in names),
        filters=config.filters,
        embeddings=_EMBEDDINGS,
        bottleneck=_BOTTLENECK,
        proprio=0,
    )
    targets = (poses / scale).astype(np.float32)
    held_out = max(1, len(targets) // _HELD_OUT)
    rng = np.random.default_rng(seed)
    trained = _init(config, vision, targets.shape[1], rng)
    opt = _optimizer(config).init(trained)
    losses = []
    for done in range(config.updates):
        rows = rng.integers(held_out, len(targets), config.batch_size)
        batch = {name: images[name][rows] for name in names}
        key = jax.random.fold_in(jax.random.key(seed), done)
        # One step a call: in a compiled loop, convolutions are many times slower on a CPU.
        trained, opt, loss = _update(config, trained, opt, batch, targets[rows], key)
        losses.append(float(loss))
        if done % _NOTE_EVERY == 0 or done + 1 == config.updates:
            recent = float(np.mean(losses[-_NOTE_EVERY:]))
            note(f"{done + 1} of {config.updates} updates, loss {recent:.4f}", (done + 1) / config.updates)
    told = [
        _predict(trained, {name: images[name][i : i + config.batch_size] for name in names})
        for i in range(0, held_out, config.batch_size)
    ]
    errors = np.abs(np.concatenate(told, 1)[:, :held_out] - targets[:held_out]) * scale
    leaves = {name: np.asarray(leaf) for name, leaf in trained.backbone.items()}
    return Pretrained(
        make_backbone(leaves, "pre-training", origin), tuple(losses), np.median(errors, 1).mean(0)
    )


def _optimizer(config: PretrainingConfig) -> optax.GradientTransformation:
    warm_up = min(50, config.updates // 2)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warm_up, config.updates)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def _init(
    config: PretrainingConfig, vision: VisionConfig, elements: int, rng: np.random.Generator
) -> _Trained:
    """Return kernels of He's deviation, the rest ones and zeros; in NumPy, since drawing fifty arrays compiles long."""
    shapes = {f"backbone/{name}": shape for name, shape in leaf_shapes(config.filters).items()}
    shapes |= {f"head/{name}": shape for name, shape in vision.leaf_shapes().items()}
    for camera, _ in vision.cameras:
        shapes[f"head/pose/{camera}/kernel"] = (vision.bottleneck, elements)
        shapes[f"head/pose/{camera}/bias"] = (elements,)
    trained = _Trained({}, {})
    for name, shape in shapes.items():
        part, _, own = name.partition("/")
        fan_in = math.prod(shape[:2] if "embedding" in name else shape[:-1])
        if name.endswith("kernel"):
            leaf = rng.normal(0.0, math.sqrt((2.0 if part == "backbone" else 1.0) / fan_in), shape)
        else:
            leaf = np.ones(shape) if name.endswith("scale") else np.zeros(shape)
        getattr(trained, part)[own] = jnp.asarray(leaf, jnp.float32)
    return trained


def _told(trained: _Trained, images: Mapping[str, jax.Array]) -> jax.Array:
    """Return scaled poses (cameras, batch, elements), of each camera alone."""
    names = encoder.cameras(trained.head)
    maps = resnet10.together(trained.backbone, images)
    latents = jnp.split(encoder.encode(trained.head, maps), len(names), -1)
    return jnp.stack([dense(trained.head, f"pose/{n}", x) for n, x in zip(names, latents, strict=True)])


_predict: Any = jax.jit(_told)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _update(
    config: PretrainingConfig,
    trained: _Trained,
    opt: optax.OptState,
    images: dict[str, jax.Array],
    targets: jax.Array,
    key: jax.Array,
) -> tuple[_Trained, optax.OptState, jax.Array]:
    shifted = {
        camera: random_shift(jax.random.fold_in(key, i), batch, config.shift_padding)
        for i, (camera, batch) in enumerate(sorted(images.items()))
    }

    def loss_of(trained: _Trained) -> jax.Array:
        # Not squared: a millimetre before the socket counts as much as one far from it.
        return jnp.mean(jnp.abs(_told(trained, shifted) - targets[None]))

    loss, gradient = jax.value_and_grad(loss_of)(trained)
    updates, opt = _optimizer(config).update(gradient, opt, trained)
    return optax.apply_updates(trained, updates), opt, loss
