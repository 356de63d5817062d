# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Policy and critics as pure functions over dictionaries of arrays.

The critics' parameters carry a leading ensemble axis, and their forward pass is one member's, vectorised over it.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp

from serl_learner.actor_network import LAYER_NORM_EPSILON, ActorConfig
from serl_learner.gripper import choices
from serl_learner.vision.config import VisionConfig

Params = dict[str, jax.Array]

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}


def lowered(params: Params, precision: str) -> Params:
    """Return `params` with their matrices in `precision`, in which then also factors of products are."""
    if precision == "float32":
        return params
    return {name: leaf.astype(precision) if leaf.ndim == 2 else leaf for name, leaf in params.items()}


def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return x @ kernel (float32) of factors in the kernel's precision, summed up in float32."""
    return jnp.matmul(x.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)


def _add(x: jax.Array, row: jax.Array) -> jax.Array:
    return x + jnp.broadcast_to(row, x.shape)


def _hidden_params(key: jax.Array, sizes: tuple[int, ...], layer_norm: bool) -> Params:
    params: Params = {}
    for i, (fan_in, units) in enumerate(itertools.pairwise(sizes)):
        key, kernel_key = jax.random.split(key)
        params[f"hidden_{i}/kernel"] = jax.nn.initializers.glorot_uniform()(kernel_key, (fan_in, units))
        params[f"hidden_{i}/bias"] = jnp.zeros(units)
        if layer_norm:
            params[f"hidden_{i}/scale"] = jnp.ones(units)
            params[f"hidden_{i}/offset"] = jnp.zeros(units)
    return params


def dense(params: Params, name: str, x: jax.Array) -> jax.Array:
    """Return the affine map `name` of `x` (..., fan_in), normalised over its units if it has a scale."""
    x = _add(_product(x, params[f"{name}/kernel"]), params[f"{name}/bias"])
    if f"{name}/scale" in params:
        x = _add(
            _normalized(x) * jnp.broadcast_to(params[f"{name}/scale"], x.shape), params[f"{name}/offset"]
        )
    return x


@jax.custom_vjp
def _normalized(x: jax.Array) -> jax.Array:
    """Return `x` (..., units) less its mean and over its deviation; its derivative in the closed form."""
    return _normalized_forward(x)[0]


def _normalized_forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    centred = x - jnp.mean(x, -1, keepdims=True)
    per_deviation = jax.lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + LAYER_NORM_EPSILON)
    y = centred * per_deviation
    return y, (y, per_deviation)


