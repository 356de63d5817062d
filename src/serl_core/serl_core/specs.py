# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What an environment promises: shapes, units and meanings of observations and actions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from serl_core.errors import SchemaError


@dataclass(frozen=True)
class ArraySpec:
    """One named array.

    Attributes:
        name: Key of the observation.
        shape: Shape of the array.
        dtype: "float32" for state, "uint8" for images.
        unit: Unit and frame in words, e.g. "m, rotation vector rad; goal in tcp frame".
        scale: Typical magnitude; networks see value / scale. One number, or one per element.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    unit: str = ""
    scale: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        # Floats throughout, so that equal specs have equal fingerprints.
        scale = tuple(map(float, self.scale)) if isinstance(self.scale, tuple) else float(self.scale)
        object.__setattr__(self, "scale", scale)
        values = scale if isinstance(scale, tuple) else (scale,)
        if isinstance(scale, tuple) and len(scale) != int(np.prod(self.shape)):
            raise SchemaError(f"{self.name}: scale has {len(scale)} numbers for shape {self.shape}")
        if not all(np.isfinite(value) and value > 0.0 for value in values):
            raise SchemaError(f"{self.name}: scale must be positive, got {self.scale}")

    def check(self, value: np.ndarray) -> np.ndarray:
        """Return `value` as an array of this spec; SchemaError on a wrong shape, dtype or non-finite number."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise SchemaError(f"{self.name}: expected shape {self.shape}, got {array.shape}")
        if self.dtype == "uint8":
            if array.dtype != np.uint8:
                raise SchemaError(f"{self.name}: expected dtype uint8, got {array.dtype}")
            return array
        array = array.astype(self.dtype, copy=False)
        if not np.isfinite(array).all():
            raise SchemaError(f"{self.name}: contains NaN or infinity")
        return array


@dataclass(frozen=True)
class EnvSpec:
    """Everything that an actor, a learner and a bag must agree on about an environment.

    Attributes:
        task: Name of the task.
        state: Arrays of the observation other than images, in wire order.
        images: Cameras, in wire order; empty for state observations.
        action_size: Number of elements of an action; every element lies in [-1, 1].
        action_unit: What an action means, e.g. "twist in tcp frame, scaled by 0.01 m, 0.05 rad".
        policy_keys: State arrays and cameras that the policy reads; the rest is only recorded.
        step_seconds: Duration of one step on the environment's clock [s].
        max_steps: Steps until an episode times out.
    """

    task: str
    state: tuple[ArraySpec, ...]
    images: tuple[ArraySpec, ...]
    action_size: int
    action_unit: str
    policy_keys: tuple[str, ...]
    step_seconds: float
    max_steps: int

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.state + self.images]
        if len(set(names)) != len(names):
            raise SchemaError(f"observation schema of {self.task}: a name occurs twice in {names}")
        missing = [key for key in self.policy_keys if key not in names]
        if missing:
            raise SchemaError(f"policy keys {missing} are not in the observation schema {names}")
        if self.action_size < 1:
            raise SchemaError("action_size must be at least 1")

    @property
    def fingerprint(self) -> str:
        """Short hash over schema and action meaning; equal specs have equal fingerprints everywhere."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def state_spec(self, name: str) -> ArraySpec:
        """Return the state array called `name`; KeyError if there is none."""
        for spec in self.state:
            if spec.name == name:
                return spec
        raise KeyError(name)

    @property
    def policy_state(self) -> tuple[ArraySpec, ...]:
        """State arrays that the policy reads, in the order in which they are concatenated."""
        return tuple(self.state_spec(key) for key in self.policy_keys if key not in self.image_keys)

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(spec.name for spec in self.images)

    @property
    def policy_state_size(self) -> int:
        """Length of the policy's concatenated state vector."""
        return int(sum(np.prod(spec.shape) for spec in self.policy_state))

    def policy_vector(self, state: dict[str, np.ndarray]) -> np.ndarray:
        """Concatenate and scale the policy's state keys.

        Args:
            state: One observation's state arrays by name, or batches of them with equal leading axes.

        Returns:
            float32 array of shape (..., policy_state_size), every part divided by its spec's scale.
        """
        parts = []
        for spec in self.policy_state:
            array = np.asarray(state[spec.name], np.float32)
            lead = array.shape[: array.ndim - len(spec.shape)]
            parts.append(array.reshape(*lead, -1) / np.asarray(spec.scale, np.float32).reshape(-1))
        if not parts:
            raise SchemaError(f"task {self.task}: policy_keys names no state for the policy to read")
        return np.concatenate(parts, axis=-1)

    def check_action(self, action: np.ndarray) -> np.ndarray:
        """Return `action` as float32 clipped to [-1, 1]; SchemaError on a wrong size, NaN or infinity."""
        array = np.asarray(action, np.float32)
        if array.shape != (self.action_size,):
            raise SchemaError(f"action: expected {self.action_size} numbers, got shape {array.shape}")
        if not np.isfinite(array).all():
            raise SchemaError("action: contains NaN or infinity")
        return np.clip(array, -1.0, 1.0)


def first_difference(spec: EnvSpec, other: EnvSpec) -> str:
    """Return in words the first field in which `other` is not as `spec`, with both values; "" if they are equal."""
    theirs = _facts(other)
    for name, value in _facts(spec).items():
        if theirs[name] != value:  # names of arrays come before what is said of each
            return f"{name} is {theirs[name]!r}, not {value!r}"
    return ""


def _facts(spec: EnvSpec) -> dict[str, object]:
    """Return every field of a spec by name, those of its arrays too."""
    facts: dict[str, object] = {}
    for name, value in vars(spec).items():
        if name not in ("state", "images"):
            facts[name] = value
            continue
        facts[name] = tuple(array.name for array in value)
        for array in value:
            facts.update({f"{name}.{array.name}.{key}": said for key, said in vars(array).items()})
    return facts


def env_spec_to_json(spec: EnvSpec) -> str:
    """Serialise a spec, for run folders and bags."""
    return json.dumps(asdict(spec), sort_keys=True)


def env_spec_from_json(text: str) -> EnvSpec:
    """Read what `env_spec_to_json` wrote; SchemaError if it is not such a text."""
    try:
        fields = json.loads(text)

        def arrays(entries: list[dict]) -> tuple[ArraySpec, ...]:
            return tuple(
                ArraySpec(
                    name=e["name"],
                    shape=tuple(e["shape"]),
                    dtype=e["dtype"],
                    unit=e["unit"],
                    scale=tuple(e["scale"]) if isinstance(e["scale"], list) else e["scale"],
                )
                for e in entries
            )

        return EnvSpec(
            **{
                **fields,
                "state": arrays(fields["state"]),
                "images": arrays(fields["images"]),
                "policy_keys": tuple(fields["policy_keys"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"not an environment specification: {error}") from error
