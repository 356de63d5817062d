# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of the learner and recorder nodes; the agent's own are in `agents`."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of the learner node; names are ROS parameter names."""

    out: str = parameter(
        "", "run folder: bag, checkpoints and TensorBoard events go there; a run there is continued"
    )
    agent: str = parameter(
        "rlpd",
        "what learns: RLPD, HG-DAgger (cloning of corrections), residual RL, IBRL, or DAPG",
        choices=("rlpd", "hg_dagger", "residual", "ibrl", "dapg"),
    )
    demos: str = parameter("", "bag of demonstrations for the demo buffer; empty: none")
    robots: tuple[str, ...] = parameter(
        (), "namespaces of the robots that feed it and get its policy; empty: one robot, in its own namespace"
    )
    seed: int = parameter(0, "seed of networks and sampling", 0, 2**31 - 1)
    pace: bool = parameter(
        True,
        "hold utd_ratio critic updates per online transition by limiting who is ahead; off: nobody waits",
    )
    publish_updates: int = parameter(8, "publish the policy after this many update calls", 1, 1_000_000)
    checkpoint_minutes: float = parameter(2.0, "save the learner's state this often [min]", 0.01, 10_000.0)


@dataclass(frozen=True)
class RecorderConfig:
    """Settings of the recorder; names are ROS parameter names."""

    bag: str = parameter("", "folder of the rosbag2 bag to write")
