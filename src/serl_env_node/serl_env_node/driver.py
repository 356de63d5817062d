# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The clock of the loop: asks, waits no longer than allowed, steps, sends. ROS-free; time is injected."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from serl_core.errors import ConfigError, SerlError
from serl_core.types import (
    Action,
    EpisodeSummary,
    Intervention,
    Observation,
    RewardSignal,
    Transition,
    TransitionAck,
)
from serl_env_node.config import EnvConfig
from serl_env_node.operator_floor import OperatorFloor
from serl_env_node.outbox import WINDOW, Outbox
from serl_env_node.step_loop import StepLoop
from serl_reward.awaited import AwaitedReward

M = TypeVar("M")

ASK_AGAIN_SECONDS = 0.25
"""When not in real time, an unanswered observation is published again after this long: an actor may have started
late or restarted, and an answer given twice is harmless."""


FLOOR_SECONDS = 1.0
"""An operator who had the arm and has been silent for this long is gone, and others are heard again."""

OPERATOR_SHARE = 0.5
"""In real time, the share of `action_timeout_s` for which an operator's word on the observation is awaited."""


class Mailbox:
    """Latest action and intervention, handed from the receiving thread to the stepping thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._action: Action | None = None
        self._intervention: tuple[Intervention, float] | None = None

    def put_action(self, action: Action) -> None:
        """Store a policy's action."""
        with self._changed:
            self._action = action
            self._changed.notify_all()

    def put_intervention(self, intervention: Intervention, now: float) -> None:
        """Store an operator's word with its time of arrival [s]."""
        with self._changed:
            self._intervention = (intervention, now)
            self._changed.notify_all()

    def wake(self) -> None:
        """Make `wait` look again."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, enough: Callable[[], bool], timeout: float) -> bool:
        """Wait until `enough` holds; False when it does not within `timeout` [s]."""
        with self._changed:
            return self._changed.wait_for(enough, timeout)

    def action_for(self, observation: Observation) -> Action | None:
        """Return the action that answers this observation, if it has come."""
        action = self._action
        if action is not None and (action.episode_id, action.step) == (
            observation.episode_id,
            observation.step,
        ):
            return action
        return None

    def intervention_for(self, observation: Observation) -> Intervention | None:
        """Return the operator's word on this very observation, if it has come."""
        if self._intervention is None:
            return None
        word = self._intervention[0]
        return word if (word.episode_id, word.step) == (observation.episode_id, observation.step) else None

    def recent_intervention(
        self, observation: Observation, now: float, max_age: float
    ) -> Intervention | None:
        """Return the operator's latest word if it is of the observation's episode and no older than `max_age` [s].

        A word of another episode asks for motion from where the arm was then.
        """
        if self._intervention is None or now - self._intervention[1] > max_age:
            return None
        word = self._intervention[0]
        return word if word.episode_id == observation.episode_id else None


@dataclass
class Outlets(Generic[M]):
    """Where the driver's results go; `encode` makes the item that the outbox keeps and `transition` sends.

    `observation` is to be answered; `final`, an episode's last, is not, and goes out for those who look on.
    """

    observation: Callable[[Observation], None]
    final: Callable[[Observation], None]
    encode: Callable[[Transition], M]
    transition: Callable[[M], None]
    episode: Callable[[EpisodeSummary], None]
    stepped: Callable[[StepLoop], None]


