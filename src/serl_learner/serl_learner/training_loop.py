# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Transitions in, policies out: everything about learning that is not ROS."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from serl_core.errors import ConfigError, SchemaError
from serl_core.parameters import parameter
from serl_core.specs import EnvSpec
from serl_core.types import LearnerStatus, PolicyWeights, Source, Transition
from serl_learner import learner_checkpoint, weights
from serl_learner.agents import bc, grasp, rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.agents.registry import agent_of
from serl_learner.bag.labels import HUMAN, human_reward
from serl_learner.metrics import RateMeter, metrics_writer
from serl_learner.placement import Placement
from serl_learner.replay.joiner import Joiner, Row
from serl_learner.replay.ring_buffer import Horizon, Layout, RingBuffer
from serl_learner.replay.sampler import SymmetricSampler, is_demonstration
from serl_learner.vision.feature_cache import FeatureCache

UNLIMITED = 2**63 - 1
_WRITE_EVERY = 10  # update calls per point in TensorBoard
_CLONED_TOGETHER = 20  # updates a call


@dataclass(frozen=True)
class LoopConfig:
    """Settings of the training loop, beside the agent's."""

    min_online: int = parameter(200, "Online rows before the first update", 1, 10_000_000)
    replay_capacity: int = parameter(200_000, "Most online rows held", 2, 100_000_000)
    demo_capacity: int = parameter(50_000, "Most demonstration rows held", 2, 100_000_000)
    lead_steps: int = parameter(20, "Steps that environments may be ahead of the pace", 1, 1_000_000)
    keep_checkpoints: int = parameter(3, "Checkpoints kept", 1, 1000)
    replay_gigabytes: float = parameter(
        0.0,
        "Most memory for the rows of both buffers together, which hold fewer for it [GB]; 0: no limit",
        0.0,
    )
    replay_folder: str = parameter(
        "", "Folder in the run folder for files, mapped into memory, that hold replay; empty: memory holds it"
    )
    max_skipped_in_row: int = parameter(
        100,
        "Update calls in a row with a gradient that is not finite after which training ends",
        1,
        1_000_000,
    )
    devices: int = parameter(0, "Local devices that share every batch; 0: all", 0, 4096)
    wandb_project: str = parameter(
        "", "Weights & Biases project that gets the curves beside TensorBoard; empty: none"
    )


