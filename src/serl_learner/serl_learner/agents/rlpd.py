# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""RLPD: soft actor-critic with demonstrations in every batch (SERL paper, section IV-A; RLPD, algorithm 1).

Every part (critics, actor, temperature) has its own optimiser, so that a critic-only update leaves the others
bit-identical. A gradient that is not finite skips the update of its part and is counted.

Where the policy reads cameras, one image encoder serves all: the critics' loss trains it, the actor reads its
latents as they are (DrQ, Kostrikov et al. 2020, section 3), and the target critics have a slow copy of their own.
Where some elements of the action are grippers, all this is about the others, and `grasp` chooses for these.

Residual RL, IBRL and DAPG are this rule with one thing done otherwise, which a `Rule` names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serl_core.errors import SchemaError, SerlError
from serl_core.specs import EnvSpec
from serl_learner import networks
from serl_learner.actor_network import ActorConfig
from serl_learner.agents import grasp
from serl_learner.agents.config import RLPDConfig
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import Backbone
from serl_learner.vision.config import VisionConfig
from serl_learner.vision.encoder import NEXT

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """Everything that training goes on from.

    Attributes:
        actor, critic, target_critic: Parameters; the critics' carry a leading ensemble axis.
        encoder, target_encoder: Parameters of the image encoder, trained with the critics; empty without cameras.
        grasp, target_grasp: Parameters of the grasp critic; empty without grippers.
        base: Frozen parameters of a cloned policy and its image encoder, see `base`; empty for agents without.
        log_temperature: Scalar.
        actor_opt, critic_opt, temperature_opt, grasp_opt: Optimiser states.
        key: Data of the random key.
        step_scale: Factor on all step sizes; heeded only where `decay_success_rate` is set.
        critic_updates, actor_updates: Updates so far, skipped ones included.
        skipped: Updates of any part that were skipped for a gradient that was not finite.
    """

    actor: Params
    critic: Params
    target_critic: Params
    encoder: Params
    target_encoder: Params
    grasp: Params
    target_grasp: Params
    base: Params
    log_temperature: jax.Array
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    temperature_opt: optax.OptState
    grasp_opt: optax.OptState
    key: jax.Array
    step_scale: jax.Array
    critic_updates: jax.Array
    actor_updates: jax.Array
    skipped: jax.Array


class Rule(NamedTuple):
    """Where an agent that builds on RLPD departs from it; as it stands it is RLPD.

    Attributes:
        execute: From the network's actions (B, action_size) to those that the arm gets:
            (config, state, actions, batch, prefix) -> (B, action_size).
        rival: What the policy may do in place of them: (config, state, batch, prefix) -> (B, action_size) or None.
        regularizer: Term of the actor's loss: (config, state, actor, batch, latent) -> scalar or None.
    """

    execute: Callable[..., jax.Array] = lambda config, state, actions, batch, prefix: actions
    rival: Callable[..., jax.Array | None] = lambda config, state, batch, prefix: None
    regularizer: Callable[..., jax.Array | None] = lambda config, state, actor, batch, latent: None


PLAIN = Rule()


def _optimizer(learning_rate: float, config: RLPDConfig) -> optax.GradientTransformation:
    adam = optax.adam(learning_rate)
    if config.max_grad_norm == 0.0:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), adam)


