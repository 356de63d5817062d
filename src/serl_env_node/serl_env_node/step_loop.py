# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Episodes, arbitration of human and policy, and the truth of a step. No ROS, no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from serl_core.errors import SchemaError
from serl_core.interfaces import Environment, StepResult
from serl_core.types import (
    Action,
    EpisodeSummary,
    Intervention,
    Observation,
    RewardSignal,
    Source,
    Transition,
)


@dataclass(frozen=True)
class Decision:
    """Whose action is executed: the outcome of arbitration; `action` None means hold."""

    source: Source
    action: np.ndarray | None
    detail: str = ""
    policy_version: int = 0


def arbitrate(
    check: object, observation: Observation, policy: Action | None, intervention: Intervention | None
) -> Decision:
    """Choose the action of a step: an active person overrides the policy; nobody valid means hold.

    Args:
        check: Function that returns a valid action or raises SchemaError (`EnvSpec.check_action`).
        observation: The observation to be answered.
        policy: The policy's answer, if one came; an answer to another observation is stale and not executed.
        intervention: The operator's latest word, if one came; active without data, it asks to hold.
    """
    if intervention is not None and intervention.active:
        if len(intervention.data) == 0:
            return Decision(Source.HOLD, None, f"{intervention.device} in control, its device lost")
        try:
            return Decision(Source.HUMAN, check(intervention.data), intervention.device)  # type: ignore[operator]
        except SchemaError as error:
            return Decision(Source.HOLD, None, f"intervention of {intervention.device} refused: {error}")
    if policy is None:
        return Decision(Source.HOLD, None, "no action in time")
    if (policy.episode_id, policy.step) != (observation.episode_id, observation.step):
        return Decision(Source.HOLD, None, f"stale action (for step {policy.step}, now {observation.step})")
    try:
        return Decision(Source.POLICY, check(policy.data), "", policy.policy_version)  # type: ignore[operator]
    except SchemaError as error:
        return Decision(Source.HOLD, None, f"policy's {error}")


class StepLoop:
    """Runs an environment episode by episode and makes final transitions of its steps.

    Single-threaded: `start_episode` and `step` are called in turn by one thread.

    Args:
        environment: What steps.
        env_id: Name of this run of it.
        judge: Gives the verdict on a step's outcome where another process does; None: the environment does.
    """

    def __init__(
        self,
        environment: Environment,
        env_id: str,
        judge: Callable[[Observation], RewardSignal] | None = None,
    ) -> None:
        self._environment = environment
        self.judge = judge
        self.env_id = env_id
        self.spec = environment.spec
        self.live = environment.live
        self.sequence = 0
        self.observation: Observation | None = None
        self.last_result: StepResult | None = None
        self._episode_id = -1
        self._first: Observation | None = None
        self._transitions: list[Transition] = []
        self._peak_force = 0.0

    def start_episode(self, seed: int | None = None) -> Observation:
        """Reset the environment and return the episode's first observation."""
        state, images = self._environment.reset(seed)
        self._episode_id += 1
        self._first = Observation(self._episode_id, 0, self._environment.time, state, images)
        self.observation = self._first
        self._transitions = []
        self._peak_force = 0.0
        return self._first

    def decide(self, policy: Action | None, intervention: Intervention | None) -> Decision:
        """Arbitrate for the present observation."""
        assert self.observation is not None
        return arbitrate(self.spec.check_action, self.observation, policy, intervention)

    def step(self, decision: Decision, abort: str = "") -> Transition:
        """Execute a decision and return the transition, final.

        Args:
            decision: What to execute; a hold is recorded as the zero action.
            abort: Reason to end the episode with this step (reset asked for, shutdown); it bootstraps.
        """
        assert self.observation is not None and self._first is not None
        result = self._environment.step(decision.action)
        step = self.observation.step
        following = Observation(
            self._episode_id, step + 1, self._environment.time, result.state, result.images
        )
        if self.judge is not None:
            result = _judged(result, self.judge(following))
        self.last_result = result
        source, detail = decision.source, decision.detail
        if result.held:
            source, detail = Source.HOLD, result.held
        executed = decision.action if source is not Source.HOLD else None
        last = result.terminated or result.truncated or bool(abort) or step + 1 >= self.spec.max_steps
        self.sequence += 1
        self._peak_force = max(self._peak_force, result.peak_force)
        transition = Transition(
            task=self.spec.task,
            env_id=self.env_id,
            sequence=self.sequence,
            episode_id=self._episode_id,
            step=step,
            policy_version=decision.policy_version,
            source=source,
            source_detail=detail,
            action=np.zeros(self.spec.action_size, np.float32) if executed is None else executed,
            reward=result.reward.value,
            reward_source=result.reward.source,
            discount=0.0 if result.terminated else 1.0,
            last=last,
            success=result.reward.success,
            next_observation=following,
            first_observation=self._first if step == 0 else None,
        )
        self._transitions.append(transition)
        self._end_reason = result.end_reason or abort or "time_limit"
        self.observation = following
        return transition

    def summary(self) -> EpisodeSummary:
        """Return the figures of the episode whose last transition was just made."""
        assert self._first is not None and self._transitions
        t = self._transitions
        segments = groupby(x.source is Source.HUMAN for x in t)
        interventions = tuple(sum(1 for _ in segment) for human, segment in segments if human)
        return EpisodeSummary(
            task=self.spec.task,
            env_id=self.env_id,
            episode_id=self._episode_id,
            stamp=t[-1].next_observation.stamp,
            steps=len(t),
            undiscounted_return=float(sum(x.reward for x in t)),
            success=t[-1].success,
            duration=t[-1].next_observation.stamp - self._first.stamp,
            human_steps=sum(interventions),
            hold_steps=sum(x.source is Source.HOLD for x in t),
            interventions=len(interventions),
            peak_force=self._peak_force,
            policy_version=max((x.policy_version for x in t), default=0),
            end_reason=self._end_reason,
            ground_truth=None if self.last_result is None else self.last_result.ground_truth,
            intervention_steps=interventions,
            human_at_end=t[-1].source is Source.HUMAN,
        )


def _judged(result: StepResult, verdict: RewardSignal) -> StepResult:
    """Return a step's result with the verdict of another process, whose success ends the task."""
    if not verdict.success:
        return replace(result, reward=verdict)
    return replace(result, reward=verdict, terminated=True, truncated=False, end_reason="success")