class TrainingLoop:
    """Buffers, agent and bookkeeping of one run.

    `ingest` may be called from another thread than the rest.

    Args:
        spec: Environment.
        config: Settings of the loop.
        agent: Settings of RLPD, or of another agent, which is thereby chosen.
        run: Run folder for checkpoints and TensorBoard events; None: nothing is written.
        seed: Seed of networks and sampling.
        critic_updates_per_step: Pace: critic updates for each online row; 0: nobody waits.
    """

    def __init__(
        self,
        spec: EnvSpec,
        config: LoopConfig,
        agent: RLPDConfig,
        run: Path | None,
        seed: int,
        critic_updates_per_step: float = 0.0,
    ) -> None:
        self.spec = spec
        self.config = config
        self.agent = agent
        self.critic_updates_per_step = critic_updates_per_step
        backbone = agent.backbone(spec)
        vision_config = agent.vision_config(spec, backbone)
        self.actor_config = agent.actor_config(spec.policy_state_size, spec.action_size, vision_config)
        self._skipped = 0
        self._skipped_in_row = 0
        self._placement = Placement(config.devices, agent.batch_size)
        self._settled: dict[str, float] = {}
        self._in_flight: tuple[int, dict[str, jax.Array]] | None = None
        self._backbone = backbone
        self._frozen = None if backbone is None else self._placement.everywhere(backbone.leaves)
        self._rule = agent_of(agent)
        self._state = self._placement.everywhere(self._rule.init(agent, spec, seed, backbone))
        self._critic_updates = 0
        self._actor_updates = 0
        self._restored = False
        privileged = agent.privileged_spec(spec)
        self._joiner = Joiner(spec, privileged=privileged)
        self._cache: FeatureCache | None = None
        if backbone is not None and vision_config is not None and agent.feature_shifts:
            self._cache = FeatureCache(agent, vision_config, backbone, seed)
        self._run = run
        self._online, self._demo = self._buffers(privileged)
        self._arrived: deque[tuple[Row, bool]] = deque()
        self._last_steps: dict[tuple[str, int], int] = {}
        self._judged: dict[tuple[str, int], bool] = {}
        demo_fraction = 1.0 if agent.demos_only else agent.demo_fraction
        self._sampler = SymmetricSampler(self._online, self._demo, demo_fraction, seed)
        self._sampler_state = self._sampler.state()
        self._prefetched: dict[str, Any] | None = None
        self._env_steps = 0
        self._demo_rows = 0
        self._returns = _Returns(agent.discount, agent.reward_bias)
        self._successes = _Successes(agent.decay_episodes)
        self._seed = seed
        self._rate = RateMeter(10.0)
        self._lock = threading.Lock()
        self._checkpoints = (
            learner_checkpoint.LearnerCheckpoints(run, config.keep_checkpoints) if run else None
        )
        self._writer = metrics_writer(run, config.wandb_project) if run else None

    def _buffers(self, privileged: EnvSpec | None) -> tuple[RingBuffer, RingBuffer]:
        """Return the buffers for online rows and for demonstrations, as large as the settings allow."""
        features = self._cache.shapes if self._cache is not None else None
        privileged_size = privileged.policy_state_size if privileged is not None else 0
        layout = Layout.of(self.spec, features, privileged_size)
        capacities = [self.config.replay_capacity, self.config.demo_capacity]
        sizes = [layout.nbytes(capacity) for capacity in capacities]
        budget = int(self.config.replay_gigabytes * 1e9) or sum(sizes)
        if budget < sum(sizes):
            capacities = [layout.capacity_within(budget * size // sum(sizes)) for size in sizes]
        horizon = Horizon(self.agent.n_step, self.agent.discount, self.agent.reward_bias)
        online, demo = (
            RingBuffer(
                self.spec,
                capacity,
                features=features,
                privileged_size=privileged_size,
                horizon=horizon,
                folder=self._replay_folder(),
            )
            for capacity in capacities
        )
        return online, demo

    def _replay_folder(self) -> Path | None:
        if not self.config.replay_folder:
            return None
        if self._run is None:
            raise ConfigError("replay_folder needs a run folder: name one in out")
        folder = (self._run / self.config.replay_folder).resolve()
        if self._run.resolve() not in folder.parents:
            raise ConfigError(f"replay_folder {self.config.replay_folder!r} is not inside the run folder")
        return folder

    def replay_size(self) -> str:
        """Return in words how much the buffers hold and what that takes."""
        online, demo = self._online, self._demo
        return (
            f"replay holds {online.capacity} online and {demo.capacity} demonstration transitions,"
            f" {(online.nbytes + demo.nbytes) / 1e9:.3g} GB when full,"
            f" in {self.config.replay_folder if self.config.replay_folder else 'memory'}"
        )

    def ingest(self, transition: Transition, demo: bool = False) -> int:
        """Take a transition into the buffers; one that is known already changes nothing.

        Args:
            transition: Any order; SchemaError if it does not fit the environment.
            demo: It is a demonstration, recorded before the run.

        Returns:
            How many rows it completed.
        """
        with self._lock:
            known = self._joiner.duplicates
            rows = self._joiner.add(transition)
            if not demo and self._joiner.duplicates == known:
                self._returns.add(transition)
                self._successes.add(transition)
                if transition.last:
                    episode = (transition.env_id, transition.episode_id)
                    self._last_steps[episode] = transition.step
                    if transition.reward_source == HUMAN:  # a resumed run reads what people said meanwhile
                        self._judged[episode] = transition.success
            self._env_steps += 0 if demo else len(rows)
            if self._cache is not None:
                self._arrived.extend((row, demo) for row in rows)
            else:
                self._insert(rows, demo)
            return len(rows)

    def relabel(self, episodes: Mapping[tuple[str, int], bool]) -> int:
        """Put people's words on episodes into effect on the rows held, on the share of successes and on the return.

        See `bag.labels.judged_by_human`.

        May be called with the same words again, and with words on episodes that have not come yet or are no longer
        held. A word that is taken back leaves the rows as they are; a resumed run reads them afresh.

        Args:
            episodes: Success by (env_id, episode_id).

        Returns:
            How many episodes this changed.
        """
        with self._lock:
            news = {
                episode: success
                for episode, success in episodes.items()
                if episode in self._last_steps and self._judged.get(episode) != success
            }
            for episode, success in list(news.items()):
                self._returns.relabel(episode, human_reward(success)[0])
                self._successes.relabel(episode, success)
                place = (episode, self._last_steps[episode], *human_reward(success))
                held = [buffer.relabel(*place) for buffer in (self._online, self._demo)]
                if not any(held):
                    del news[episode]
            self._judged.update(news)
            return len(news)

    def take_in(self, at_least: int = 1) -> None:
        """Compute the features of rows that arrived and put these into the buffers, if it is `at_least` so many.

        Does nothing where no features are cached. Belongs in the thread that learns.
        """
        if self._cache is None or len(self._arrived) < at_least:
            return
        with self._lock:
            arrived, self._arrived = self._arrived, deque()
        rows = self._cache.encode([row for row, _ in arrived])
        with self._lock:
            for row, (_, demo) in zip(rows, arrived, strict=True):
                self._insert([row], demo)

    def _insert(self, rows: list[Row], demo: bool) -> None:
        for row in rows:
            if not demo:
                self._online.insert(row)
            if demo or is_demonstration(row.source):
                self._demo.insert(row)
                self._demo_rows += 1

    @property
    def env_steps(self) -> int:
        """Online rows taken in so far."""
        return self._env_steps

    @property
    def critic_updates(self) -> int:
        """Gradient steps of the critics so far."""
        return self._critic_updates

    @property
    def policy_version(self) -> int:
        """Version of the present policy, from 1; rises with every update of the actor."""
        return self._actor_updates + 1

    def ready(self) -> bool:
        """Return whether `step` may run: enough online rows, and not ahead of the pace; takes in what arrived."""
        self.take_in()
        with self._lock:
            if len(self._online) < min(self.config.min_online, self._online.capacity // 2):
                return False
            if self.agent.demos_only and not len(self._demo):
                return False
            if not self.critic_updates_per_step:
                return True
            trained_on = self._env_steps - self.config.min_online
            return self._critic_updates <= self.critic_updates_per_step * trained_on

    def step_limit(self, sequence: int, environments: int = 1) -> int:
        """Return the highest sequence that an environment may reach, given its latest.

        The pace leaves environments `lead_steps` ahead, so that the two sides never wait for each other. What is
        left they share equally; as one of them may be away, each has at least one step of the lead for itself.

        Args:
            sequence: The environment's latest.
            environments: How many there are.
        """
        if not self.critic_updates_per_step:
            return UNLIMITED
        paid = self.config.min_online + int(self._critic_updates / self.critic_updates_per_step)
        left = paid + max(self.config.lead_steps, environments) - self._env_steps
        return sequence + max(0, left // environments)

    def step(self, now: float) -> None:
        """Do `utd_ratio` critic updates and one of actor and temperature.

        Returns while the arithmetic is under way, one update ahead of it at most: the device always has the next
        one waiting, and the host draws batches meanwhile. SchemaError without any data; SerlError after
        `max_skipped_in_row` calls in a row that skipped an update.

        Args:
            now: A monotonic clock [s], for the rate.
        """
        decay_at = 0.0 if self.agent.demos_only else self.agent.decay_success_rate
        if decay_at:
            with self._lock:
                share = self._successes.share()
            if share >= decay_at:
                self._state = self._state._replace(step_scale=jnp.float32(self.agent.decay_factor))
        batches = self._prefetched if self._prefetched is not None else self._sample()
        batches = self._placement.shared(batches)
        self._state, metrics = self._rule.update(self.agent, self._state, batches, self._frozen)
        self._critic_updates += self.agent.utd_ratio
        self._actor_updates += 1
        self._prefetched = self._sample()
        self._settle()
        self._in_flight = (self._critic_updates, metrics)
        self._rate.add(self.agent.utd_ratio, now)

    @property
    def metrics(self) -> dict[str, float]:
        """The agent's figures after the latest step, by name; waits for its end."""
        self._settle()
        return self._settled

    def _settle(self) -> None:
        """Wait for the update in flight, if any, and take its figures."""
        if self._in_flight is None:
            return
        (number, metrics), self._in_flight = self._in_flight, None
        self._settled = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if self._writer and number // self.agent.utd_ratio % _WRITE_EVERY == 0:
            self._writer.write({f"learner/{name}": value for name, value in self._settled.items()}, number)
        self._count_skipped(int(self._settled.get("skipped", 0)))

    def _count_skipped(self, skipped: int) -> None:
        """End training when updates have been skipped too often in a row, `skipped` being the number so far."""
        self._skipped_in_row = self._skipped_in_row + 1 if skipped > self._skipped else 0
        self._skipped = skipped
        advice = "go on from the last checkpoint with smaller step sizes or max_grad_norm, and look for huge rewards"
        rlpd.end_if_stuck(self._skipped_in_row, self.config.max_skipped_in_row, advice)

    def pretrain(self) -> float:
        """Clone the demonstrations into the actor, and into the image encoder, for `bc_updates` updates.

        A loop that was restored has been through this; all that is left to do is to ask for demonstrations, which
        an agent may need to go on.

        Returns:
            The last loss; NaN where nothing was to be cloned. ConfigError if there are no demonstrations; SerlError
            after `max_skipped_in_row` updates in a row that were skipped, or all that there are.
        """
        cloning = self.agent.bc_updates > 0 and not self._restored
        self.take_in()
        if (cloning or self.agent.needs_demonstrations) and not len(self._demo):
            otherwise = ", or set bc_updates to 0" if self.agent.method == RLPDConfig.method else ""
            raise ConfigError(f"{self.agent.method} needs demonstrations: name a bag in demos{otherwise}")
        if not cloning:
            return float("nan")
        config = self.agent.cloning()
        rng = np.random.default_rng((self._seed, 1))
        state = bc.start(config, *self._rule.to_clone(self._state))
        limit = min(self.config.max_skipped_in_row, config.updates)
        for done in range(0, config.updates, _CLONED_TOGETHER):
            count = min(_CLONED_TOGETHER, config.updates - done)
            with self._lock:
                batches = self._demo.sample((count, config.batch_size), rng)
            if self.actor_config.grippers:
                batches = grasp.split(self.agent, batches)
            state, metrics = bc.update(config, state, batches, self._frozen)
            loss, skipped_in_row = float(metrics["loss"]), int(metrics["skipped_in_row"])
            if skipped_in_row >= limit:
                break
        cloned = self._rule.cloned(self._state, state.actor, state.encoder)
        self._state = cloned._replace(skipped=cloned.skipped + state.skipped)
        self._skipped = int(self._state.skipped)
        rlpd.end_if_stuck(skipped_in_row, limit, "look for huge numbers in the demonstrations")
        return loss

    def warm_up(self) -> None:
        """Compile `step` ahead of the first transition, so that nothing waits for it; changes nothing."""
        batches = self._placement.shared(self._online.blank((self.agent.utd_ratio, self.agent.batch_size)))
        copy = jax.tree.map(lambda leaf: leaf.copy(), self._state)
        jax.block_until_ready(self._rule.update(self.agent, copy, batches, self._frozen))

    def write_metrics(self, values: dict[str, float]) -> None:
        """Add figures of others to the TensorBoard events, at the present number of critic updates."""
        if self._writer:
            self._writer.write(values, self._critic_updates)

    def policy_weights(self, stamp: float) -> PolicyWeights:
        """Return the present policy for publication at `stamp` [s]."""
        leaves = self._rule.actor_leaves(self._state)
        return weights.encode(leaves, self.spec, self.actor_config, self.policy_version, stamp)

    def status(self, phase: str, now: float) -> LearnerStatus:
        """Return the learner's figures.

        Args:
            phase: "waiting", "training", "saving" or "done".
            now: Clock of `step` [s].
        """
        trained_on = max(1, self._env_steps - self.config.min_online)
        nan = float("nan")
        with self._lock:
            return_mean = self._returns.mean()
        return LearnerStatus(
            task=self.spec.task,
            phase=phase,
            env_steps=self._env_steps,
            demo_transitions=self._demo_rows,
            critic_updates=0 if self.agent.demos_only else self._critic_updates,
            actor_updates=self._actor_updates,
            policy_version=self.policy_version,
            update_rate=self._rate.rate(now),
            update_to_data=self._critic_updates / trained_on,
            q_mean=self._settled.get("q_mean", nan),
            return_mean=return_mean,
            entropy=self._settled.get("entropy", nan),
            target_entropy=self.agent.target_entropy(self.actor_config.action_size),
            temperature=self._settled.get("temperature", nan),
            critic_loss=self._settled.get("critic_loss", nan),
            dropped=self._joiner.dropped,
            skipped_updates=self._skipped,
        )

    def save(self, stamp: float) -> None:
        """Begin a checkpoint and return; `close` or a later save waits for its end.

        The buffers are not in it: they are a cache of the bag.
        """
        if not self._checkpoints:
            return
        metadata = {
            "critic_updates": self._critic_updates,
            "actor_updates": self._actor_updates,
            "env_steps": self._env_steps,
            "sampler": self._sampler_state,
        }
        self._checkpoints.save(
            self._critic_updates,
            self._state,
            self.agent,
            self.policy_weights(stamp),
            self.spec,
            metadata,
            self._backbone,
        )

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint; the run's transitions must be taken in again, in the bag's order.

        Args:
            path: A run folder, its checkpoints or one of them; SchemaError if it does not fit.
        """
        self._state, metadata = learner_checkpoint.restore(path, self._state, self.agent, self.spec)
        self._restored = True
        self._critic_updates = int(metadata["critic_updates"])
        self._actor_updates = int(metadata["actor_updates"])
        self._sampler.restore(metadata["sampler"])
        self._sampler_state = self._sampler.state()
        self._skipped, self._skipped_in_row = int(self._state.skipped), 0
        self._prefetched = None
        self._in_flight = None

    def close(self) -> None:
        """Wait for a save that is under way and finish the files."""
        if self._in_flight is not None:
            jax.block_until_ready(self._in_flight)
        if self._checkpoints:
            self._checkpoints.close()
        if self._writer:
            self._writer.close()

    def _sample(self) -> dict[str, Any]:
        with self._lock:
            # A checkpoint must draw the prefetched batches again.
            self._sampler_state = self._sampler.state()
            if self.agent.needs_demonstrations and not len(self._demo):
                raise SchemaError(f"{self.agent.method} needs demonstrations, and there are none yet")
            return self._sampler.sample(self.agent.utd_ratio, self.agent.batch_size)


class _Returns:
    """Discounted return from every step to the episode's end, averaged over steps: what Q should be near."""

    def __init__(self, discount: float, bias: float, episodes: int = 20) -> None:
        self._discount = discount
        self._bias = bias
        self._episodes = episodes
        self._open: dict[tuple[str, int], dict[int, float]] = {}
        self._latest: dict[tuple[str, int], dict[int, float]] = {}

    def add(self, transition: Transition) -> None:
        """Note one step; at the last one the episode counts."""
        key = (transition.env_id, transition.episode_id)
        rewards = self._open.setdefault(key, {})
        rewards[transition.step] = float(transition.reward) + self._bias
        if transition.last:
            self._latest[key] = self._open.pop(key)
            _keep_latest(self._latest, self._episodes)

    def relabel(self, episode: tuple[str, int], reward: float) -> None:
        """Give the last step of an episode another reward."""
        rewards = self._latest.get(episode, {})
        if rewards:
            rewards[max(rewards)] = reward + self._bias

    def mean(self) -> float:
        """Return the average over recent episodes; NaN before the first."""
        means = [self._of(rewards) for rewards in self._latest.values()]
        return sum(means) / len(means) if means else float("nan")

    def _of(self, rewards: dict[int, float]) -> float:
        value, total = 0.0, 0.0
        for step in sorted(rewards, reverse=True):
            value = rewards[step] + self._discount * value
            total += value
        return total / len(rewards)


class _Successes:
    """Share of the latest episodes in which the policy alone succeeded."""

    def __init__(self, episodes: int) -> None:
        self._episodes = episodes
        self._helped: set[tuple[str, int]] = set()
        self._latest: dict[tuple[str, int], bool] = {}

    def add(self, transition: Transition) -> None:
        """Note one step."""
        key = (transition.env_id, transition.episode_id)
        if transition.source == Source.HUMAN:
            self._helped.add(key)
        if transition.last:
            self._latest[key] = transition.success
            for gone in _keep_latest(self._latest, self._episodes):
                self._helped.discard(gone)

    def relabel(self, episode: tuple[str, int], success: bool) -> None:
        """Count an episode as a person judged it."""
        if episode in self._latest:
            self._latest[episode] = success

    def share(self) -> float:
        """Return the share; 0 before there are as many episodes as it is taken of."""
        if len(self._latest) < self._episodes:
            return 0.0
        alone = [success and episode not in self._helped for episode, success in self._latest.items()]
        return sum(alone) / len(alone)


def _keep_latest(by_episode: dict[tuple[str, int], Any], most: int) -> list[tuple[str, int]]:
    """Forget all but the latest episodes; return which."""
    gone = list(by_episode)[: max(0, len(by_episode) - most)]
    for episode in gone:
        del by_episode[episode]
    return gone