def init(config: RLPDConfig, spec: EnvSpec, seed: int, backbone: Backbone | None = None) -> TrainState:
    """Return a fresh state for an environment, reproducible by `seed`.

    Args:
        config: Settings.
        spec: Environment.
        seed: Seed of all parameters.
        backbone: Frozen weights, where the policy reads cameras and `config.encoder` is "resnet10".
    """
    vision_config = config.vision_config(spec, backbone)
    privileged = config.privileged_spec(spec)
    privileged_size = 0 if privileged is None else privileged.policy_state_size
    return _init(config, spec.policy_state_size, privileged_size, spec.action_size, vision_config, seed)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _init(
    config: RLPDConfig,
    state_size: int,
    privileged_size: int,
    action_size: int,
    vision_config: VisionConfig | None,
    seed: jax.Array,
) -> TrainState:
    key, actor_key, critic_key = jax.random.split(jax.random.key(seed), 3)
    actor_config = config.actor_config(state_size, action_size, vision_config)
    actor = networks.init_actor(actor_key, actor_config)
    critic = networks.init_critic(
        critic_key,
        state_size + privileged_size,
        actor_config.action_size,
        config.hidden_sizes,
        config.critic_layer_norm,
        config.ensemble_size,
        vision_config,
    )
    encoder = {} if vision_config is None else vision.init(jax.random.fold_in(key, 0), vision_config)
    grasp_critic: Params = {}
    if config.gripper_indices:
        grasp_critic = networks.init_grasp(jax.random.fold_in(key, 1), actor_config)
    log_temperature = jnp.log(jnp.float32(config.init_temperature))
    return TrainState(
        actor=actor,
        critic=critic,
        target_critic=jax.tree.map(jnp.copy, critic),
        encoder=encoder,
        target_encoder=jax.tree.map(jnp.copy, encoder),
        grasp=grasp_critic,
        target_grasp=jax.tree.map(jnp.copy, grasp_critic),
        base={},
        log_temperature=log_temperature,
        actor_opt=_optimizer(config.actor_lr, config).init(actor),
        critic_opt=_optimizer(config.critic_lr, config).init((critic, encoder)),
        temperature_opt=_optimizer(config.temperature_lr, config).init(log_temperature),
        grasp_opt=_optimizer(config.critic_lr, config).init(grasp_critic),
        key=jax.random.key_data(key),
        step_scale=jnp.float32(1.0),
        critic_updates=jnp.int32(0),
        actor_updates=jnp.int32(0),
        skipped=jnp.int32(0),
    )


def _actor_config(config: RLPDConfig, actor: Params) -> ActorConfig:
    return config.actor_config(_state_size(actor), _action_size(config, actor))


def _action_size(config: RLPDConfig, actor: Params) -> int:
    return actor["mean/bias"].shape[0] + len(config.gripper_indices)


def _state_size(actor: Params) -> int:
    first = "proprio/kernel" if "proprio/kernel" in actor else "hidden_0/kernel"
    return actor[first].shape[0]


def _critic_state(batch: Batch, prefix: str = "") -> jax.Array:
    """Return what the critics read of the state (B, state_size + privileged_size)."""
    state = batch[prefix + "state"]
    return jnp.concatenate([state, batch[prefix + "privileged"]], -1) if "privileged" in batch else state


def _ensemble(config: RLPDConfig, params: Params) -> Params:
    return jax.vmap(partial(networks.lowered, precision=config.precision))(params)


