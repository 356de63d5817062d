# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a run's bag and checkpoints tell about its training (HIL-SERL, section 5.1 and 5.2, Fig. 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from serl_core.errors import BagError, ConfigError
from serl_core.parameters import from_mapping
from serl_core.specs import EnvSpec
from serl_core.types import Observation, Transition
from serl_learner import gripper, learner_checkpoint, networks, weights
from serl_learner.actor_network import ActorNetwork
from serl_learner.agents.config import AGENTS, RLPDConfig
from serl_learner.agents.registry import agent_of
from serl_learner.bag.reader import read_spec, read_transitions
from serl_learner.checkpoint import load_policy
from serl_learner.networks import Params
from serl_learner.vision import encoder as vision
from serl_learner.vision import resnet10
from serl_learner.vision.backbone_file import load_backbone
from serl_learner.vision.config import policy_cameras
from serl_learner.vision.image_actor import ImageActor

NOISE = 0.2
"""Half width of the uniform action noise by which critical states are found, in normalised actions (eq. 4)."""
NOISE_SAMPLES = 100
_STATES_PER_CALL = 100


@dataclass(frozen=True)
class Visits:
    """Observations in which an action was taken, in the order of the recording.

    Attributes:
        state: Raw state arrays by name, each (n, ...).
        images: uint8 (n, height, width, 3) by camera, of those that the policy reads.
        action: (n, action_size) executed.
        policy_version: (n,) of the weights behind the action.
        episode: (n,) number of the episode within the recording, from 0.
        step: (n,) index of the action within its episode.
        success: (episodes,) how each episode ended.
    """

    state: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    action: np.ndarray
    policy_version: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    success: np.ndarray

    def __len__(self) -> int:
        return len(self.step)

    def rows(self, chosen: np.ndarray) -> Visits:
        """Return the visits at some indices, or where a mask (n,) is true; `success` stays whole."""
        of_visits = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "success"}
        return replace(self, **jax.tree.map(itemgetter(chosen), of_visits))


def read_visits(bag: Path, spec: EnvSpec) -> Visits:
    """Return every observation of a bag that was acted on; steps whose observation is missing are left out.

    Args:
        bag: Recording of a run.
        spec: Environment of the run's checkpoints.

    Raises:
        BagError: it is no bag, or holds no usable transition.
        ConfigError: it does not say which environment it is of, or is of another.
    """
    recorded = read_spec(bag)
    if recorded is None:
        raise ConfigError(f"{bag} does not say which environment it is of: it was not recorded by this suite")
    if recorded.fingerprint != spec.fingerprint:
        raise ConfigError(f"{bag} has another observation or action schema than the checkpoints beside it")
    before: dict[tuple[str, int, int], Observation] = {}
    episodes: dict[tuple[str, int], int] = {}
    success: list[bool] = []
    taken: dict[tuple[str, int, int], tuple[Observation, Transition]] = {}
    for t in read_transitions(bag, spec):
        episode = (t.env_id, t.episode_id)
        if episode not in episodes:
            episodes[episode] = len(episodes)
            success.append(False)
        success[episodes[episode]] |= t.success
        if t.first_observation is not None:
            before[(*episode, 0)] = t.first_observation
        before[(*episode, t.step + 1)] = t.next_observation
        here = (*episode, t.step)
        if here in before:
            taken.setdefault(here, (before[here], t))  # a transition sent again is there twice
    pairs = list(taken.values())
    if not pairs:
        raise BagError(f"{bag} holds no action with the observation that it was taken in")
    return Visits(
        state={s.name: np.stack([o.state[s.name] for o, _ in pairs]) for s in spec.state},
        images={c.name: np.stack([o.images[c.name] for o, _ in pairs]) for c in policy_cameras(spec)},
        action=np.stack([t.action for _, t in pairs]),
        policy_version=np.array([t.policy_version for _, t in pairs]),
        episode=np.array([episodes[(t.env_id, t.episode_id)] for _, t in pairs]),
        step=np.array([t.step for _, t in pairs]),
        success=np.array(success),
    )


class ActionValues(NamedTuple):
    """Of each state: Q of its action, and Q's variance under uniform action noise (HIL-SERL eq. 4), both (n,)."""

    q: np.ndarray
    variance: np.ndarray


