# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How fast the simulation runs."""

from __future__ import annotations

import time

import numpy as np

from serl_controllers import ImpedanceGains
from serl_sim.lockstep_host import CYCLE_SECONDS, LockstepHost
from serl_sim.scenes.pcb_insertion import build

CYCLES = 100


def benchmark_steps(seconds: float = 5.0) -> dict[str, float]:
    """Time 10 Hz environment steps (100 cycles of physics and law) on one thread, without cameras.

    Half of the time the arm moves freely above the socket, half of it the plug presses on the socket's
    floor and walls, which is the dearest contact that the task has.

    Args:
        seconds: Processor time to spend, > 0 [s]; on a busy machine the wall clock would measure the others.

    Returns:
        free_steps_per_s, contact_steps_per_s, steps_per_s (their harmonic mean: equal numbers of both) and
        real_time_ratio (simulated over processor time).

    Raises:
        ValueError: if `seconds` is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}")
    scene = build()
    host = LockstepHost(scene, ImpedanceGains.compliant())
    goal, orientation = scene.goal_position, scene.goal_quaternion_xyzw
    rng = np.random.default_rng(0)

    def rate(centre: np.ndarray, spread: np.ndarray) -> float:
        host.reset(scene.q_home)
        host.move_to(centre, orientation, 2.0)
        targets = centre + spread * rng.uniform(-1, 1, (64, 3))
        steps, start = 0, time.process_time()
        while (elapsed := time.process_time() - start) < seconds / 2:
            host.step(targets[steps % len(targets)], orientation, CYCLES)
            steps += 1
        return steps / elapsed

    free = rate(goal + np.array([0, 0, 0.05]), np.array([0.01, 0.01, 0.01]))
    contact = rate(goal - np.array([0, 0, 0.003]), np.array([0.002, 0.002, 0.001]))
    mean = 2 / (1 / free + 1 / contact)
    return {
        "free_steps_per_s": free,
        "contact_steps_per_s": contact,
        "steps_per_s": mean,
        "real_time_ratio": mean * CYCLES * CYCLE_SECONDS,
    }