def guarded(
    optimizer: optax.GradientTransformation,
    gradient: Any,
    params: Any,
    opt_state: optax.OptState,
    step_scale: jax.Array | None,
) -> tuple[Any, optax.OptState, jax.Array]:
    """Apply a gradient unless it holds NaN or infinity; return (params, optimiser state, applied?)."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient)]))
    updates, new_opt_state = optimizer.update(gradient, opt_state, params)
    if step_scale is not None:
        updates = jax.tree.map(lambda update: step_scale * update, updates)
    new = (optax.apply_updates(params, updates), new_opt_state)
    kept_params, kept_opt = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, (params, opt_state))
    return kept_params, kept_opt, finite


def end_if_stuck(skipped_in_row: int, limit: int, advice: str) -> None:
    """Raise SerlError, with `advice`, where `guarded` has refused as many updates in a row as `limit` or more."""
    if skipped_in_row >= limit:
        raise SerlError(
            f"training ended: {skipped_in_row} updates in a row had a gradient that is not finite; {advice}"
        )


def _step_scale(config: RLPDConfig, state: TrainState) -> jax.Array | None:
    return state.step_scale if config.decay_success_rate > 0.0 else None


def critic_target(
    config: RLPDConfig, state: TrainState, batch: Batch, key: jax.Array, rule: Rule = PLAIN
) -> jax.Array:
    """Return r + bias + gamma * discount * min over a random subset of target critics at the policy's next action.

    The subset is drawn first and only its members are evaluated. `batch["discount"]` is 0 only at a true
    termination, so that a time-out bootstraps. With `backup_entropy`, the entropy term is discounted alike.
    Where the rule knows a rival, the more valuable of the two actions counts.

    Returns:
        Targets (batch,).
    """
    action_key, subset_key = jax.random.split(key)
    next_state = batch["next_state"]
    lowered = partial(networks.lowered, precision=config.precision)
    latent = vision.encode(lowered(state.encoder), batch, NEXT)
    next_action, log_prob = networks.sample(
        lowered(state.actor), next_state, action_key, _actor_config(config, state.actor), latent
    )
    next_action = rule.execute(config, state, next_action, batch, NEXT)
    subset = jax.random.permutation(subset_key, config.ensemble_size)[: config.subsample_size]
    chosen = _ensemble(config, jax.tree.map(lambda leaf: leaf[subset], state.target_critic))
    target_latent = vision.encode(lowered(state.target_encoder), batch, NEXT)
    seen = _critic_state(batch, NEXT)
    next_value = jnp.min(networks.critics(chosen, seen, next_action, config.activation, target_latent), 0)
    if config.backup_entropy:
        next_value = next_value - jnp.exp(state.log_temperature) * log_prob
    rival = rule.rival(config, state, batch, NEXT)
    if rival is not None:
        of_rival = jnp.min(networks.critics(chosen, seen, rival, config.activation, target_latent), 0)
        next_value = jnp.maximum(next_value, of_rival)
    reward = batch["reward"] + config.reward_bias if config.reward_bias else batch["reward"]
    return reward + config.discount * batch["discount"] * next_value


def critic_update(
    config: RLPDConfig, state: TrainState, batch: Batch, rule: Rule = PLAIN
) -> tuple[TrainState, Metrics]:
    """Do one gradient step of all critics and the image encoder, and move their targets.

    Nothing else but key and counters changes.

    Args:
        config: Settings.
        state: Parameters and the rest.
        batch: "state", "next_state" (B, state_size), "action" (B, action_size), "reward", "discount" (B,), with
            `privileged_keys` "privileged" and "next_privileged" (B, privileged_size), and what
            `vision.encoder.see` made of the cameras.
        rule: Where the agent departs from RLPD.
    """
    key, target_key = jax.random.split(jax.random.wrap_key_data(state.key))
    target = jax.lax.stop_gradient(critic_target(config, state, batch, target_key, rule))

    lowered = partial(networks.lowered, precision=config.precision)

    def loss(trained: tuple[Params, Params]) -> tuple[jax.Array, jax.Array]:
        critic, encoder = trained
        latent = vision.encode(lowered(encoder), batch)
        values = networks.critics(
            _ensemble(config, critic), _critic_state(batch), batch["action"], config.activation, latent
        )
        return jnp.mean((values - jnp.broadcast_to(target, values.shape)) ** 2), values

    gradient_of = jax.value_and_grad(loss, has_aux=True)
    (loss_value, values), gradients = gradient_of((state.critic, state.encoder))
    (critic, encoder), critic_opt, finite = guarded(
        _optimizer(config.critic_lr, config),
        gradients,
        (state.critic, state.encoder),
        state.critic_opt,
        _step_scale(config, state),
    )
    targets = (state.target_critic, state.target_encoder)
    moved = jax.tree.map(lambda t, c: t + config.tau * (c - t), targets, (critic, encoder))
    target_critic, target_encoder = jax.tree.map(lambda a, b: jnp.where(finite, a, b), moved, targets)
    state = state._replace(
        critic=critic,
        target_critic=target_critic,
        encoder=encoder,
        target_encoder=target_encoder,
        critic_opt=critic_opt,
        key=jax.random.key_data(key),
        critic_updates=state.critic_updates + 1,
        skipped=state.skipped + jnp.where(finite, 0, 1),
    )
    metrics = {
        "critic_loss": loss_value,
        "q_mean": jnp.mean(values),
        "target_q": jnp.mean(target),
        "td_error": jnp.mean(jnp.abs(values - jnp.broadcast_to(target, values.shape))),
    }
    return state, metrics


def grasp_update(config: RLPDConfig, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Do one gradient step of the grasp critic and move its target; nothing else but the count of skips changes.

    Args:
        config: Settings.
        state: Parameters and the rest.
        batch: As for `critic_update`, of `grasp.split`.
    """
    aim = grasp.target(
        config,
        state.grasp,
        state.target_grasp,
        batch,
        vision.encode(state.encoder, batch, NEXT),
        vision.encode(state.target_encoder, batch, NEXT),
    )
    latent = vision.encode(state.encoder, batch)
    loss_value, gradient = jax.value_and_grad(
        lambda params: grasp.loss(config, params, batch, latent, jax.lax.stop_gradient(aim))
    )(state.grasp)
    params, grasp_opt, finite = guarded(
        _optimizer(config.critic_lr, config),
        gradient,
        state.grasp,
        state.grasp_opt,
        _step_scale(config, state),
    )
    moved = jax.tree.map(
        lambda t, c: jnp.where(finite, t + config.tau * (c - t), t), state.target_grasp, params
    )
    state = state._replace(
        grasp=params,
        target_grasp=moved,
        grasp_opt=grasp_opt,
        skipped=state.skipped + jnp.where(finite, 0, 1),
    )
    return state, {"grasp_loss": loss_value, "grasp_target": jnp.mean(aim)}


