# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Settings of the agents, free of JAX so that a command line can list them quickly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_core.specs import EnvSpec
from serl_learner.actor_network import ActorConfig, ChunkShape
from serl_learner.vision.config import VisionConfig, VisionOptions

_LEAST_CLONED_STD = 0.1
"""Before squashing; near SERL's target entropy of -0.5 nat per action element, which is a deviation of 0.15."""

ACTING_CRITICS = 2
"""Critics that an IBRL policy takes along to choose by, as many as the paper's target draws."""


@dataclass(frozen=True)
class RLPDConfig(VisionOptions):
    """Settings of RLPD.

    Attributes:
        method: Name of the agent, see `AGENTS`.
        demos_only: Whether it learns from demonstrations and people's corrections only.
    """

    method: ClassVar[str] = "rlpd"
    demos_only: ClassVar[bool] = False

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
    n_step: int = parameter(
        1,
        "Steps of reward in a critic's target before it bootstraps; the actions in between are replay's",
        1,
        100,
    )
    precision: str = parameter(
        "float32",
        "Of the factors of matrix products in training; sums, parameters and the rest are float32 always",
        choices=("float32", "bfloat16"),
    )
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
        if self.n_step > 1 and self.gripper_indices:
            raise ConfigError(
                "n_step must be 1 with gripper_indices: the grasp critic pays its penalty step by step"
            )
        if len(set(self.gripper_indices)) < len(self.gripper_indices) or len(self.gripper_indices) > 2:
            raise ConfigError(
                f"gripper_indices must be up to two different places, got {self.gripper_indices}"
            )

    @property
    def needs_demonstrations(self) -> bool:
        """Whether an update means nothing without demonstrations, those that a person gave during the run included."""
        return self.demos_only

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


_CLONED_FIRST = parameter(
    10_000, "Updates that clone the demonstrations into the base policy before anything else", 1, 100_000_000
)


@dataclass(frozen=True)
class ResidualConfig(RLPDConfig):
    """Settings of residual RL: those of RLPD and what is said here."""

    method: ClassVar[str] = "residual"
    bc_updates: int = _CLONED_FIRST
    residual_scale: float = parameter(
        0.3, "Largest residual, in normalised actions, that is added to the base policy's action", 1e-6, 2.0
    )

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of residual and base policy."""
        shape = super().actor_config(state_size, action_size, vision)
        return dataclasses.replace(shape, residual_scale=self.residual_scale)

    def cloning(self) -> BCConfig:
        """Return how the base policy is cloned, which acts by its mean."""
        return dataclasses.replace(super().cloning(), loss="mse")


@dataclass(frozen=True)
class IBRLConfig(RLPDConfig):
    """Settings of imitation bootstrapped RL: those of RLPD and what is said here."""

    method: ClassVar[str] = "ibrl"
    bc_updates: int = _CLONED_FIRST

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.privileged_keys:
            raise ConfigError(
                "ibrl acts by its critics, which must not read privileged_keys: leave them empty"
            )

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of both policies, and of the critics that pick between them."""
        shape = super().actor_config(state_size, action_size, vision)
        return dataclasses.replace(
            shape, critics=min(ACTING_CRITICS, self.ensemble_size), critic_layer_norm=self.critic_layer_norm
        )

    def cloning(self) -> BCConfig:
        """Return how the base policy is cloned, which acts by its mean."""
        return dataclasses.replace(super().cloning(), loss="mse")