class EnvDriver(Generic[M]):
    """Runs the step loop until told to stop.

    `run` belongs to one thread; `put_action`, `put_intervention`, `acknowledge`, `ask_reset` and `stop` may be
    called from another.
    """

    def __init__(
        self, loop: StepLoop, config: EnvConfig, outlets: Outlets[M], awaited: AwaitedReward | None = None
    ) -> None:
        """Take over the loop; `awaited` is where another process's verdicts arrive, None if there is none.

        ConfigError where a verdict may be awaited for longer than real time allows.
        """
        self._loop = loop
        self._awaited = awaited
        self._asked: tuple[tuple[int, int], float] | None = None
        self._config = config
        if awaited is not None:
            loop.judge = self._judge
            if self.real_time and awaited.timeout_s > self._period:
                raise ConfigError(
                    f"reward_timeout_s: {awaited.timeout_s:g} s exceeds the period of {self._period:g} s, and in real"
                    " time no step waits longer for a verdict"
                )
        self._outlets = outlets
        self._mailbox = Mailbox()
        self._floor = OperatorFloor(FLOOR_SECONDS)
        self._outbox: Outbox[M] = Outbox()
        self._outbox_lock = threading.Lock()
        self._sending = False
        self._stop = threading.Event()
        self._reset_asked = threading.Event()
        self._reset_seed: int | None = None
        self.waiting_for = ""
        self.episodes = 0
        self.successes = 0
        self.late_steps = 0

    @property
    def real_time(self) -> bool:
        """Whether steps follow a clock that waits for nobody: the wall's, or a live environment's own."""
        return self._config.real_time_factor > 0.0 or self._loop.live

    @property
    def _period(self) -> float:
        """Duration of a step on the wall's clock [s], where steps follow it."""
        return self._loop.spec.step_seconds / (self._config.real_time_factor or 1.0)

    # From other threads.

    def put_action(self, action: Action) -> None:
        """Deliver a policy's action."""
        self._mailbox.put_action(action)

    def put_intervention(self, intervention: Intervention) -> None:
        """Deliver an operator's word; while one operator has the arm, the others are not heard."""
        now = time.monotonic()
        word = self._floor.admit(intervention, now)
        if word is not None:
            self._mailbox.put_intervention(word, now)

    def acknowledge(self, ack: TransitionAck) -> None:
        """Forget what is on disk and send what is due; SerlError where another receiver's log is missed."""
        if ack.env_id != self._loop.env_id:
            return
        with self._outbox_lock:
            self._outbox.acknowledge(ack, time.monotonic())
        self._send_due()
        self._mailbox.wake()

    def ask_reset(self, seed: int | None) -> None:
        """End the present episode with the next step and start another."""
        self._reset_seed = seed
        self._reset_asked.set()
        self._mailbox.wake()

    def stop(self) -> None:
        """Make `run` return after the present step."""
        self._stop.set()
        if self._awaited is not None:
            self._awaited.verdicts.close()
        self._mailbox.wake()

    @property
    def unacknowledged(self) -> int:
        """Transitions sent and not yet on disk."""
        with self._outbox_lock:
            return len(self._outbox)

    @property
    def ignored_interventions(self) -> int:
        """Take-over words that were not heeded, because another operator had the arm."""
        return self._floor.ignored

    # The stepping thread.

    def run(self) -> None:
        """Run episodes until `stop`, or until the number asked for; then wait until all is on disk."""
        try:
            self._run_episodes()
        except SerlError:
            if not self._stop.is_set():  # a live arm that is told to stop cuts its motion short
                raise
        while not self._stop.is_set() and self.unacknowledged:  # what was sent must reach the disk
            self._stop.wait(0.5)
            self._repeat_lost()

    def _run_episodes(self) -> None:
        episodes, successes = self._config.max_episodes or math.inf, self._config.max_successes or math.inf
        while not self._stop.is_set() and self.episodes < episodes and self.successes < successes:
            self._reset_asked.clear()  # before the seed is taken: a wish that comes in between is not lost
            seed, self._reset_seed = self._reset_seed, None
            if not self._wait_for_clearance():
                return
            self._loop.start_episode(seed)
            self.successes += self._run_episode()
            self.episodes += 1

    def _run_episode(self) -> bool:
        """Run one episode to its end; True if it succeeded."""
        due = time.monotonic()
        while True:
            if self._loop.live:
                due = time.monotonic()  # its last step returned when the period was over
            if not self.real_time and not self._wait_for_clearance():
                abort = "stopped"
            else:
                abort = "stopped" if self._stop.is_set() else ""
            action, word = (None, None) if abort else self._ask(due)
            if self._stop.is_set():
                abort = "stopped"
            elif self._reset_asked.is_set():
                abort = "reset"
            transition = self._loop.step(self._loop.decide(action, word), abort)
            item = self._outlets.encode(transition)
            with self._outbox_lock:
                self._outbox.add(transition.sequence, item)
            self._send_due(1)  # a step does not wait for what an earlier one left
            # Where a verdict was awaited, it has gone out for that.
            if transition.last and self._awaited is None:
                self._outlets.final(transition.next_observation)
            self._outlets.stepped(self._loop)
            if self.real_time and not self._loop.live:
                due += self._period
                rest = due - time.monotonic()
                if rest > 0.0:
                    self._stop.wait(rest)
                else:
                    self.late_steps += 1
                    due = time.monotonic()
            if transition.last:
                self._outlets.episode(self._loop.summary())
                return transition.success

    def _wait_for_clearance(self) -> bool:
        """Wait until the receiver keeps up: memory is bounded, and the pace holds the update-to-data ratio."""

        def clear() -> bool:
            with self._outbox_lock:
                room = len(self._outbox) < self._config.max_unacknowledged
                in_pace = self.real_time or self._loop.sequence < self._outbox.step_limit
                # On hardware too, nothing begins before somebody keeps what it brings.
                heard = self._outbox.heard or not self._loop.live
            return self._stop.is_set() or (room and in_pace and heard)

        self.waiting_for = "receiver of transitions"
        while not self._mailbox.wait(clear, 0.5):
            self._repeat_lost()
        self.waiting_for = ""
        return not self._stop.is_set()

    def _repeat_lost(self) -> None:
        """Send again what seems lost, be it only its acknowledgement."""
        with self._outbox_lock:
            self._outbox.repeat_if_lost(time.monotonic())
        self._send_due()

    def _send_due(self, most: int = WINDOW) -> None:
        """Send what is due, `most` items of it; one thread at a time does, so that they leave in order."""
        with self._outbox_lock:
            if self._sending:
                return
            self._sending = True
        for _ in range(most):
            with self._outbox_lock:
                item = self._outbox.take()
                self._sending = item is not None
            if item is None:
                return
            self._outlets.transition(item)
        with self._outbox_lock:
            self._sending = False

    def _judge(self, observation: Observation) -> RewardSignal:
        """Publish an observation, so that reward and policy can work on it at once; return the verdict."""
        assert self._awaited is not None
        self._asked = ((observation.episode_id, observation.step), time.monotonic())
        self._outlets.observation(observation)
        return self._awaited.await_verdict(observation.episode_id, observation.step)

    def _ask(self, now: float) -> tuple[Action | None, Intervention | None]:
        """Publish the observation and wait for who must answer, no longer than the deadline in real time.

        There an operator's latest word of the episode, while it is valid, stands in for one on this observation.
        """
        c, box, observation = self._config, self._mailbox, self._loop.observation
        assert observation is not None

        def interrupted() -> bool:
            return self._stop.is_set() or self._reset_asked.is_set()

        def answered() -> bool:
            if interrupted():
                return True
            word = box.intervention_for(observation) if c.operator else None
            if word is not None and word.active:
                return True
            return (not c.policy or box.action_for(observation) is not None) and (
                not c.operator or word is not None
            )

        def heard() -> bool:
            return interrupted() or not c.operator or box.intervention_for(observation) is not None

        def valid_word() -> Intervention | None:
            if not c.operator:
                return None
            return box.recent_intervention(
                observation, time.monotonic(), c.action_timeout_s + 1.0 / c.rate_hz
            )

        def answered_in_time() -> bool:
            word = valid_word()
            return (
                interrupted() or (word is not None and word.active) or box.action_for(observation) is not None
            )

        asked, since = self._asked or ((-1, -1), now)
        if asked != (observation.episode_id, observation.step):
            self._outlets.observation(observation)
        elif self._loop.live:
            now = since  # the verdict's time is part of the action's
        if self.real_time:
            patience = c.action_timeout_s / ((self._loop.live and c.real_time_factor) or 1.0)
            box.wait(heard, max(0.0, now + OPERATOR_SHARE * patience - time.monotonic()))
            box.wait(answered_in_time, max(0.0, now + patience - time.monotonic()))
            return box.action_for(observation), valid_word()
        self.waiting_for = "action" if c.policy else "operator"
        while not box.wait(answered, ASK_AGAIN_SECONDS):
            self._outlets.observation(observation)
        self.waiting_for = ""
        return box.action_for(observation), box.intervention_for(observation) if c.operator else None
