# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a run's bag and checkpoints tell about its training (HIL-SERL, section 5.1 and 5.2, Fig. 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from serl_core.errors import ConfigError, SchemaError
from serl_core.parameters import from_mapping
from serl_core.specs import EnvSpec
from serl_core.types import Observation, Transition
from serl_learner import learner_checkpoint, networks, weights
from serl_learner.agents.config import AGENTS, RLPDConfig
from serl_learner.agents.registry import agent_of
from serl_learner.bag.reader import read_spec, read_transitions
from serl_learner.checkpoint import load_policy
from serl_learner.networks import Params

NOISE = 0.2
"""Half width of the uniform action noise by which critical states are found, in normalised actions (eq. 4)."""
NOISE_SAMPLES = 100
_STATES_PER_CALL = 100


@dataclass(frozen=True)
class Visits:
    """Observations in which an action was taken, in the order of the recording.

    Attributes:
        state: Raw state arrays by name, each (n, ...).
        vector: (n, policy_state_size), scaled as the policy reads it.
        action: (n, action_size) executed.
        policy_version: (n,) of the weights behind the action.
        episode: (n,) number of the episode within the recording, from 0.
        step: (n,) index of the action within its episode.
        success: (episodes,) how each episode ended.
    """

    state: dict[str, np.ndarray]
    vector: np.ndarray
    action: np.ndarray
    policy_version: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    success: np.ndarray

    def __len__(self) -> int:
        return len(self.step)

    def rows(self, chosen: np.ndarray) -> Visits:
        """Return the visits at some indices, or where a mask (n,) is true; `success` stays whole."""
        arrays = {
            f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name not in ("state", "success")
        }
        return Visits(state={k: v[chosen] for k, v in self.state.items()}, success=self.success, **arrays)


def read_visits(bag: Path) -> Visits:
    """Return every observation of a bag that was acted on; steps whose observation is missing are left out.

    Raises:
        BagError: it is no bag, or holds no usable transition.
        ConfigError: it does not say which environment it is of.
    """
    spec = read_spec(bag)
    if spec is None:
        raise ConfigError(f"{bag} does not say which environment it is of: it was not recorded by this suite")
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
    state = {s.name: np.stack([o.state[s.name] for o, _ in pairs]) for s in spec.state}
    return Visits(
        state=state,
        vector=spec.policy_vector(state),
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
    """The critics of one checkpoint.

    Args:
        folder: A run folder or one checkpoint; of several the latest.

    Raises:
        SchemaError: it is none, or holds a policy without critics.
    """

    def __init__(self, folder: Path) -> None:
        loaded = load_policy(folder)
        self.spec: EnvSpec = loaded.spec
        self.version = int(loaded.weights.version)
        settings = loaded.metadata.get("agent")
        if settings is None:
            raise SchemaError(f"{folder} holds a policy without critics (behaviour cloning has none)")
        method = loaded.metadata.get("method", RLPDConfig.method)
        if method not in AGENTS or AGENTS[method].demos_only:
            raise SchemaError(f"{folder} holds a policy without critics ({method} has none)")
        self._config = from_mapping(AGENTS[method], settings, str(folder))
        template = agent_of(self._config).init(self._config, loaded.spec, seed=0)
        state, _ = learner_checkpoint.restore(folder, template, self._config, loaded.spec)
        self._critic = state.critic

    def values(self, vector: np.ndarray, action: np.ndarray, seed: int = 0) -> ActionValues:
        """Evaluate actions, mean over the ensemble.

        Args:
            vector: (n, policy_state_size), scaled.
            action: (n, action_size), normalised.
            seed: Of the noise.
        """
        keys = jax.random.split(jax.random.key(seed), max(1, -(-len(vector) // _STATES_PER_CALL)))
        q, variance = [], []
        for i, key in enumerate(keys):
            part = slice(i * _STATES_PER_CALL, (i + 1) * _STATES_PER_CALL)
            of_part = _values(self._config.activation, self._critic, vector[part], action[part], key)
            q.append(np.asarray(of_part[0]))
            variance.append(np.asarray(of_part[1]))
        return ActionValues(np.concatenate(q), np.concatenate(variance))


@partial(jax.jit, static_argnums=0)
def _values(
    activation: str, critic: Params, vector: jax.Array, action: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    noise = jax.random.uniform(key, (NOISE_SAMPLES, *action.shape), minval=-NOISE, maxval=NOISE)
    moved = jnp.clip(action[None] + noise, -1.0, 1.0).reshape(-1, action.shape[-1])
    states = jnp.tile(vector, (NOISE_SAMPLES, 1))
    q = jnp.mean(networks.critics(critic, vector, action, activation), 0)
    around = jnp.mean(networks.critics(critic, states, moved, activation), 0)
    return q, jnp.var(around.reshape(NOISE_SAMPLES, -1), axis=0)


def policy_distribution(folder: Path, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squashed mean and deviation before squashing, both (n, action_size), for state vectors (n, ...)."""
    loaded = load_policy(folder)
    network = weights.decode(loaded.weights, loaded.spec)
    _, deviation = networks.actor(network.leaves, jnp.asarray(vector), network.config)
    return network.mean(vector), np.asarray(deviation)