@dataclass(frozen=True)
class DAPGConfig(RLPDConfig):
    """Settings of the demonstration-augmented policy gradient: those of RLPD and what is said here."""

    method: ClassVar[str] = "dapg"
    bc_updates: int = parameter(
        10_000, "Updates that clone the demonstrations into the actor before anything else", 1, 100_000_000
    )
    dapg_weight: float = parameter(
        0.1, "Weight of the demonstrations' negative log likelihood in the actor's loss at first", 0.0, 1e6
    )
    dapg_decay: float = parameter(0.9998, "Factor on that weight after each actor update", 0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dapg_weight and not round(self.batch_size * self.demo_fraction):
            raise ConfigError("dapg needs demonstrations in its batches: raise demo_fraction")

    @property
    def needs_demonstrations(self) -> bool:
        """Whether demonstrations regularise: the end of a batch is taken for them, which must not be the policy's."""
        return self.dapg_weight > 0.0


@dataclass(frozen=True)
class HGDAggerConfig(RLPDConfig):
    """Settings of HG-DAgger; of RLPD's, those of critics, reward, exploration and `demo_fraction` are not read.

    It has them so that one task's settings do for all methods of a comparison: `utd_ratio` cloning steps of
    `batch_size` rows for each step of the environment.
    """

    method: ClassVar[str] = "hg_dagger"
    demos_only: ClassVar[bool] = True
    bc_updates: int = parameter(
        10_000, "Updates that clone the demonstrations into the actor before anything else", 1, 100_000_000
    )
    weight_decay: float = parameter(1e-4, "Decoupled weight decay", 0.0, 1.0)

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of the policy: it clones grippers like all else, and a sample of it is its mean."""
        shape = super().actor_config(state_size, action_size, vision)
        return dataclasses.replace(shape, action_size=action_size, grippers=(), std_max=self.std_min)

    def cloning(self) -> BCConfig:
        """Return how the actor is cloned before it acts."""
        return dataclasses.replace(super().cloning(), loss="mse", weight_decay=self.weight_decay)


AGENTS: dict[str, type[RLPDConfig]] = {
    config.method: config for config in (RLPDConfig, HGDAggerConfig, ResidualConfig, IBRLConfig, DAPGConfig)
}
"""Settings of the agents that learn while they act, by name; their code is in `registry`."""


@dataclass(frozen=True)
class BCConfig(VisionOptions):
    """Settings of behaviour cloning."""

    method: ClassVar[str] = "bc"

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


@dataclass(frozen=True)
class DiffusionConfig(VisionOptions):
    """Settings of the diffusion policy; chunks as in HIL-SERL, Table 13, for RAM insertion."""

    method: ClassVar[str] = "diffusion"

    observation_chunk: int = parameter(1, "State vectors that the policy reads, the present one last", 1, 16)
    action_prediction: int = parameter(8, "Actions that it predicts at once", 1, 64)
    action_chunk: int = parameter(2, "Of them, how many are executed before it predicts anew", 1, 64)
    diffusion_steps: int = parameter(100, "Steps from a chunk of actions to noise, in training", 2, 1000)
    inference_steps: int = parameter(10, "Steps from noise to a chunk, in acting", 1, 1000)
    inference_noise: float = parameter(
        0.0, "Noise added on the way: 0, none (DDIM); 1, as much as DDPM adds", 0.0, 1.0
    )
    step_embedding_size: int = parameter(32, "Length of the encoding of a diffusion step", 2, 1024)
    learning_rate: float = parameter(1e-3, "Adam step size at its peak; falls to 0 along a cosine", 0.0, 1.0)
    warmup_updates: int = parameter(500, "Updates in which the step size rises to its peak", 0, 1_000_000)
    weight_decay: float = parameter(1e-6, "Decoupled weight decay", 0.0, 1.0)
    average_decay: float = parameter(0.999, "Share that the moving average keeps per update", 0.0, 1.0)
    updates: int = parameter(30_000, "Gradient steps in all", 1, 100_000_000)
    batch_size: int = parameter(256, "Rows of one update", 1, 65536)
    hidden_sizes: tuple[int, ...] = parameter((256, 256, 256), "Units of the hidden layers", 1, 8192)
    activation: str = parameter("silu", "Activation", choices=("tanh", "relu", "silu"))
    layer_norm: bool = parameter(True, "Whether hidden layers normalise")

    def __post_init__(self) -> None:
        if self.action_chunk > self.action_prediction:
            raise ConfigError(
                f"action_chunk {self.action_chunk} is longer than action_prediction {self.action_prediction}"
            )
        if self.step_embedding_size % 2:
            raise ConfigError(f"step_embedding_size must be even, got {self.step_embedding_size}")
        if self.inference_steps > self.diffusion_steps:
            raise ConfigError(
                f"inference_steps {self.inference_steps} exceed diffusion_steps {self.diffusion_steps}"
            )

    def actor_config(
        self, state_size: int, action_size: int, vision: VisionConfig | None = None
    ) -> ActorConfig:
        """Return the shape of the network for sizes of one state vector and one action, and for the cameras."""
        if vision is not None and self.observation_chunk > 1:
            raise ConfigError(
                "a diffusion policy with cameras reads one observation: set observation_chunk to 1"
            )
        return ActorConfig(
            state_size=self.observation_chunk * state_size,
            action_size=action_size,
            hidden_sizes=self.hidden_sizes,
            activation=self.activation,
            layer_norm=self.layer_norm,
            vision=vision,
            chunks=ChunkShape(
                observation=self.observation_chunk,
                prediction=self.action_prediction,
                execution=self.action_chunk,
                diffusion_steps=self.diffusion_steps,
                inference_steps=self.inference_steps,
                inference_noise=self.inference_noise,
                embedding=self.step_embedding_size,
            ),
        )


OFFLINE: dict[str, type[BCConfig] | type[DiffusionConfig]] = {
    config.method: config for config in (BCConfig, DiffusionConfig)
}
"""Settings of the methods that learn from demonstrations alone, by name; `offline` trains them."""
