# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The policy network as data and as a NumPy forward pass, for whoever acts without learning.

One state vector at a time is too little work for a compiler to be worth its dispatch: the NumPy pass
answers in tens of microseconds and keeps JAX out of the actor's process. `networks.actor` is the same in JAX.
Policies that read cameras act through `vision.image_actor`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_learner.gripper import choices, insert
from serl_learner.vision.config import VisionConfig

LAYER_NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class ChunkShape:
    """What a diffusion policy reads and predicts at once (HIL-SERL, Table 13), and how.

    Attributes:
        observation: State vectors that it reads, the present one last.
        prediction: Actions that it predicts, the present one first.
        execution: Of them, how many are executed before it predicts anew.
        diffusion_steps: Steps from a chunk to pure noise in training.
        inference_steps: Steps back.
        inference_noise: 0: the way back adds no noise (DDIM); 1: as much as DDPM.
        embedding: Length of the encoding of a diffusion step.
    """

    observation: int
    prediction: int
    execution: int
    diffusion_steps: int
    inference_steps: int
    inference_noise: float
    embedding: int


@dataclass(frozen=True)
class ActorConfig:
    """Shape of a tanh-squashed Gaussian policy, or of a diffusion policy; equal configs have exchangeable weights.

    Attributes:
        state_size, action_size: Length of the scaled state vector and of the action's continuous part; a diffusion
            policy's state vector is all those that it reads.
        hidden_sizes: Units of the hidden layers.
        activation: "tanh", "relu" or "silu".
        layer_norm: Whether hidden layers normalise before the activation.
        std_min, std_max: Bounds of the standard deviation before squashing.
        vision: Shape of the image encoder; None for a policy that reads no camera.
        grippers: Places of the action whose commands a grasp critic chooses, see `gripper`.
        residual_scale: Where it is not 0, the network's action times this is added to that of a frozen base policy
            of the same shape (residual RL).
        critics: Where it is not 0, so many critics pick between the network's action and that of a frozen base
            policy of the same shape (IBRL).
        critic_layer_norm: Whether those critics' hidden layers normalise.
        chunks: What a diffusion policy reads and predicts at once; None for any other.
    """

    state_size: int
    action_size: int
    hidden_sizes: tuple[int, ...] = (256, 256)
    activation: str = "tanh"
    layer_norm: bool = True
    std_min: float = 1e-5
    std_max: float = 5.0
    vision: VisionConfig | None = None
    grippers: tuple[int, ...] = ()
    residual_scale: float = 0.0
    critics: int = 0
    critic_layer_norm: bool = False
    chunks: ChunkShape | None = None

    @property
    def has_base(self) -> bool:
        """Whether a frozen base policy acts along; its parameters are named "base/..."."""
        return bool(self.residual_scale or self.critics)

    @property
    def input_size(self) -> int:
        """Length of what the hidden layers read: the state vector, or the cameras' latents and its encoding."""
        return self.state_size if self.vision is None else self.vision.latent_size + self.vision.proprio

    @property
    def head_size(self) -> int:
        """Length of what the policy's head puts out: an action, or a whole chunk of them."""
        return self.action_size if self.chunks is None else self.chunks.prediction * self.action_size

    def leaf_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by name; a frozen backbone's are not among them."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.vision is not None:
            shapes.update(self.vision.leaf_shapes())
            shapes["proprio/kernel"] = (self.state_size, self.vision.proprio)
            for name in ("bias", "scale", "offset"):
                shapes[f"proprio/{name}"] = (self.vision.proprio,)
        if self.chunks is not None:
            width = self.input_size + self.head_size + self.chunks.embedding
            return {**shapes, **self._mlp_shapes("", {"noise": self.head_size}, width)}
        heads = {"mean": self.action_size, "log_std": self.action_size}
        proprio = {name: shape for name, shape in shapes.items() if name.startswith("proprio/")}
        shapes.update(self._mlp_shapes("", heads))
        base = {f"base/{name}": shape for name, shape in shapes.items()} if self.has_base else {}
        if self.grippers:
            shapes.update({f"grasp/{name}": shape for name, shape in proprio.items()})
            shapes.update(self._mlp_shapes("grasp/", {"values": choices(self.grippers)}))
        if self.critics:
            width = self.input_size + self.action_size
            critic = {**proprio, **self._mlp_shapes("", {"value": 1}, width, self.critic_layer_norm)}
            shapes.update({f"critic/{name}": (self.critics, *shape) for name, shape in critic.items()})
        return {**shapes, **base}

    def _mlp_shapes(
        self, prefix: str, heads: dict[str, int], width: int = 0, layer_norm: bool | None = None
    ) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        width = width or self.input_size
        normalised = self.layer_norm if layer_norm is None else layer_norm
        for i, units in enumerate(self.hidden_sizes):
            shapes[f"{prefix}hidden_{i}/kernel"] = (width, units)
            for name in ("bias", "scale", "offset") if normalised else ("bias",):
                shapes[f"{prefix}hidden_{i}/{name}"] = (units,)
            width = units
        for head, units in heads.items():
            shapes[f"{prefix}{head}/kernel"] = (width, units)
            shapes[f"{prefix}{head}/bias"] = (units,)
        return shapes

    def to_json(self) -> str:
        """Serialise, for checkpoints."""
        fields = dataclasses.asdict(self)
        # What a network has not is not in its description, so that its fingerprint stays as new kinds come.
        for name in ("vision", "grippers", "residual_scale", "critics", "critic_layer_norm", "chunks"):
            if not fields[name]:
                del fields[name]
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ActorConfig:
        """Read what `to_json` wrote; SchemaError if it is not such a text."""
        try:
            fields = json.loads(text)
            fields["hidden_sizes"] = tuple(fields["hidden_sizes"])
            fields["grippers"] = tuple(fields.get("grippers", ()))
            if "chunks" in fields:
                fields["chunks"] = ChunkShape(**fields["chunks"])
            if "vision" in fields:
                fields["vision"] = VisionConfig.from_fields(fields["vision"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise SchemaError(f"not an actor network description: {error}") from error


def fingerprint(spec: EnvSpec, config: ActorConfig) -> str:
    """Return a short hash naming what weights fit: the environment's schema and the network's shape."""
    return hashlib.sha256(f"{spec.fingerprint}:{config.to_json()}".encode()).hexdigest()[:16]


def check_leaves(leaves: dict[str, np.ndarray], config: ActorConfig) -> None:
    """Raise SchemaError, naming the first difference, unless `leaves` are those of `config` and finite."""
    expected = config.leaf_shapes()
    if set(leaves) != set(expected):
        missing, unknown = sorted(set(expected) - set(leaves)), sorted(set(leaves) - set(expected))
        raise SchemaError(f"actor weights are of another network: missing {missing}, unknown {unknown}")
    for name, shape in expected.items():
        if leaves[name].shape != shape:
            raise SchemaError(f"actor weight {name}: expected shape {shape}, got {leaves[name].shape}")
        if not np.isfinite(leaves[name]).all():
            raise SchemaError(f"actor weight {name} contains NaN or infinity")


class ActorNetwork:
    """A policy with fixed weights (paper, section IV-A).

    Args:
        config: Shape of the network.
        leaves: Parameters by name; SchemaError if they do not fit `config`.
    """

    def __init__(self, config: ActorConfig, leaves: dict[str, np.ndarray]) -> None:
        if config.vision is not None:
            raise SchemaError("this policy reads cameras: ImageActor runs it")
        if config.chunks is not None:
            raise SchemaError("this is a diffusion policy: DiffusionNetwork runs it")
        check_leaves(leaves, config)
        self.config = config
        self._leaves = {name: np.asarray(leaf, np.float32) for name, leaf in leaves.items()}

    @property
    def leaves(self) -> dict[str, np.ndarray]:
        """Parameters by name."""
        return dict(self._leaves)

    def mean(self, state: np.ndarray) -> np.ndarray:
        """Return the squashed mean, float32 (..., action_size) in [-1, 1], for `state` (..., state_size)."""
        return self._whole(state, np.tanh(self._mean(self._hidden(state))))

    def base_mean(self, state: np.ndarray) -> np.ndarray:
        """Return the mean of the base policy's continuous elements; for the shapes see `mean`."""
        return np.tanh(self._mean(self._hidden(state, "base/"), "base/"))

    def critic_values(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return the values (critics, ...) of continuous `action` (..., action_size) at `state`."""
        x = np.concatenate([np.asarray(state, np.float32), action], -1)
        values = []
        for member in range(self.config.critics):
            own = {
                name.removeprefix("critic/"): leaf[member]
                for name, leaf in self._leaves.items()
                if name.startswith("critic/")
            }
            values.append(dense(own, "value", mlp(own, x, self.config))[..., 0])
        return np.stack(values)

    def sample(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a random action, float32 (..., action_size) in [-1, 1], for `state` (..., state_size)."""
        hidden = self._hidden(state)
        mean = self._mean(hidden)
        log_std = hidden @ self._leaves["log_std/kernel"] + self._leaves["log_std/bias"]
        std = np.exp(np.clip(log_std, np.log(self.config.std_min), np.log(self.config.std_max)))
        noise = rng.standard_normal(mean.shape, np.float32)
        return self._whole(state, np.tanh(mean + std * noise).astype(np.float32))

    def _whole(self, state: np.ndarray, own: np.ndarray) -> np.ndarray:
        continuous = own
        if self.config.residual_scale:
            scale = np.float32(self.config.residual_scale)
            continuous = np.clip(self.base_mean(state) + scale * own, np.float32(-1), np.float32(1))
        elif self.config.critics:
            base = self.base_mean(state)
            of_own, of_base = (self.critic_values(state, action).min(0) for action in (own, base))
            continuous = np.where((of_own > of_base)[..., None], own, base)
        if not self.config.grippers:
            return continuous
        hidden = self._hidden(state, "grasp/")
        values = hidden @ self._leaves["grasp/values/kernel"] + self._leaves["grasp/values/bias"]
        return insert(continuous, values.argmax(-1), self.config.grippers)

    def _mean(self, hidden: np.ndarray, network: str = "") -> np.ndarray:
        return hidden @ self._leaves[f"{network}mean/kernel"] + self._leaves[f"{network}mean/bias"]

    def _hidden(self, state: np.ndarray, network: str = "") -> np.ndarray:
        hidden = np.asarray(state, np.float32)
        if hidden.shape[-1:] != (self.config.state_size,):
            raise SchemaError(f"state: expected {self.config.state_size} numbers, got shape {hidden.shape}")
        return mlp(self._leaves, hidden, self.config, network)


def dense(leaves: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    """Return the affine map `name` of `x` (..., fan_in), normalised over its units if it has a scale."""
    x = x @ leaves[f"{name}/kernel"] + leaves[f"{name}/bias"]
    if f"{name}/scale" in leaves:
        centred = x - x.mean(-1, keepdims=True)
        variance = np.mean(centred * centred, -1, keepdims=True)
        x = centred / np.sqrt(variance + np.float32(LAYER_NORM_EPSILON))
        x = x * leaves[f"{name}/scale"] + leaves[f"{name}/offset"]
    return x


def mlp(leaves: dict[str, np.ndarray], x: np.ndarray, config: ActorConfig, network: str = "") -> np.ndarray:
    """Return the last hidden layer's output for `x`; `network` is the prefix of the layers' names."""
    for i in range(len(config.hidden_sizes)):
        x = _ACTIVATIONS[config.activation](dense(leaves, f"{network}hidden_{i}", x))
    return x


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "silu": lambda x: x / (np.float32(1) + np.exp(-x)),
}
