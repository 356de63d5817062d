# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""VICE's classifier (Fu et al. 2018; SERL, IV-B): goals against whatever the policy visits, trained as it learns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy
from safetensors import SafetensorError

from serl_core.errors import ConfigError, SchemaError
from serl_learner.networks import Params
from serl_reward.classifier import image_classifier
from serl_reward.classifier.classifier_training import augmented
from serl_reward.classifier.image_classifier import NetworkConfig
from serl_reward.vice import ViceConfig

Images = Mapping[str, np.ndarray]


class _State(NamedTuple):
    params: Params
    optimizer: optax.OptState
    key: jax.Array


class ViceClassifier:
    """Discriminates goals from visited states; every visited state is a negative, a success too.

    A policy that reaches the goal makes its states the classifier's negatives, so that nothing it finds can be
    exploited for long: what looks like a goal without being one stops paying. In equilibrium a state that is a
    goal and is visited gets 1/2. One thread at a time.

    Args:
        goals: uint8 images (n, H, W, 3) by camera, of states to be reached; ConfigError without any.
        config: Settings.
        seed: Of network, batches and augmentation.
    """

    def __init__(self, goals: Images, config: ViceConfig, seed: int = 0) -> None:
        count = len(next(iter(goals.values()))) if goals else 0
        if count == 0:
            raise ConfigError("VICE needs pictures of the goal: label successes in a bag (./serl label)")
        self._config = config
        self._goals = {camera: np.asarray(goals[camera], np.uint8) for camera in sorted(goals)}
        shapes = {camera: pixels.shape[1:] for camera, pixels in self._goals.items()}
        self.network = NetworkConfig.of(shapes, config.vice_filters, config.vice_hidden_size)
        self._visited = {c: np.zeros((config.vice_capacity, *shape), np.uint8) for c, shape in shapes.items()}
        self._visits = 0
        self._rng = np.random.default_rng(seed)
        key = jax.random.key(seed)
        params = image_classifier.init(key, self.network)
        self._state = _State(
            params, _optimizer(config).init(params), jax.random.key_data(jax.random.fold_in(key, 1))
        )

    @property
    def visited(self) -> int:
        """Visited states held as negatives."""
        return min(self._visits, self._config.vice_capacity)

    def visit(self, images: Images) -> None:
        """Add a state that the policy reached, uint8 (H, W, 3) by camera; the oldest gives way."""
        self._check(images)
        place = self._visits % self._config.vice_capacity
        for camera, pixels in self._visited.items():
            pixels[place] = images[camera]
        self._visits += 1

    def probability(self, images: Images) -> float:
        """Return the classifier's present probability, in [0, 1], that a state is a goal."""
        self._check(images)
        frame = {camera: np.asarray(images[camera])[None] for camera in self._goals}
        return float(_probability(self._state.params, frame)[0])

    def update(self, updates: int) -> dict[str, float]:
        """Do gradient steps, each on as many goals as visited states.

        Returns:
            Means over the steps: "loss", and the probability given to goals and to visited states. {} where no
            state has been visited yet.
        """
        if not self.visited or not updates:
            return {}
        metrics = []
        for _ in range(updates):
            half = self._config.vice_batch_size // 2
            batches = [
                {camera: pixels[rows] for camera, pixels in side.items()}
                for side, rows in (
                    (self._goals, self._rng.integers(len(next(iter(self._goals.values()))), size=half)),
                    (self._visited, self._rng.integers(self.visited, size=half)),
                )
            ]
            self._state, values = _update(self._config, self._state, *batches)
            metrics.append(values)
        return {name: float(np.mean([m[name] for m in metrics])) for name in metrics[0]}

    def save(self, path: Path) -> None:
        """Write weights and optimiser as safetensors, at once; visited states are the bag's to keep."""
        data = safetensors.numpy.save(self._leaves(), {"network": self.network.fingerprint})
        partial_path = path.with_name(path.name + ".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_path.write_bytes(data)
        partial_path.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote; SchemaError if it is of other cameras, sizes or settings."""
        try:
            loaded = safetensors.numpy.load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise SchemaError(f"{path} cannot be read: {error}") from error
        own = self._leaves()
        for name in sorted(set(own) | set(loaded)):
            if name not in own or name not in loaded or own[name].shape != loaded[name].shape:
                raise SchemaError(f"{path} is of another VICE classifier: {name} differs")
        _, structure = jax.tree.flatten(self._state)
        self._state = jax.tree.unflatten(
            structure, [jnp.asarray(loaded[name]) for name in _names(self._state)]
        )

    def digest(self) -> str:
        """Return a short hash over the weights: which classifier gave a reward."""
        hasher = hashlib.sha256()
        for name, leaf in sorted(self._state.params.items()):
            hasher.update(name.encode() + np.asarray(leaf).tobytes())
        return hasher.hexdigest()[:16]

    def _leaves(self) -> dict[str, np.ndarray]:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self._state)]
        return dict(zip(_names(self._state), leaves, strict=True))

    def _check(self, images: Images) -> None:
        for camera, pixels in self._goals.items():
            if camera not in images or np.shape(images[camera]) != pixels.shape[1:]:
                found = "missing" if camera not in images else "x".join(map(str, np.shape(images[camera])))
                size = "x".join(map(str, pixels.shape[1:]))
                raise SchemaError(
                    f"VICE's goals show {camera} of {size}, here it is {found}: label goals of this setup"
                )


def _names(state: _State) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]]


def _optimizer(config: ViceConfig) -> optax.GradientTransformation:
    return optax.adam(config.vice_learning_rate)


@jax.jit
def _probability(params: Params, images: dict[str, jax.Array]) -> jax.Array:
    return jax.nn.sigmoid(image_classifier.head(params, image_classifier.latents(params, None, images)))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _update(
    config: ViceConfig, state: _State, goals: dict[str, jax.Array], visited: dict[str, jax.Array]
) -> tuple[_State, dict[str, jax.Array]]:
    key, mix_key, weight_key, drop_key, *view_keys = jax.random.split(
        jax.random.wrap_key_data(state.key), 4 + len(goals)
    )
    half = len(next(iter(goals.values())))
    smooth = 0.5 * config.vice_label_smoothing
    label = jnp.concatenate([jnp.full(half, 1.0 - smooth), jnp.full(half, smooth)])
    images = {}
    for camera, view_key in zip(sorted(goals), view_keys, strict=True):
        both = jnp.concatenate([goals[camera], visited[camera]])
        images[camera] = augmented(view_key, both, config.vice_shift_pixels, config.vice_brightness)
    if config.vice_mixup > 0.0:
        images, label = _mixed(mix_key, images, label, config.vice_mixup)

    def loss_of(params: Params) -> tuple[jax.Array, jax.Array]:
        latent = image_classifier.latents(params, None, images)
        logit = image_classifier.head(params, latent, drop_key, config.vice_dropout)
        loss = jnp.mean(optax.sigmoid_binary_cross_entropy(logit, label))
        if config.vice_gradient_penalty > 0.0:
            loss += config.vice_gradient_penalty * _gradient_penalty(params, latent, weight_key)
        return loss, logit

    (loss, logit), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    changes, optimizer = _optimizer(config).update(gradient, state.optimizer, state.params)
    probability = jax.nn.sigmoid(logit)
    metrics = {"loss": loss, "goal": jnp.mean(probability[:half]), "visited": jnp.mean(probability[half:])}
    return _State(optax.apply_updates(state.params, changes), optimizer, jax.random.key_data(key)), metrics


def _mixed(
    key: jax.Array, images: dict[str, jax.Array], label: jax.Array, alpha: float
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Mixup (Zhang et al. 2018): each example and label blended with another's, all cameras alike."""
    share_key, order_key = jax.random.split(key)
    share = jax.random.beta(share_key, alpha, alpha, label.shape)
    share = jnp.maximum(share, 1.0 - share)  # an example stays nearer to itself, and so to its metric
    other = jax.random.permutation(order_key, len(label))

    def blend(x: jax.Array) -> jax.Array:
        weight = jnp.broadcast_to(share.reshape(-1, *[1] * (x.ndim - 1)), x.shape)
        return weight * x + (1.0 - weight) * x[other]

    return {camera: blend(pixels) for camera, pixels in images.items()}, blend(label)


def _gradient_penalty(params: Params, latent: jax.Array, key: jax.Array) -> jax.Array:
    """Mean squared excess over 1 of the logit's gradient, between goals and visited states, in latent space.

    Gulrajani et al. 2017, on one side only: a classifier may be flat, but not arbitrarily steep.
    """
    half = len(latent) // 2
    weight = jnp.broadcast_to(jax.random.uniform(key, (half, 1)), latent[:half].shape)
    between = weight * latent[:half] + (1.0 - weight) * latent[half:]
    gradient = jax.grad(lambda z: jnp.sum(image_classifier.head(params, z)))(between)
    norm = jnp.sqrt(jnp.sum(gradient**2, -1) + 1e-12)
    return jnp.mean(jnp.maximum(norm - 1.0, 0.0) ** 2)
