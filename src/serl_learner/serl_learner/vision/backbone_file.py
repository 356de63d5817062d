# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Files of a frozen ResNet-10: SERL's published pickle, read as data, and safetensors. No JAX."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from safetensors import SafetensorError

from serl_core.errors import ConfigError, SchemaError
from serl_learner.vision.pickled_arrays import read_arrays

PUBLISHED = "https://github.com/rail-berkeley/serl/releases/download/resnet10/resnet10_params.pkl"
"""ResNet-10 trained on ImageNet, as SERL and HIL-SERL use it: 64, 128, 256 and 512 filters."""

_STAGES = 4


@dataclass(frozen=True)
class Backbone:
    """Weights of a ResNet-10 that no training changes.

    Attributes:
        leaves: float32 arrays by name, see `leaf_shapes`.
        digest: Short hash over them; the same weights have the same digest in whatever file.
        origin: What they were trained on, as the file says: "imagenet", "task NAME"; empty where it does not.
    """

    leaves: dict[str, np.ndarray]
    digest: str
    origin: str = ""

    @property
    def filters(self) -> tuple[int, ...]:
        """Filters of the four stages."""
        return _filters(self.leaves)


def leaf_shapes(filters: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, for the filters of the four stages."""
    shapes: dict[str, tuple[int, ...]] = {"conv_init/kernel": (7, 7, 3, filters[0])}

    def norm(name: str, channels: int) -> None:
        shapes[f"{name}/scale"] = shapes[f"{name}/bias"] = (channels,)

    norm("norm_init", filters[0])
    fan_in = filters[0]
    for i, channels in enumerate(filters):
        block = f"ResNetBlock_{i}"
        shapes[f"{block}/Conv_0/kernel"] = (3, 3, fan_in, channels)
        shapes[f"{block}/Conv_1/kernel"] = (3, 3, channels, channels)
        norm(f"{block}/MyGroupNorm_0", channels)
        norm(f"{block}/MyGroupNorm_1", channels)
        if i > 0:  # the first stage keeps size and channels, and so needs no projection beside it
            shapes[f"{block}/conv_proj/kernel"] = (1, 1, fan_in, channels)
            norm(f"{block}/norm_proj", channels)
        fan_in = channels
    return shapes


def make_backbone(leaves: dict[str, np.ndarray], source: str, origin: str = "") -> Backbone:
    """Check weights and name them by their digest.

    Args:
        leaves: Arrays by name; entries that a ResNet-10 does not have, such as a classifier's, are left out.
        source: Where they come from, for error messages.
        origin: What they were trained on.
    """
    try:
        shapes = leaf_shapes(_filters(leaves))
    except (KeyError, IndexError) as error:
        raise SchemaError(f"{source} holds no ResNet-10: {error} is missing") from error
    chosen = {}
    digest = hashlib.sha256()
    for name, shape in sorted(shapes.items()):
        if name not in leaves:
            raise SchemaError(f"{source} holds no ResNet-10: {name} is missing")
        leaf = np.ascontiguousarray(leaves[name], np.float32)
        if leaf.shape != shape:
            raise SchemaError(f"{source}: {name} must have shape {shape}, got {leaf.shape}")
        if not np.isfinite(leaf).all():
            raise SchemaError(f"{source}: {name} contains NaN or infinity")
        digest.update(f"{name}{shape}".encode())
        digest.update(leaf.tobytes())
        chosen[name] = leaf
    return Backbone(chosen, digest.hexdigest()[:16], origin)


def load_backbone(path: str | Path) -> Backbone:
    """Read the weights of a ResNet-10; read once per file and process.

    Args:
        path: SERL's pickle, which is not executed, or safetensors. ConfigError, saying where to get the file,
            if there is none; SchemaError if it holds something else.
    """
    remedy = f"fetch {PUBLISHED} and set resnet10_weights to the file"
    if not str(path):
        raise ConfigError(f"encoder resnet10 needs its weights: {remedy}")
    try:
        stamp = Path(path).stat().st_mtime_ns
        return _load(Path(path), stamp)
    except FileNotFoundError:
        raise ConfigError(f"resnet10_weights {path} does not exist: {remedy}") from None
    except OSError as error:
        raise ConfigError(f"resnet10_weights {path} cannot be read: {error.strerror}") from error


def backbone_bytes(backbone: Backbone) -> bytes:
    """Return weights as safetensors."""
    return safetensors.numpy.save(backbone.leaves, {"origin": backbone.origin})


@functools.lru_cache(maxsize=2)
def _load(path: Path, _stamp: int) -> Backbone:
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        try:
            leaves = safetensors.numpy.load(data)
            with safetensors.safe_open(path, "numpy") as file:
                origin = (file.metadata() or {}).get("origin", "")
        except SafetensorError as error:
            raise SchemaError(f"{path} cannot be read: {error}") from error
    else:
        try:
            leaves, origin = _flat(read_arrays(data)), "imagenet"  # the one pickle that there is
        except SchemaError as error:
            raise SchemaError(f"{path} {error}") from error
    return make_backbone(leaves, str(path), origin)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    leaves: dict[str, np.ndarray] = {}
    for name, entry in tree.items():
        if isinstance(entry, dict):
            leaves.update(_flat(entry, f"{prefix}{name}/"))
        else:
            leaves[prefix + name] = entry
    return leaves


def _filters(leaves: dict[str, np.ndarray]) -> tuple[int, ...]:
    return tuple(leaves[f"ResNetBlock_{i}/Conv_0/kernel"].shape[3] for i in range(_STAGES))