def actor_update(
    config: RLPDConfig, state: TrainState, batch: Batch, rule: Rule = PLAIN
) -> tuple[TrainState, Metrics]:
    """Do one gradient step of the actor, against the mean of all critics, and one of the temperature.

    Args:
        config: Settings.
        state: Parameters and the rest.
        batch: As for `critic_update`; only the first observation is read.
        rule: Where the agent departs from RLPD.
    """
    actor_config = _actor_config(config, state.actor)
    key, action_key = jax.random.split(jax.random.wrap_key_data(state.key))
    temperature = jnp.exp(state.log_temperature)
    lowered = partial(networks.lowered, precision=config.precision)
    ensemble = _ensemble(config, state.critic)
    latent = vision.encode(lowered(state.encoder), batch)

    def actor_loss(actor: Params) -> tuple[jax.Array, jax.Array]:
        action, log_prob = networks.sample(lowered(actor), batch["state"], action_key, actor_config, latent)
        action = rule.execute(config, state, action, batch, "")
        value = jnp.mean(
            networks.critics(ensemble, _critic_state(batch), action, config.activation, latent), 0
        )
        loss = jnp.mean(temperature * log_prob - value)
        term = rule.regularizer(config, state, actor, batch, latent)
        return loss if term is None else loss + term, -jnp.mean(log_prob)

    (actor_loss_value, entropy), actor_gradient = jax.value_and_grad(actor_loss, has_aux=True)(state.actor)

    def temperature_loss(log_temperature: jax.Array) -> jax.Array:
        return jnp.exp(log_temperature) * (entropy - config.target_entropy(actor_config.action_size))

    temperature_loss_value, temperature_gradient = jax.value_and_grad(temperature_loss)(state.log_temperature)
    step_scale = _step_scale(config, state)
    actor, actor_opt, actor_finite = guarded(
        _optimizer(config.actor_lr, config), actor_gradient, state.actor, state.actor_opt, step_scale
    )
    log_temperature, temperature_opt, temperature_finite = guarded(
        _optimizer(config.temperature_lr, config),
        temperature_gradient,
        state.log_temperature,
        state.temperature_opt,
        step_scale,
    )
    state = state._replace(
        actor=actor,
        log_temperature=log_temperature,
        actor_opt=actor_opt,
        temperature_opt=temperature_opt,
        key=jax.random.key_data(key),
        actor_updates=state.actor_updates + 1,
        skipped=state.skipped + jnp.where(actor_finite, 0, 1) + jnp.where(temperature_finite, 0, 1),
    )
    metrics = {
        "actor_loss": actor_loss_value,
        "entropy": entropy,
        "temperature": temperature,
        "temperature_loss": temperature_loss_value,
    }
    return state, metrics


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(
    config: RLPDConfig, state: TrainState, batches: Batch, backbone: resnet10.Leaves | None = None
) -> tuple[TrainState, Metrics]:
    """Do one critic update per batch, then one actor and temperature update on the last batch, in one call.

    Args:
        config: Settings.
        state: Consumed: its buffers are reused for the result.
        batches: "state", "next_state", "action", "reward", "discount" as for `critic_update`, and for every
            camera of the encoder its name and "next_" + name: images uint8 (B, height, width, 3), or feature maps
            of a cache. All have a further leading axis, the critic updates. SchemaError if a shape does not fit.
        backbone: Frozen weights where `config.encoder` is "resnet10".

    Returns:
        New state; scalars by name, those of the critics averaged over the updates that were finite.
    """
    return learn(config, state, batches, backbone)


