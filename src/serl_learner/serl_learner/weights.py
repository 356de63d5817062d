# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Policy weights on the wire and on disk: safetensors bytes, never pickle."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec
from serl_core.types import PolicyWeights
from serl_learner.actor_network import ActorConfig, ActorNetwork, check_leaves, fingerprint

_CONFIG = "actor_config"


def encode(
    leaves: dict[str, np.ndarray], spec: EnvSpec, config: ActorConfig, version: int, stamp: float = 0.0
) -> PolicyWeights:
    """Pack actor leaves for publication, with the network's shape, so that a receiver needs only the weights.

    Args:
        leaves: Arrays by name; SchemaError unless they are finite and fit `config`.
        spec: Environment that the policy acts in.
        config: Shape of the network.
        version: Of the policy in its training, rising with its updates; a learner counts from 1, its first policy.
        stamp: Time of packing [s].
    """
    check_leaves(leaves, config)
    arrays = {name: np.ascontiguousarray(leaf, np.float32) for name, leaf in leaves.items()}
    data = safetensors.numpy.save(arrays, metadata={_CONFIG: config.to_json()})
    checksum = hashlib.sha256(data).hexdigest()
    return PolicyWeights(spec.task, fingerprint(spec, config), version, checksum, data, stamp)


def decode(weights: PolicyWeights, spec: EnvSpec) -> ActorNetwork:
    """Unpack a policy that reads no camera and is no diffusion policy; SchemaError as for `unpack`."""
    return ActorNetwork(*unpack(weights, spec))


def unpack(weights: PolicyWeights, spec: EnvSpec) -> tuple[ActorConfig, dict[str, np.ndarray]]:
    """Return the shape of a policy and its parameters by name.

    Args:
        weights: What `encode` made.
        spec: The receiver's own environment. SchemaError, naming the cause, if the weights are damaged or of
            another environment or network.
    """
    name = f"policy weights version {weights.version} of task {weights.task!r}"
    if weights.task != spec.task:
        raise SchemaError(f"{name} are for another task than {spec.task!r}")
    data = bytes(weights.data)
    if hashlib.sha256(data).hexdigest() != weights.checksum:
        raise SchemaError(f"{name} are damaged: the checksum differs")
    try:
        leaves = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        config = ActorConfig.from_json(header["__metadata__"][_CONFIG])
    except (SafetensorError, KeyError, ValueError) as error:
        raise SchemaError(f"{name} cannot be read: {error}") from error
    expected = fingerprint(spec, config)
    if weights.fingerprint != expected:
        raise SchemaError(
            f"{name} are for another observation schema or network"
            f" (fingerprint {weights.fingerprint}, expected {expected})"
        )
    check_leaves(leaves, config)
    return config, leaves
