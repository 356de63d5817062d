# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where checkpoints lie, and the policy in them, which can be read without any learner.

    RUN/checkpoints/STEP/policy/policy.safetensors   weights, with the network's shape
    RUN/checkpoints/STEP/policy/metadata.json        task, environment, fingerprint, counters, settings
    RUN/checkpoints/STEP/policy/backbone.safetensors frozen weights, where the policy reads cameras through some
    RUN/checkpoints/STEP/learner/                    everything else that training goes on from (Orbax)

A folder STEP appears by renaming when it is complete; anything else in `checkpoints` is not a checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec, env_spec_from_json, env_spec_to_json
from serl_core.types import PolicyWeights
from serl_learner.vision.backbone_file import Backbone, backbone_bytes

CHECKPOINTS = "checkpoints"
POLICY = "policy"
_WEIGHTS_FILE = "policy.safetensors"
_METADATA_FILE = "metadata.json"
_BACKBONE_FILE = "backbone.safetensors"


class LoadedPolicy(NamedTuple):
    """A policy as found in a checkpoint.

    Attributes:
        weights: The policy.
        spec: The environment that it acts in.
        metadata: Everything that was saved beside.
        backbone_file: Path of its frozen weights; empty where it has none.
    """

    weights: PolicyWeights
    spec: EnvSpec
    metadata: dict[str, Any]
    backbone_file: str = ""


def policy_files(
    weights: PolicyWeights, spec: EnvSpec, metadata: dict[str, Any], backbone: Backbone | None = None
) -> dict[str, bytes]:
    """Return the files of a checkpoint's policy folder by name; `metadata` must fit into JSON."""
    facts = {
        **metadata,
        "task": weights.task,
        "fingerprint": weights.fingerprint,
        "version": weights.version,
        "checksum": weights.checksum,
        "stamp": weights.stamp,
        "env_spec": env_spec_to_json(spec),
    }
    files = {_WEIGHTS_FILE: bytes(weights.data), _METADATA_FILE: json.dumps(facts, indent=1).encode()}
    return files if backbone is None else {**files, _BACKBONE_FILE: backbone_bytes(backbone)}


def save_policy(
    run: Path,
    step: int,
    weights: PolicyWeights,
    spec: EnvSpec,
    metadata: dict[str, Any],
    backbone: Backbone | None = None,
) -> Path:
    """Write a checkpoint of a policy alone, atomically; return its folder.

    Args:
        run: Run folder; `checkpoints` is made in it.
        step: Number of the checkpoint; one of that number is replaced.
        weights, spec, metadata, backbone: See `policy_files`.
    """
    target = Path(run) / CHECKPOINTS / str(step)
    partial = target.with_name(f"{step}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / POLICY).mkdir(parents=True)
    for name, data in policy_files(weights, spec, metadata, backbone).items():
        with open(partial / POLICY / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    shutil.rmtree(target, ignore_errors=True)
    os.rename(partial, target)
    return target


def load_policy(path: str | Path) -> LoadedPolicy:
    """Read the policy of a checkpoint.

    Args:
        path: A run folder, its `checkpoints`, or one checkpoint; of several the latest is taken. SchemaError
            if there is none, or if it is damaged.
    """
    folder = find_checkpoint(path) / POLICY
    try:
        metadata = json.loads((folder / _METADATA_FILE).read_text())
        data = (folder / _WEIGHTS_FILE).read_bytes()
        weights = PolicyWeights(
            task=metadata["task"],
            fingerprint=metadata["fingerprint"],
            version=metadata["version"],
            checksum=metadata["checksum"],
            data=data,
            stamp=metadata["stamp"],
        )
        spec = env_spec_from_json(metadata["env_spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"{folder.parent} is not a readable checkpoint: {error}") from error
    if hashlib.sha256(data).hexdigest() != weights.checksum:
        raise SchemaError(f"{folder.parent} is damaged: the checksum of its policy differs")
    backbone = folder / _BACKBONE_FILE
    return LoadedPolicy(weights, spec, metadata, str(backbone) if backbone.exists() else "")


def has_checkpoint(path: str | Path) -> bool:
    """Return whether there is a complete checkpoint; what an interrupted save left behind is none."""
    try:
        find_checkpoint(path)
    except SchemaError:
        return False
    return True


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint folder meant by `path`, the latest of several; SchemaError if there is none."""
    path = Path(path)
    if (path / POLICY).is_dir():
        return path
    for folder in (path / CHECKPOINTS, path):
        if folder.is_dir():
            steps = [
                entry for entry in folder.iterdir() if entry.name.isdigit() and (entry / POLICY).is_dir()
            ]
            if steps:
                return max(steps, key=lambda entry: int(entry.name))
    raise SchemaError(f"{path} holds no checkpoint; expected a run folder, its checkpoints, or one of them")
