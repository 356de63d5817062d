# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of a run and of this package's nodes. A task's numbers are in its run.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from serl_actor.intervention.config import DEVICES
from serl_core.parameters import parameter

INTERVENTIONS = ("none", "scripted", *DEVICES)
"""Who may take over: nobody, the scripted operator, or a person with a device."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of `./serl run`; names may be given to `--set` as run.NAME."""

    demos: int = parameter(20, "successful demonstrations to record before training (paper: 20)", 0, 100_000)
    bc_demos: int = parameter(100, "demonstrations for behaviour cloning (paper: 100)", 1, 100_000)
    train_minutes: float = parameter(18.0, "longest training on the wall clock [min]", 0.01, 100_000.0)
    robots: int = parameter(
        1, "robots that train one policy side by side, each in a simulation of its own", 1, 64
    )
    max_env_steps: int = parameter(30_000, "environment steps after which training ends", 1, 1_000_000_000)
    stop_after_successes: int = parameter(
        100,
        "training ends after this many successful episodes in a row without intervention; 0: never early",
        0,
        100_000,
    )
    intervention: str = parameter(
        "none",
        "who may take over in training: none; scripted, the operator of the demonstrations, where the policy fails;"
        " or a person with this device, in real time",
        choices=INTERVENTIONS,
    )
    eval_episodes: int = parameter(100, "evaluation trials (paper: 100)", 1, 1_000_000)
    eval_actions: str = parameter(
        "mean",
        "how the policy acts in evaluation: mean, its mean action; sampled, as in training and in HIL-SERL's own code",
        choices=("mean", "sampled"),
    )


@dataclass(frozen=True)
class LifecycleManagerConfig:
    """Settings of the lifecycle manager; names are ROS parameter names."""

    nodes: tuple[str, ...] = parameter((), "lifecycle nodes in start order; taken down in reverse")
    heartbeat_timeout_s: float = parameter(
        10.0, "silence on /diagnostics after which a node counts as lost [s]", 1.5, 600.0
    )
    bring_up_timeout_s: float = parameter(600.0, "longest start of each node [s]", 1.0, 3600.0)
    take_down_timeout_s: float = parameter(3.0, "longest wait for all nodes together to stop [s]", 0.1, 600.0)
    max_episodes: int = parameter(
        0, "take the nodes down once so many episodes have ended and are on disk; 0: never", 0, 1_000_000
    )
    max_successes: int = parameter(
        0, "take the nodes down once so many episodes have succeeded and are on disk; 0: never", 0, 1_000_000
    )


@dataclass(frozen=True)
class MarkersConfig:
    """Settings of the markers node; names are ROS parameter names."""

    state_topic: str = parameter("cartesian_impedance_controller/state", "serl_msgs/ControllerState to draw")
    goal_position: tuple[float, ...] = parameter(
        (), "taught goal in the base [m]; empty: not drawn", -2.0, 2.0
    )
    box_low: tuple[float, ...] = parameter(
        (), "lowest corner of the safety box relative to the goal [m]", -2.0, 2.0
    )
    box_high: tuple[float, ...] = parameter(
        (), "highest corner of the safety box relative to the goal [m]", -2.0, 2.0
    )
    base_frame: str = parameter("base", "frame of the poses")
