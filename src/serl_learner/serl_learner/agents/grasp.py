# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The grasp critic: a double DQN over what the grippers can do (HIL-SERL, section 3.3, equation 3).

Grippers and the rest of an action are two decision problems with the same observations and rewards. The policy
draws the continuous elements, then the grippers do what the grasp critic values most.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from serl_learner import gripper, networks
from serl_learner.agents.config import RLPDConfig
from serl_learner.networks import Params

Batch = dict[str, jax.Array]


def split(config: RLPDConfig, batches: Batch) -> Batch:
    """Return batches whose "action" is its continuous elements, with the grippers' choices (...,) as "grasp"."""
    action = batches["action"]
    commands = jnp.stack([action[..., place] for place in config.gripper_indices], -1)
    weight = gripper.COMMANDS ** jnp.arange(len(config.gripper_indices))
    digits = jnp.clip(jnp.round(commands), -1, 1).astype(jnp.int32) + 1
    continuous = gripper.others(action.shape[-1], config.gripper_indices)
    choice = jnp.sum(digits * jnp.broadcast_to(weight, digits.shape), -1)
    return {**batches, "action": action[..., jnp.array(continuous)], "grasp": choice}


def target(
    config: RLPDConfig,
    params: Params,
    slow: Params,
    batch: Batch,
    next_latent: jax.Array | None,
    slow_latent: jax.Array | None,
) -> jax.Array:
    """Return r + bias - penalty + gamma * discount * Q_slow(s', argmax Q(s', .)), shape (B,).

    The penalty is paid for every gripper that is told to move, so that none opens and closes for nothing.

    Args:
        config: Settings.
        params: The critic's parameters, which choose.
        slow: Those of its target, which value what was chosen.
        batch: "grasp" of `split`, "next_state", "reward", "discount".
        next_latent, slow_latent: Latents of the second observation through either encoder; None without cameras.
    """
    chosen = jnp.argmax(
        networks.grasp_values(params, batch["next_state"], config.activation, next_latent), -1
    )
    values = networks.grasp_values(slow, batch["next_state"], config.activation, slow_latent)
    next_value = jnp.take_along_axis(values, chosen[:, None], -1)[:, 0]
    moves = sum(
        batch["grasp"] // gripper.COMMANDS**i % gripper.COMMANDS != 1
        for i in range(len(config.gripper_indices))
    )
    reward = batch["reward"] + config.reward_bias - config.gripper_penalty * moves
    return reward + config.discount * batch["discount"] * next_value


def loss(
    config: RLPDConfig, params: Params, batch: Batch, latent: jax.Array | None, aim: jax.Array
) -> jax.Array:
    """Return the mean squared error of the values (B,) of what the grippers did from `aim` (B,)."""
    values = networks.grasp_values(params, batch["state"], config.activation, latent)
    taken = jnp.take_along_axis(values, batch["grasp"][:, None], -1)[:, 0]
    return jnp.mean((taken - aim) ** 2)
