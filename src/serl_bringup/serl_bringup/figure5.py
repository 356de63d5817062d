# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The motions of the paper's Fig. 5, made with the task's own arm and controller."""

from __future__ import annotations

import numpy as np

from serl_bringup.tasks import Task
from serl_core.plugins import load
from serl_env_node.config import EnvConfig
from serl_env_node.frames import Pose

Trace = dict[str, np.ndarray]


def reference_limiting_traces(task: Task) -> tuple[Trace, Trace] | None:
    """Push the tool into the board beside the socket, and move it fast through free air, both along z.

    Returns:
        The controller's 1 kHz logs of the contact and of the free-space move; None for a task without an arm.
    """
    config = task.config("env", EnvConfig)
    if config.env_id:
        return None
    arm_class = load(config.arm, "arm")
    arm = arm_class.from_parameters(task.config("env", arm_class.Config))

    def at(x: float, z: float) -> Pose:
        return Pose(arm.goal.position + np.array([x, 0.0, z]), arm.goal.rotation)

    traces = []
    for x, begin, end in ((0.03, 0.02, -0.03), (0.0, 0.03, 0.08)):
        arm.restart(0)
        arm.move(at(x, begin), 1.0)
        arm.track(at(x, begin), 0.5)
        arm.track(at(x, end), 1.0)
        traces.append(arm.trace())
    arm.close()
    return traces[0], traces[1]
