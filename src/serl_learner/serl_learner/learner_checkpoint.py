# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Saves and restores everything that training goes on from (Orbax underneath)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

from serl_core.errors import SchemaError, SerlError
from serl_core.specs import EnvSpec
from serl_core.types import PolicyWeights
from serl_learner import checkpoint
from serl_learner.actor_network import fingerprint
from serl_learner.agents.config import RLPDConfig
from serl_learner.vision.backbone_file import Backbone
from serl_learner.weights import unpack

State = TypeVar("State", bound=tuple)

_LEARNER = "learner"
_SHAPING = (
    "hidden_sizes", "ensemble_size", "critic_layer_norm", "actor_layer_norm", "activation", "privileged_keys",
    "gripper_indices",
)  # fmt: skip


class _FilesHandler(ocp.CheckpointHandler):
    """Lets plain files take part in Orbax' atomic save."""

    def save(self, directory: Any, args: _FilesSave) -> None:
        for name, data in args.files.items():
            (directory / name).write_bytes(data)

    def restore(self, directory: Any, args: Any = None) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in directory.iterdir()}


@ocp.args.register_with_handler(_FilesHandler, for_save=True, for_restore=True)
@dataclasses.dataclass
class _FilesSave(ocp.args.CheckpointArgs):
    files: dict[str, bytes]


class LearnerCheckpoints:
    """The checkpoints of one run; a save that is interrupted leaves the ones before it usable.

    Args:
        run: Run folder.
        keep: How many to keep; the oldest goes first.
    """

    def __init__(self, run: Path, keep: int) -> None:
        self._folder = Path(run).absolute() / checkpoint.CHECKPOINTS
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def save(
        self,
        step: int,
        state: Any,
        config: RLPDConfig,
        weights: PolicyWeights,
        spec: EnvSpec,
        metadata: dict[str, Any],
        backbone: Backbone | None = None,
    ) -> None:
        """Begin a save and return; `wait` for its end. A step that is saved already is left as it is.

        Args:
            step: Number of the checkpoint.
            state: Copied before the call returns.
            config: The agent's settings.
            weights, spec, metadata, backbone: For the policy part, see `checkpoint.policy_files`.
        """
        if step in self._manager.all_steps():
            return
        # The next update reuses the state's buffers while Orbax still writes.
        copy = jax.tree.map(np.array, state)
        facts = {**metadata, "method": config.method, "agent": dataclasses.asdict(config)}
        files = checkpoint.policy_files(weights, spec, facts, backbone)
        items = {_LEARNER: ocp.args.StandardSave(copy), checkpoint.POLICY: _FilesSave(files)}
        with self._named_errors():
            self._manager.save(step, args=ocp.args.Composite(**items))

    def wait(self) -> None:
        """Return when what was saved is on disk."""
        with self._named_errors():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish and let go of the folder."""
        with self._named_errors():
            self._manager.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turn what Orbax raises, perhaps for an earlier save, into a SerlError that names the folder."""
        try:
            yield
        except Exception as error:
            cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SerlError(f"cannot write a checkpoint to {self._folder}: {cause}") from error


def restore(
    path: str | Path, template: State, config: RLPDConfig, spec: EnvSpec
) -> tuple[State, dict[str, Any]]:
    """Read what training goes on from.

    Args:
        path: A run folder, its `checkpoints`, or one checkpoint; of several the latest is taken.
        template: A fresh state of the same settings.
        config: The agent's settings; those that shape the networks must be as they were.
        spec: Environment to go on with.

    Returns:
        State and metadata. SchemaError, naming the cause, if `path` is not a learner's checkpoint or one of
        another task, observation schema or network.
    """
    folder = checkpoint.find_checkpoint(path)
    loaded = checkpoint.load_policy(folder)
    if loaded.spec.task != spec.task:
        raise SchemaError(f"{folder} is a checkpoint of task {loaded.spec.task!r}, not of {spec.task!r}")
    if loaded.spec.fingerprint != spec.fingerprint:
        raise SchemaError(f"{folder} is a checkpoint of another observation or action schema")
    if not (folder / _LEARNER).is_dir():
        raise SchemaError(f"{folder} holds a policy only, nothing to go on training from")
    method = loaded.metadata.get("method", RLPDConfig.method)
    if method != config.method:
        raise SchemaError(f"{folder} is a checkpoint of agent {method}, not of {config.method}")
    agent = loaded.metadata.get("agent", {})
    for name in (*_SHAPING, "max_grad_norm"):
        now = getattr(config, name)
        then = agent.get(name, getattr(RLPDConfig, name))
        then = tuple(then) if isinstance(then, list) else then
        same = bool(then) == bool(now) if name == "max_grad_norm" else then == now
        if not same:
            raise SchemaError(f"{folder} is a checkpoint of another network: {name} was {then}, now {now}")
    vision_config = config.vision_config(spec, config.backbone(spec))
    actor_config = config.actor_config(spec.policy_state_size, spec.action_size, vision_config)
    if loaded.weights.fingerprint != fingerprint(spec, actor_config):
        saved, _ = unpack(loaded.weights, spec)
        for name in ("std_min", "std_max", "residual_scale"):
            then, now = getattr(saved, name), getattr(actor_config, name)
            if then != now:
                raise SchemaError(
                    f"{folder} is a checkpoint of another network: {name} was {then}, now {now}"
                )
        raise SchemaError(f"{folder} is a checkpoint of another image encoder, or of other frozen weights")
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore((folder / _LEARNER).absolute(), template)
    except (OSError, ValueError, KeyError, TypeError) as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SchemaError(f"{folder} cannot be restored: {cause}") from error
    return type(template)(*state), loaded.metadata