def learn(
    config: RLPDConfig,
    state: TrainState,
    batches: Batch,
    backbone: resnet10.Leaves | None = None,
    rule: Rule = PLAIN,
) -> tuple[TrainState, Metrics]:
    """Do what `update` says by another rule; for agents to compile."""
    check_batches(config, state, batches)
    if state.grasp:
        batches = grasp.split(config, batches)
    if state.encoder:
        key, shift_key = jax.random.split(jax.random.wrap_key_data(state.key))
        state = state._replace(key=jax.random.key_data(key))
        keys = jax.random.split(shift_key, len(batches["reward"]))
        batches = jax.lax.map(
            lambda each: vision.see(config, state.encoder, backbone, *each), (batches, keys)
        )

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        state, metrics = critic_update(config, state, batch, rule)
        if not state.grasp:
            return state, metrics
        state, of_grasp = grasp_update(config, state, batch)
        return state, {**metrics, **of_grasp}

    # A loop body is compiled once, and costs nothing measurable on a CPU over an unrolled one.
    state, critic_metrics = jax.lax.scan(step, state, batches)
    last = jax.tree.map(lambda leaf: leaf[-1], batches)
    state, actor_metrics = actor_update(config, state, last, rule)
    metrics = {name: jnp.nanmean(values) for name, values in critic_metrics.items()}
    return state, {**metrics, **actor_metrics, "skipped": state.skipped}


def check_batches(config: RLPDConfig, state: TrainState, batches: Batch) -> None:
    """Raise SchemaError unless `batches` has every array of `update` in a shape that fits the networks."""
    state_size = _state_size(state.actor)
    tails = {
        "state": (state_size,),
        "next_state": (state_size,),
        "action": (_action_size(config, state.actor),),
        "reward": (),
        "discount": (),
    }
    first = "proprio/kernel" if state.encoder else "hidden_0/kernel"
    beside = 0 if state.encoder else state.actor["mean/bias"].shape[0]
    privileged_size = state.critic[first].shape[1] - state_size - beside
    if privileged_size:
        tails["privileged"] = tails["next_privileged"] = (privileged_size,)
    images = {prefix + camera for camera in vision.cameras(state.encoder) for prefix in ("", NEXT)}
    if set(batches) != {*tails, *images}:
        raise SchemaError(f"batches: expected {sorted({*tails, *images})}, got {sorted(batches)}")
    lead = batches["reward"].shape
    if len(lead) != 2 or 0 in lead:
        raise SchemaError(f"batches: reward must have shape (updates, batch), got {lead}")
    for name, tail in tails.items():
        if batches[name].shape != (*lead, *tail):
            raise SchemaError(f"batches: {name} must have shape {(*lead, *tail)}, got {batches[name].shape}")
    vision.check_images(config, state.encoder, batches, lead)


@partial(jax.jit, static_argnums=0)
def sample_actions(
    config: RLPDConfig, actor: Params, state: jax.Array, key: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return random actions (..., action_size) for state vectors (..., state_size) and latents of cameras."""
    return networks.sample(actor, state, key, _actor_config(config, actor), latent)[0]


@partial(jax.jit, static_argnums=0)
def mean_actions(
    config: RLPDConfig, actor: Params, state: jax.Array, latent: jax.Array | None = None
) -> jax.Array:
    """Return squashed mean actions (..., action_size) for state vectors (..., state_size) and latents."""
    return jnp.tanh(networks.actor(actor, state, _actor_config(config, actor), latent)[0])


def actor_leaves(state: TrainState) -> dict[str, np.ndarray]:
    """Return copies of what acting needs by name: parameters of actor, image encoder and grasp critic."""
    of_grasp = {f"grasp/{name}": leaf for name, leaf in state.grasp.items()}
    return {name: np.array(leaf) for name, leaf in {**state.actor, **state.encoder, **of_grasp}.items()}


def to_clone(state: TrainState) -> tuple[Params, Params]:
    """Return what cloning before reinforcement trains: parameters of the actor and of the image encoder."""
    return state.actor, state.encoder


def cloned(state: TrainState, actor: Params, encoder: Params) -> TrainState:
    """Return the state with parameters that were cloned."""
    return state._replace(actor=actor, encoder=encoder, target_encoder=jax.tree.map(jnp.copy, encoder))