def _normalized_backward(kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    y, per_deviation = kept
    mean = jnp.mean(gradient, -1, keepdims=True)
    along = jnp.mean(gradient * y, -1, keepdims=True)
    return (per_deviation * (gradient - mean - y * along),)


_normalized.defvjp(_normalized_forward, _normalized_backward)


def _hidden(params: Params, x: jax.Array, activation: str) -> jax.Array:
    i = 0
    while f"hidden_{i}/kernel" in params:
        x = _ACTIVATIONS[activation](dense(params, f"hidden_{i}", x))
        i += 1
    return x


def _proprio_params(key: jax.Array, state_size: int, units: int) -> Params:
    return {
        "proprio/kernel": jax.nn.initializers.glorot_uniform()(key, (state_size, units)),
        "proprio/bias": jnp.zeros(units),
        "proprio/scale": jnp.ones(units),
        "proprio/offset": jnp.zeros(units),
    }


def _seen(params: Params, state: jax.Array, latent: jax.Array | None) -> jax.Array:
    """Return what the hidden layers read: beside latents of cameras, the state vector is encoded first."""
    if latent is None:
        return state
    return jnp.concatenate([latent, jnp.tanh(dense(params, "proprio", state))], -1)


def init_actor(key: jax.Array, config: ActorConfig) -> Params:
    """Return fresh actor parameters, named as `ActorConfig.leaf_shapes` says; the image encoder's are apart."""
    hidden_key, mean_key, std_key = jax.random.split(key, 3)
    params = _hidden_params(hidden_key, (config.input_size, *config.hidden_sizes), config.layer_norm)
    if config.vision is not None:
        proprio_key = jax.random.fold_in(key, 0)
        params.update(_proprio_params(proprio_key, config.state_size, config.vision.proprio))
    shape = (config.hidden_sizes[-1], config.action_size)
    for head, head_key in (("mean", mean_key), ("log_std", std_key)):
        params[f"{head}/kernel"] = jax.nn.initializers.glorot_uniform()(head_key, shape)
        params[f"{head}/bias"] = jnp.zeros(config.action_size)
    return params


def actor(
    params: Params, state: jax.Array, config: ActorConfig, latent: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return mean and deviation before squashing, both (..., action_size).

    Args:
        params: Parameters.
        state: State vectors (..., state_size).
        config: Shape of the network.
        latent: Latents of the cameras (..., latent_size); None for a policy that reads none.
    """
    hidden = _hidden(params, _seen(params, state, latent), config.activation)
    mean = _add(_product(hidden, params["mean/kernel"]), params["mean/bias"])
    log_std = _add(_product(hidden, params["log_std/kernel"]), params["log_std/bias"])
    return mean, jnp.exp(jnp.clip(log_std, jnp.log(config.std_min), jnp.log(config.std_max)))


def sample(
    params: Params, state: jax.Array, key: jax.Array, config: ActorConfig, latent: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Draw squashed actions by reparametrisation; for the arguments see `actor`.

    Returns:
        Actions (..., action_size) in [-1, 1] and their log densities (...,).
    """
    mean, std = actor(params, state, config, latent)
    noise = jax.random.normal(key, mean.shape)
    raw = mean + std * noise
    gaussian = -0.5 * noise**2 - jnp.log(std) - 0.5 * jnp.log(2 * jnp.pi)
    # log(1 - tanh(u)^2), in the form that does not lose its digits where tanh saturates
    squash = 2 * (jnp.log(2.0) - raw - jax.nn.softplus(-2 * raw))
    return jnp.tanh(raw), jnp.sum(gaussian - squash, -1)


def init_denoiser(key: jax.Array, config: ActorConfig) -> Params:
    """Return fresh parameters of a diffusion policy's network, named as `ActorConfig.leaf_shapes` says."""
    shapes = config.leaf_shapes()
    hidden_key, noise_key, proprio_key = jax.random.split(key, 3)
    width = shapes["hidden_0/kernel"][0]
    params = _hidden_params(hidden_key, (width, *config.hidden_sizes), config.layer_norm)
    if config.vision is not None:
        params.update(_proprio_params(proprio_key, config.state_size, config.vision.proprio))
    params["noise/kernel"] = jax.nn.initializers.glorot_uniform()(noise_key, shapes["noise/kernel"])
    return {**params, "noise/bias": jnp.zeros(config.head_size)}


def denoiser(
    params: Params,
    state: jax.Array,
    noisy: jax.Array,
    embedding: jax.Array,
    activation: str,
    latent: jax.Array | None = None,
) -> jax.Array:
    """Return the noise (..., head_size) that a diffusion policy finds in flat chunks `noisy` (..., head_size).

    Args:
        params: Parameters.
        state: State vectors that it reads, one after the other (..., state_size).
        noisy: Chunks with noise.
        embedding: How noisy they are (..., embedding).
        activation: Of the hidden layers.
        latent: Latents of the cameras (..., latent_size); None for a policy that reads none.
    """
    x = jnp.concatenate([_seen(params, state, latent), noisy, embedding], -1)
    return dense(params, "noise", _hidden(params, x, activation))


def act(
    params: Params,
    state: jax.Array,
    noise: jax.Array | None,
    config: ActorConfig,
    latent: jax.Array | None = None,
    base_latent: jax.Array | None = None,
) -> jax.Array:
    """Return what a policy does with the continuous elements of an action (..., action_size).

    Args:
        params: All that acting needs by name, see `ActorConfig.leaf_shapes`.
        state: State vectors (..., state_size).
        noise: Standard normal draws (..., action_size); None: the mean action.
        config: Shape of the network.
        latent, base_latent: Latents of the cameras through the policy's and the base's encoder.
    """
    mean, std = actor(params, state, config, latent)
    own = jnp.tanh(mean if noise is None else mean + std * noise)
    if not config.has_base:
        return own
    base = jnp.tanh(actor(part(params, "base/"), state, config, base_latent)[0])
    if config.residual_scale:
        return add_residual(base, own, config.residual_scale)
    of_critics = part(params, "critic/")
    of_own, of_base = (
        jnp.min(critics(of_critics, state, action, config.activation, latent), 0) for action in (own, base)
    )
    return jnp.where((of_own > of_base)[..., None], own, base)


def add_residual(base: jax.Array, residual: jax.Array, scale: float) -> jax.Array:
    """Return `base` + `scale` * `residual` within [-1, 1]; all are actions (..., action_size)."""
    return jnp.clip(base + scale * residual, -1.0, 1.0)


def part(params: Params, prefix: str) -> Params:
    """Return the parameters whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): leaf for name, leaf in params.items() if name.startswith(prefix)}


def init_critic(
    key: jax.Array,
    state_size: int,
    action_size: int,
    hidden_sizes: tuple[int, ...],
    layer_norm: bool,
    ensemble_size: int,
    vision: VisionConfig | None = None,
) -> Params:
    """Return parameters of an ensemble; every array's first axis is the member."""
    seen = state_size if vision is None else vision.latent_size + vision.proprio

    def member(member_key: jax.Array) -> Params:
        hidden_key, value_key = jax.random.split(member_key)
        params = _hidden_params(hidden_key, (seen + action_size, *hidden_sizes), layer_norm)
        if vision is not None:
            params.update(_proprio_params(jax.random.fold_in(member_key, 0), state_size, vision.proprio))
        kernel = jax.nn.initializers.glorot_uniform()(value_key, (hidden_sizes[-1], 1))
        return {**params, "value/kernel": kernel, "value/bias": jnp.zeros(1)}

    return jax.vmap(member)(jax.random.split(key, ensemble_size))


def critics(
    params: Params,
    state: jax.Array,
    action: jax.Array,
    activation: str,
    latent: jax.Array | None = None,
) -> jax.Array:
    """Return Q values (members, ...).

    Args:
        params: Parameters of an ensemble, as `init_critic` returns.
        state: State vectors (..., state_size).
        action: Actions (..., action_size).
        activation: Of the hidden layers.
        latent: Latents of the cameras (..., latent_size); None where there are none.
    """

    def value(params: Params, state: jax.Array, action: jax.Array, latent: jax.Array | None) -> jax.Array:
        x = jnp.concatenate([_seen(params, state, latent), action], -1)
        hidden = _hidden(params, x, activation)
        return _add(_product(hidden, params["value/kernel"]), params["value/bias"])[..., 0]

    # Every member gets inputs of its own: products of one batch with all members' weights come out in an order that
    # has to be turned round, which costs more on a CPU than the copies.
    size = len(params["value/bias"])
    given = jax.tree.map(lambda x: jnp.broadcast_to(x, (size, *x.shape)), (state, action, latent))
    return jax.vmap(value)(params, *given)


def init_grasp(key: jax.Array, config: ActorConfig) -> Params:
    """Return fresh parameters of the grasp critic of a policy's grippers, one member, every choice a value."""
    hidden_key, values_key = jax.random.split(key)
    params = _hidden_params(hidden_key, (config.input_size, *config.hidden_sizes), config.layer_norm)
    if config.vision is not None:
        proprio_key = jax.random.fold_in(key, 0)
        params.update(_proprio_params(proprio_key, config.state_size, config.vision.proprio))
    count = choices(config.grippers)
    kernel = jax.nn.initializers.glorot_uniform()(values_key, (config.hidden_sizes[-1], count))
    return {**params, "values/kernel": kernel, "values/bias": jnp.zeros(count)}


def grasp_values(
    params: Params, state: jax.Array, activation: str, latent: jax.Array | None = None
) -> jax.Array:
    """Return the value of every choice for the grippers (..., choices); arguments as for `actor`."""
    return dense(params, "values", _hidden(params, _seen(params, state, latent), activation))
