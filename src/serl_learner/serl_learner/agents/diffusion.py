# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Diffusion policy: cloning of action chunks as a denoising process (Chi et al. 2024; HIL-SERL, suppl. C).

    loss = E[ |noise - network(sqrt(share_k) * chunk + sqrt(1 - share_k) * noise, k, observations)|^2 ]

over chunks of demonstrations, diffusion steps k and standard normal noise, with the squared cosine schedule. What acts
is the exponential moving average of the network. Other than in the original, the network is a normalised
multi-layer perceptron on the flattened chunk instead of a temporal U-Net or a transformer: chunks here are 8 actions
long, and a robot's CPU must denoise them within a control period. `diffusion_network` has the way back, in NumPy.
A gradient that is not finite skips its update and is counted.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.actor_network import ActorConfig
from serl_learner.agents.config import DiffusionConfig
from serl_learner.agents.rlpd import guarded
from serl_learner.diffusion_network import denoisings, signal_shares, step_embedding
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone


class DiffusionState(NamedTuple):
    """Everything that training goes on from.

    Attributes:
        actor, encoder: Parameters of the network and of the image encoder, empty without cameras.
        average: Moving average of both, under their names.
        opt: Optimiser state.
        key: Data of the random key.
        updates: Gradient steps so far, skipped ones included.
        skipped, skipped_in_row: Of them, those that were skipped, as in `bc.BCState`.
    """

    actor: Params
    encoder: Params
    average: Params
    opt: optax.OptState
    key: jax.Array
    updates: jax.Array
    skipped: jax.Array
    skipped_in_row: jax.Array


