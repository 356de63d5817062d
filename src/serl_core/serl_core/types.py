# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The loop's nouns as plain Python; `codec` turns them into messages and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class Source(IntEnum):
    """Whose action a transition executed; the numbers are those of `serl_msgs/Transition`."""

    POLICY = 0
    HUMAN = 1
    HOLD = 2


@dataclass(frozen=True)
class Observation:
    """What the policy may see at one instant.

    Attributes:
        episode_id: Episode of the environment, from 0.
        step: 0 for the first observation of an episode.
        stamp: The environment's clock [s].
        state: float32 arrays by name, as the EnvSpec says.
        images: uint8 arrays (H, W, 3) by camera.
    """

    episode_id: int
    step: int
    stamp: float
    state: dict[str, np.ndarray]
    images: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """A policy's answer to the observation (episode_id, step); `data` is float32 in [-1, 1]."""

    episode_id: int
    step: int
    policy_version: int
    data: np.ndarray


@dataclass(frozen=True)
class Intervention:
    """A person's wish after seeing (episode_id, step); `data` counts only while `active`."""

    device: str
    episode_id: int
    step: int
    active: bool
    data: np.ndarray


@dataclass(frozen=True)
class RewardSignal:
    """Verdict on an observation.

    Attributes:
        value: Reward of the step that led there.
        success: Whether the task is achieved there.
        source: Name of the reward function.
        probability: Calibrated probability of success; NaN where there is none.
    """

    value: float
    success: bool
    source: str
    probability: float = float("nan")


@dataclass(frozen=True)
class Transition:
    """One final step of an environment; see `serl_msgs/Transition` for every field."""

    task: str
    env_id: str
    sequence: int
    episode_id: int
    step: int
    policy_version: int
    source: Source
    source_detail: str
    action: np.ndarray
    reward: float
    reward_source: str
    discount: float
    last: bool
    success: bool
    next_observation: Observation
    first_observation: Observation | None = None


@dataclass(frozen=True)
class EpisodeSummary:
    """Figures of one finished episode; see `serl_msgs/EpisodeSummary`.

    Attributes:
        success: What the reward said, which ended the episode.
        ground_truth: Whether the task was truly achieved at the end; None where nobody but the reward says.
        intervention_steps: Steps of each intervention, in order.
        human_at_end: Whether the last step was a person's.
    """

    task: str
    env_id: str
    episode_id: int
    stamp: float
    steps: int
    undiscounted_return: float
    success: bool
    duration: float
    human_steps: int
    hold_steps: int
    interventions: int
    peak_force: float
    policy_version: int
    end_reason: str
    ground_truth: bool | None = None
    intervention_steps: tuple[int, ...] = ()
    human_at_end: bool = False

    @property
    def achieved(self) -> bool:
        """Whether the task was achieved, by the best that is known: what an evaluation counts."""
        return self.success if self.ground_truth is None else self.ground_truth

    @property
    def fooled(self) -> bool:
        """Whether the reward said success, and the truth is known and says otherwise."""
        return self.success and self.ground_truth is False


@dataclass(frozen=True)
class TransitionAck:
    """What is on disk, and how far the environment may go; see `serl_msgs/TransitionAck`."""

    env_id: str
    sequence: int
    epoch: int
    resend: bool
    step_limit: int


@dataclass(frozen=True)
class PolicyWeights:
    """Serialised actor leaves; see `serl_msgs/PolicyWeights`."""

    task: str
    fingerprint: str
    version: int
    checksum: str
    data: bytes
    stamp: float = 0.0


@dataclass(frozen=True)
class ControllerState:
    """The control law's view at one cycle; see `serl_msgs/ControllerState`.

    Attributes:
        stamp: The controller's clock [s].
        frame_id: The base B, in whose axes everything is.
        measured, commanded, smoothed, clipped: (7,) position [m] and quaternion xyzw.
        twist: (6,) of E at its own origin [m/s, rad/s].
        error, wrench: (6,) [m, rad], [N, Nm].
        external_wrench: (6,) [N, Nm]; NaN where nothing measures it.
        joint_position, joint_torque: [rad], [Nm]; empty where unknown.
        peak_force: [N].
        flags: Bit mask of the law; 0 is healthy.
        hold: 0 while the target is followed, else why not (`HOLD_*`).
        refused_targets: Since activation.
    """

    stamp: float
    frame_id: str
    measured: np.ndarray
    commanded: np.ndarray
    smoothed: np.ndarray
    clipped: np.ndarray
    twist: np.ndarray
    error: np.ndarray
    wrench: np.ndarray
    external_wrench: np.ndarray
    joint_position: np.ndarray
    joint_torque: np.ndarray
    peak_force: float = 0.0
    flags: int = 0
    hold: int = 0
    refused_targets: int = 0


@dataclass(frozen=True)
class LearnerStatus:
    """The learner's pulse; see `serl_msgs/LearnerStatus`."""

    task: str
    phase: str
    env_steps: int = 0
    demo_transitions: int = 0
    critic_updates: int = 0
    actor_updates: int = 0
    policy_version: int = 0
    update_rate: float = 0.0
    update_to_data: float = 0.0
    q_mean: float = float("nan")
    return_mean: float = float("nan")
    entropy: float = float("nan")
    target_entropy: float = float("nan")
    temperature: float = float("nan")
    critic_loss: float = float("nan")
    dropped: int = 0
    skipped_updates: int = 0
