# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Settings of the agents, free of JAX so that a command line can list them quickly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_core.specs import EnvSpec
from serl_learner.actor_network import ActorConfig
from serl_learner.vision.config import VisionConfig, VisionOptions

_LEAST_CLONED_STD = 0.1
"""Before squashing; near SERL's target entropy of -0.5 nat per action element, which is a deviation of 0.15."""


@dataclass(frozen=True)
class RLPDConfig(VisionOptions):
    """Settings of RLPD."""

    discount: float = parameter(0.97, "Discount of the return per step", 0.0, 1.0)
    actor_lr: float = parameter(3e-4, "Adam step size of the actor", 0.0, 1.0)
    critic_lr: float = parameter(3e-4, "Adam step size of the critics", 0.0, 1.0)
    temperature_lr: float = parameter(3e-4, "Adam step size of the log temperature", 0.0, 1.0)
    tau: float = parameter(0.005, "Share of the critics that moves into their targets per update", 0.0, 1.0)
    init_temperature: float = parameter(0.01, "Temperature at the start", 1e-8, 100.0)
    target_entropy_per_action: float = parameter(-0.5, "Target entropy per action element [nat]", -20.0, 20.0)
    ensemble_size: int = parameter(10, "Critics", 1, 100)
    subsample_size: int = parameter(2, "Critics drawn, without replacement, for a target", 1, 100)
    batch_size: int = parameter(256, "Rows of one critic update", 1, 65536)
    utd_ratio: int = parameter(8, "Critic updates per actor update", 1, 1000)
    demo_fraction: float = parameter(0.5, "Share of a batch drawn from demonstrations", 0.0, 1.0)
    backup_entropy: bool = parameter(False, "Whether the target contains the next action's entropy")
    hidden_sizes: tuple[int, ...] = parameter((256, 256), "Units of all networks' hidden layers", 1, 8192)
    activation: str = parameter("tanh", "Activation of all networks", choices=("tanh", "relu", "silu"))
    critic_layer_norm: bool = parameter(True, "Whether the critics' hidden layers normalise")
    actor_layer_norm: bool = parameter(True, "Whether the actor's hidden layers normalise")
    std_min: float = parameter(1e-5, "Least standard deviation before squashing", 1e-8, 10.0)
    std_max: float = parameter(5.0, "Largest standard deviation before squashing", 1e-8, 100.0)
    max_grad_norm: float = parameter(0.0, "Norm to which a part's gradient is scaled down; 0: never", 0.0)
    reward_bias: float = parameter(0.0, "Added to every reward, e.g. -1 for a cost of time", -1e6, 1e6)
    privileged_keys: tuple[str, ...] = parameter(
        (), "State keys that the critics read and the actor never sees (asymmetric actor-critic)"
    )
    gripper_indices: tuple[int, ...] = parameter(
        (),
        "Places in the action of grippers, which a grasp critic commands: -1 close, 0 stay, 1 open",
        0,
        1000,
    )
    gripper_penalty: float = parameter(
        0.02, "What telling a gripper to move costs the grasp critic", 0.0, 1e6
    )
    bc_updates: int = parameter(
        0,
        "Updates that clone the demonstrations into the actor before anything else; 0: none",
        0,
        100_000_000,
    )
    decay_success_rate: float = parameter(
        0.0, "Share of successes at which all step sizes fall, once; 0: never", 0.0, 1.0
    )
    decay_episodes: int = parameter(20, "Latest episodes that the share is taken of", 1, 100_000)
    decay_factor: float = parameter(0.1, "What step sizes are multiplied by then", 0.0, 1.0)

    def __post_init__(self) -> None:
        if self.subsample_size > self.ensemble_size:
            raise ConfigError(
                f"subsample_size {self.subsample_size} is larger than ensemble_size {self.ensemble_size}"
            )
        if self.std_min > self.std_max:
            raise ConfigError(f"std_min {self.std_min} is larger than std_max {self.std_max}")
        if len(set(self.gripper_indices)) < len(self.gripper_indices) or len(self.gripper_indices) > 2:
            raise ConfigError(
                f"gripper_indices must be up to two different places, got {self.gripper_indices}"
            )

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of the policy network for sizes of state vector and action, and for its cameras."""
        return ActorConfig(
            state_size=state_size,
            action_size=self.continuous_size(action_size),
            hidden_sizes=self.hidden_sizes,
            activation=self.activation,
            layer_norm=self.actor_layer_norm,
            grippers=self.gripper_indices,
            std_min=self.std_min,
            std_max=self.std_max,
            vision=vision,
        )

    def continuous_size(self, action_size: int) -> int:
        """Return how many elements of an action are not grippers; ConfigError unless some are and all exist."""
        if self.gripper_indices and max(self.gripper_indices, default=0) >= action_size:
            raise ConfigError(
                f"gripper_indices {self.gripper_indices} exceed an action of {action_size} elements"
            )
        if len(self.gripper_indices) >= action_size:
            raise ConfigError("gripper_indices leave the policy no element of the action")
        return action_size - len(self.gripper_indices)

    def privileged_spec(self, spec: EnvSpec) -> EnvSpec | None:
        """Return an environment's specification whose policy vector is the critics' privileged state, if any.

        ConfigError if `privileged_keys` names what is no state, or what the policy reads anyway.
        """
        known = [array.name for array in spec.state if array.name not in spec.policy_keys]
        unknown = [key for key in self.privileged_keys if key not in known]
        if unknown:
            raise ConfigError(
                f"privileged_keys {unknown} of task {spec.task}: there are {known} beside the policy's"
            )
        return dataclasses.replace(spec, policy_keys=self.privileged_keys) if self.privileged_keys else None

    def cloning(self) -> BCConfig:
        """Return how the actor is cloned before it learns from reward."""
        shared = {field.name: getattr(self, field.name) for field in dataclasses.fields(VisionOptions)}
        return BCConfig(
            loss="nll",  # the deviation too must suit what was shown, or exploration forgets it
            updates=self.bc_updates,
            batch_size=self.batch_size,
            hidden_sizes=self.hidden_sizes,
            activation=self.activation,
            layer_norm=self.actor_layer_norm,
            std_min=max(self.std_min, _LEAST_CLONED_STD),
            std_max=max(self.std_max, _LEAST_CLONED_STD),
            **shared,
        )

    def target_entropy(self, action_size: int) -> float:
        """Return the entropy that the temperature aims at [nat]."""
        return self.target_entropy_per_action * action_size


@dataclass(frozen=True)
class BCConfig(VisionOptions):
    """Settings of behaviour cloning."""

    loss: str = parameter(
        "mse",
        "mse: squared error of the mean action; nll: negative log likelihood of the squashed Gaussian",
        choices=("mse", "nll"),
    )
    learning_rate: float = parameter(1e-3, "Adam step size at its peak; falls to 0 along a cosine", 0.0, 1.0)
    weight_decay: float = parameter(1e-4, "Decoupled weight decay", 0.0, 1.0)
    updates: int = parameter(20000, "Gradient steps in all", 1, 100_000_000)
    batch_size: int = parameter(256, "Rows of one update", 1, 65536)
    hidden_sizes: tuple[int, ...] = parameter((256, 256), "Units of the hidden layers", 1, 8192)
    activation: str = parameter("tanh", "Activation", choices=("tanh", "relu", "silu"))
    layer_norm: bool = parameter(True, "Whether hidden layers normalise")
    std_min: float = parameter(0.05, "Least standard deviation before squashing", 1e-8, 10.0)
    std_max: float = parameter(5.0, "Largest standard deviation before squashing", 1e-8, 100.0)

    def __post_init__(self) -> None:
        if self.std_min > self.std_max:
            raise ConfigError(f"std_min {self.std_min} is larger than std_max {self.std_max}")

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of the policy network for sizes of state vector and action, and for its cameras."""
        return ActorConfig(
            state_size=state_size,
            action_size=action_size,
            hidden_sizes=self.hidden_sizes,
            activation=self.activation,
            layer_norm=self.layer_norm,
            std_min=self.std_min,
            std_max=self.std_max,
            vision=vision,
        )