def _optimizer(config: DiffusionConfig) -> optax.GradientTransformation:
    warmup = min(config.warmup_updates, config.updates // 2)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, config.updates)
    return optax.adamw(schedule, weight_decay=config.weight_decay)


def init(
    config: DiffusionConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None
) -> DiffusionState:
    """Return a fresh state for an environment, reproducible by `seed`; `backbone` as for `rlpd.init`."""
    vision_config = config.vision_config(spec, backbone)
    shape = config.actor_config(spec.policy_state_size, spec.action_size, vision_config)
    key, actor_key, encoder_key = jax.random.split(jax.random.key(seed), 3)
    actor = networks.init_denoiser(actor_key, shape)
    encoder = {} if vision_config is None else vision.init(encoder_key, vision_config)
    average = jax.tree.map(jnp.copy, {**actor, **encoder})
    opt = _optimizer(config).init((actor, encoder))
    counts = (jnp.int32(0), jnp.int32(0), jnp.int32(0))
    return DiffusionState(actor, encoder, average, opt, jax.random.key_data(key), *counts)


def _shape(config: DiffusionConfig, actor: Params) -> ActorConfig:
    first = "proprio/kernel" if "proprio/kernel" in actor else "hidden_0/kernel"
    action_size = actor["noise/bias"].shape[0] // config.action_prediction
    width = actor[first].shape[0]
    if first == "hidden_0/kernel":
        width -= actor["noise/bias"].shape[0] + config.step_embedding_size
    return config.actor_config(width // config.observation_chunk, action_size)


def loss(
    config: DiffusionConfig,
    actor: Params,
    batch: vision.Batch,
    key: jax.Array,
    latent: jax.Array | None = None,
) -> jax.Array:
    """Return the mean squared error of the noise found in chunks with noise.

    Args:
        config: Settings.
        actor: Parameters of the network.
        batch: "state" (B, observation_chunk * state_size), "action" (B, action_prediction, action_size).
        key: Random key of diffusion steps and noise.
        latent: Latents of the cameras (B, latent_size); None without cameras.
    """
    step_key, noise_key = jax.random.split(key)
    chunk = batch["action"].reshape(len(batch["action"]), -1)
    steps = jax.random.randint(step_key, (len(chunk),), 0, config.diffusion_steps)
    share = jnp.asarray(signal_shares(config.diffusion_steps), jnp.float32)[steps][:, None]
    noise = jax.random.normal(noise_key, chunk.shape)
    noisy = jnp.sqrt(share) * chunk + jnp.sqrt(1.0 - share) * noise
    found = _noise(config, actor, batch["state"], noisy, steps, latent)
    return jnp.mean((found - noise) ** 2)


def _noise(
    config: DiffusionConfig,
    actor: Params,
    state: jax.Array,
    noisy: jax.Array,
    steps: jax.Array,
    latent: jax.Array | None,
) -> jax.Array:
    table = step_embedding(np.arange(config.diffusion_steps), config.step_embedding_size)
    return networks.denoiser(actor, state, noisy, jnp.asarray(table)[steps], config.activation, latent)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: DiffusionConfig,
    state: DiffusionState,
    batches: vision.Batch,
    backbone: resnet10.Leaves | None = None,
) -> tuple[DiffusionState, dict]:
    """Do one gradient step per batch.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: "state" (U, B, observation_chunk * state_size), "action" (U, B, action_prediction, action_size) and
            for every camera its name, as for `rlpd.update`; other entries are ignored.
        backbone: Frozen weights where `config.encoder` is "resnet10".

    Returns:
        New state; {"loss": mean over the updates that were finite, "skipped", "skipped_in_row": as in the state}.
    """
    shape = _shape(config, state.actor)
    states, actions = batches["state"], batches["action"]
    lead, tail = states.shape[:2], (config.action_prediction, shape.action_size)
    if states.ndim != 3 or states.shape[2] != shape.state_size or actions.shape != (*lead, *tail):
        raise SchemaError(
            f"batches: expected state (U, B, {shape.state_size}) and action (U, B, {tail[0]}, {tail[1]}),"
            f" got {states.shape} and {actions.shape}"
        )
    views = {camera: batches[camera] for camera in vision.cameras(state.encoder)}
    vision.check_images(config, state.encoder, views, lead)

    def step(state: DiffusionState, batch: vision.Batch) -> tuple[DiffusionState, jax.Array]:
        key, loss_key, shift_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        seen = vision.see(config, state.encoder, backbone, batch, shift_key)

        def loss_of(trained: tuple[Params, Params]) -> jax.Array:
            actor, encoder = trained
            return loss(config, actor, seen, loss_key, vision.encode(encoder, seen))

        trained = (state.actor, state.encoder)
        value, gradient = jax.value_and_grad(loss_of)(trained)
        (actor, encoder), opt, finite = guarded(_optimizer(config), gradient, trained, state.opt, None)
        # The average must not be of the first, random parameters: it opens slowly.
        done = state.updates.astype(jnp.float32)
        kept = jnp.minimum(config.average_decay, (1.0 + done) / (10.0 + done))
        average = jax.tree.map(
            lambda old, new: jnp.where(finite, kept * old + (1.0 - kept) * new, old),
            state.average,
            {**actor, **encoder},
        )
        state = DiffusionState(
            actor,
            encoder,
            average,
            opt,
            key=jax.random.key_data(key),
            updates=state.updates + 1,
            skipped=state.skipped + jnp.where(finite, 0, 1),
            skipped_in_row=jnp.where(finite, 0, state.skipped_in_row + 1),
        )
        return state, value

    state, losses = jax.lax.scan(step, state, {"state": states, "action": actions, **views})
    figures = {"skipped": state.skipped, "skipped_in_row": state.skipped_in_row}
    return state, {"loss": jnp.nanmean(losses), **figures}


@partial(jax.jit, static_argnums=0)
def sample_actions(
    config: DiffusionConfig,
    leaves: Params,
    state: jax.Array,
    key: jax.Array,
    latent: jax.Array | None = None,
) -> jax.Array:
    """Return random chunks of actions (B, action_prediction, action_size).

    Args:
        config: Settings.
        leaves: What `actor_leaves` returns.
        state: State vectors (B, observation_chunk * state_size).
        key: Random key.
        latent: Latents of the cameras (B, latent_size); None without cameras.
    """
    keys = jax.random.split(key, config.inference_steps + 1)
    chunk = jax.random.normal(keys[0], (len(state), leaves["noise/bias"].shape[0]))
    ways = denoisings(config.diffusion_steps, config.inference_steps, config.inference_noise)
    for at, noise_key in zip(ways, keys[1:], strict=True):
        noise = _noise(config, leaves, state, chunk, jnp.full(len(state), at.step), latent)
        clean = (chunk - jnp.sqrt(1.0 - at.share) * noise) / jnp.sqrt(at.share)
        clean = jnp.clip(clean, -1.0, 1.0)
        noise = (chunk - jnp.sqrt(at.share) * clean) / jnp.sqrt(1.0 - at.share)
        rest = max(0.0, 1.0 - at.next_share - at.deviation**2)
        chunk = jnp.sqrt(at.next_share) * clean + jnp.sqrt(rest) * noise
        chunk = chunk + at.deviation * jax.random.normal(noise_key, chunk.shape)
    return chunk.reshape(len(state), config.action_prediction, -1)


def actor_leaves(state: DiffusionState) -> dict[str, np.ndarray]:
    """Return copies of what acting needs by name: the moving average of network and image encoder."""
    return {name: np.array(leaf) for name, leaf in state.average.items()}
