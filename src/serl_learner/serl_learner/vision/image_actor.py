# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A policy that reads cameras, with fixed weights: one compiled call from images to action."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from serl_core.errors import SchemaError
from serl_learner import networks
from serl_learner.actor_network import ActorConfig, check_leaves
from serl_learner.diffusion_network import DiffusionNetwork
from serl_learner.gripper import insert
from serl_learner.networks import Params
from serl_learner.vision import encoder, resnet10
from serl_learner.vision.backbone_file import Backbone


class ImageActor:
    """The counterpart of `ActorNetwork` for policies that read cameras; ready to act when it is made.

    Args:
        config: Shape of the network.
        leaves: Parameters by name; SchemaError if they do not fit `config`.
        backbone: Frozen weights, if `config` names any; SchemaError if they are others.
    """

    def __init__(
        self, config: ActorConfig, leaves: dict[str, np.ndarray], backbone: Backbone | None = None
    ) -> None:
        if config.vision is None:
            raise SchemaError("this policy reads no camera: ActorNetwork runs it")
        digest = "" if backbone is None else backbone.digest
        if digest != config.vision.backbone:
            raise SchemaError(
                f"policy was trained on backbone {config.vision.backbone or 'none'}, not on {digest or 'none'}:"
                " set resnet10_weights to the learner's file"
            )
        check_leaves(leaves, config)
        self.config = config
        self._shapes = dict(config.vision.cameras)
        self._params = jax.device_put({name: np.asarray(leaf, np.float32) for name, leaf in leaves.items()})
        self._backbone = None if backbone is None else jax.device_put(backbone.leaves)
        self._compile()

    def _compile(self) -> None:
        """Act once, so that nobody waits for the compiler later."""
        self.mean(np.zeros(self.config.state_size, np.float32), self._blank())

    def _blank(self) -> dict[str, np.ndarray]:
        return {camera: np.zeros(shape, np.uint8) for camera, shape in self._shapes.items()}

    def mean(self, state: np.ndarray, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the squashed mean, float32 (action_size,) in [-1, 1].

        Args:
            state: State vector (state_size,).
            images: uint8 (height, width, 3) by camera; others than the policy's are ignored.
        """
        return self._act(state, images, np.zeros(self.config.action_size, np.float32))

    def sample(
        self, state: np.ndarray, images: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return a random action, float32 (action_size,) in [-1, 1]; arguments as for `mean`."""
        return self._act(state, images, rng.standard_normal(self.config.action_size, np.float32))

    def _act(self, state: np.ndarray, images: Mapping[str, np.ndarray], noise: np.ndarray) -> np.ndarray:
        state = np.asarray(state, np.float32)
        if state.shape != (self.config.state_size,):
            raise SchemaError(f"state: expected {self.config.state_size} numbers, got shape {state.shape}")
        views = self._views(images)
        continuous, choice = _act(self.config, self._params, self._backbone, state, views, noise)
        if not self.config.grippers:
            return np.asarray(continuous)
        return insert(np.asarray(continuous), np.asarray(choice), self.config.grippers)

    def _views(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the images of the policy's cameras; SchemaError if one is missing or of another shape."""
        views = {}
        for camera, shape in self._shapes.items():
            image = images.get(camera)
            if image is None or image.shape != shape or image.dtype != np.uint8:
                found = "nothing" if image is None else f"{image.dtype} {image.shape}"
                raise SchemaError(f"{camera}: expected an image uint8 {shape}, got {found}")
            views[camera] = image
        return views


class ImageDiffusion(ImageActor):
    """A diffusion policy that reads cameras: one compiled call for their latents, then NumPy; see `ImageActor`."""

    def plan(
        self, state: np.ndarray, images: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return actions float32 (prediction, action_size) in [-1, 1].

        Args:
            state: State vector (state_size,).
            images: uint8 (height, width, 3) by camera; others than the policy's are ignored.
            rng: Source of the noise to begin with.
        """
        latent = _latent(self._params, self._backbone, self._views(images))
        return self._network.plan(state, rng, np.asarray(latent))

    def _compile(self) -> None:
        leaves = {name: np.asarray(leaf) for name, leaf in self._params.items()}
        self._network = DiffusionNetwork(self.config, leaves)
        state = np.zeros(self.config.state_size, np.float32)
        self.plan(state, self._blank(), np.random.default_rng(0))


@partial(jax.jit, static_argnums=0)
def _act(
    config: ActorConfig,
    params: Params,
    backbone: resnet10.Leaves | None,
    state: jax.Array,
    images: dict[str, jax.Array],
    noise: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Return the continuous elements of the action, and the grippers' choice (0 without any)."""
    views = _seen(backbone, images)
    own = {name: leaf for name, leaf in params.items() if not name.startswith("base/")}
    latent = encoder.encode(own, views)
    base_latent = encoder.encode(networks.part(params, "base/"), views) if config.has_base else None
    actions = networks.act(params, state[None], noise[None], config, latent, base_latent)
    choice = jnp.int32(0)
    if config.grippers:
        critic = networks.part(params, "grasp/")
        choice = jnp.argmax(networks.grasp_values(critic, state[None], config.activation, latent)[0])
    return actions[0], choice


@jax.jit
def _latent(params: Params, backbone: resnet10.Leaves | None, images: dict[str, jax.Array]) -> jax.Array:
    """Return the latents of the cameras (latent_size,)."""
    latent = encoder.encode(params, _seen(backbone, images))
    assert latent is not None
    return latent[0]


def _seen(backbone: resnet10.Leaves | None, images: dict[str, jax.Array]) -> dict[str, jax.Array]:
    # Cameras share the backbone, so that all of a size go through it as one batch.
    views = {camera: image[None] for camera, image in images.items()}
    return views if backbone is None else resnet10.together(backbone, views)