class Critic:
    """The critics of one checkpoint, with the image encoder that was trained with them.

    Args:
        folder: A run folder or one checkpoint; of several the latest.

    Raises:
        ConfigError: its policy learned without critics.
        SchemaError: it is no checkpoint, or cannot be restored.
    """

    def __init__(self, folder: Path) -> None:
        loaded = load_policy(folder)
        self.spec: EnvSpec = loaded.spec
        self.version = int(loaded.weights.version)
        method = loaded.metadata.get("method", RLPDConfig.method)
        if method not in AGENTS or AGENTS[method].demos_only:
            raise ConfigError(f"{folder} holds a policy of {method}, which learns no critics: it has no Q")
        settings = dict(loaded.metadata.get("agent", {}))
        if loaded.backbone_file:  # the run may have moved since
            settings["resnet10_weights"] = loaded.backbone_file
        config = from_mapping(AGENTS[method], settings, str(folder))
        backbone = config.backbone(self.spec)
        template = agent_of(config).init(config, self.spec, 0, backbone)
        state, _ = learner_checkpoint.restore(folder, template, config, self.spec)
        self._activation = config.activation
        self._critic, self._encoder = state.critic, state.encoder
        self._backbone = None if backbone is None else jax.device_put(backbone.leaves)
        privileged = config.privileged_spec(self.spec)
        self._read = (self.spec,) if privileged is None else (self.spec, privileged)
        self._continuous = gripper.others(self.spec.action_size, config.gripper_indices)

    def values(self, visits: Visits, seed: int = 0) -> ActionValues:
        """Evaluate the actions that were taken, mean over the ensemble; of these, what are no grippers' commands.

        Args:
            visits: n of them, of the checkpoint's environment.
            seed: Of the noise.
        """
        state = np.concatenate([spec.policy_vector(visits.state) for spec in self._read], -1)
        action = visits.action[:, self._continuous]
        latent = _latents(self._encoder, self._backbone, visits.images)
        parts = _parts(len(visits))
        keys = jax.random.split(jax.random.key(seed), len(parts))
        found = [
            _values(
                self._activation, self._critic, key, *jax.tree.map(itemgetter(part), (state, action, latent))
            )
            for part, key in zip(parts, keys, strict=True)
        ]
        return ActionValues(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _parts(count: int) -> list[slice]:
    return [slice(i, i + _STATES_PER_CALL) for i in range(0, count, _STATES_PER_CALL)]


@partial(jax.jit, static_argnums=0)
def _values(
    activation: str,
    critic: Params,
    key: jax.Array,
    state: jax.Array,
    action: jax.Array,
    latent: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    noise = jax.random.uniform(key, (NOISE_SAMPLES, *action.shape), minval=-NOISE, maxval=NOISE)
    moved = jnp.clip(action[None] + noise, -1.0, 1.0).reshape(-1, action.shape[-1])
    states, latents = jax.tree.map(lambda x: jnp.tile(x, (NOISE_SAMPLES, 1)), (state, latent))
    q = jnp.mean(networks.critics(critic, state, action, activation, latent), 0)
    around = jnp.mean(networks.critics(critic, states, moved, activation, latents), 0)
    return q, jnp.var(around.reshape(NOISE_SAMPLES, -1), axis=0)


def _latents(
    encoder: Params, backbone: resnet10.Leaves | None, images: dict[str, np.ndarray]
) -> np.ndarray | None:
    """Return the latents of images (n, latent_size), not shifted, as in acting; None where no camera is encoded."""
    if not encoder:
        return None
    count = len(next(iter(images.values())))
    views = (jax.tree.map(itemgetter(part), images) for part in _parts(count))
    return np.concatenate([_encode(encoder, backbone, view) for view in views])


@jax.jit
def _encode(
    encoder: Params, backbone: resnet10.Leaves | None, images: dict[str, jax.Array]
) -> jax.Array | None:
    return vision.encode(encoder, images if backbone is None else resnet10.together(backbone, images))


def policy_distribution(folder: Path, visits: Visits) -> tuple[np.ndarray, np.ndarray]:
    """Return what a checkpoint's policy does by its mean, and how its network spreads, both (n, action_size).

    The spread is the deviation before squashing; 0 for grippers, which are commanded without noise.

    Args:
        folder: A run folder or one checkpoint; of several the latest.
        visits: n of them, of the checkpoint's environment.

    Raises:
        ConfigError: the policy is no Gaussian.
        SchemaError: `folder` is no checkpoint, or a damaged one.
    """
    loaded = load_policy(folder)
    config, leaves = weights.unpack(loaded.weights, loaded.spec)
    if config.chunks is not None:
        raise ConfigError(f"{folder} holds a diffusion policy, which has no mean and deviation")
    state = loaded.spec.policy_vector(visits.state)
    latent = None
    if config.vision is None:
        mean = ActorNetwork(config, leaves).mean(state)
    else:
        backbone = load_backbone(loaded.backbone_file) if config.vision.backbone else None
        actor = ImageActor(config, leaves, backbone)
        seen = [jax.tree.map(itemgetter(i), visits.images) for i in range(len(visits))]
        mean = np.stack([actor.mean(*each) for each in zip(state, seen, strict=True)])
        encoder = {name: leaf for name, leaf in leaves.items() if name.startswith("image/")}
        latent = _latents(encoder, None if backbone is None else backbone.leaves, visits.images)
    deviation = np.zeros_like(mean)
    continuous = gripper.others(loaded.spec.action_size, config.grippers)
    deviation[:, continuous] = networks.actor(leaves, state, config, latent)[1]
    return mean, deviation
