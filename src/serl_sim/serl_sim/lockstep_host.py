# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Physics and control law of a scene, stepped together at 1 kHz in C++."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serl_controllers import ImpedanceGains
from serl_sim._host import Host, Snapshot
from serl_sim.kinematics import InverseKinematics
from serl_sim.scenes.scene import Scene

CYCLE_SECONDS = 0.001


class LockstepHost:
    """One arm in one scene. The GIL is released while it steps; one thread at a time may use it.

    Each cycle of 1 ms reads the state, updates the impedance law, applies its torques and steps the physics:
    the same sequence of calls after `reset` gives bit-equal results.

    Args:
        scene: What to simulate.
        gains: Of the impedance law; ValueError if it refuses them.
    """

    def __init__(self, scene: Scene, gains: ImpedanceGains) -> None:
        self._host = Host(
            scene.model_bytes(), scene.tcp_site, list(scene.tool_geoms), float(scene.gripper_width), gains
        )
        self._kinematics = InverseKinematics(scene.model, scene.tcp_site)
        self.reset(scene.q_home)

    def reset(self, q: ArrayLike) -> Snapshot:
        """Start at rest at joint positions (7,) [rad], with the law's reference there and time zero."""
        return self._host.reset(np.asarray(q, np.float64))

    def step(
        self, target_position: ArrayLike, target_quaternion_xyzw: ArrayLike, cycles: int = 100,
        feed_forward: ArrayLike | None = None,
    ) -> Snapshot:  # fmt: skip
        """Command a pose of the tcp, base axes, for some cycles.

        A target that is not finite, or whose quaternion has not unit length, is held by the law and flagged.
        """
        wrench = np.zeros(6) if feed_forward is None else np.asarray(feed_forward, np.float64)
        return self._host.step(
            np.asarray(target_position, np.float64),
            np.asarray(target_quaternion_xyzw, np.float64),
            cycles,
            wrench,
        )

    def move_to(self, position: ArrayLike, quaternion_xyzw: ArrayLike, duration: float) -> Snapshot:
        """Move the target by minimum jerk from where it is to a pose within `duration` [s]."""
        return self._host.move_to(
            np.asarray(position, np.float64), np.asarray(quaternion_xyzw, np.float64), float(duration)
        )

    def close_gripper(self, close: bool) -> None:
        """Send the gripper off to close or to open; it moves in the cycles that follow. `reset` opens it."""
        self._host.close_gripper(close)

    def solve_ik(
        self, position: ArrayLike, quaternion_xyzw: ArrayLike, q_init: ArrayLike
    ) -> NDArray[np.float64]:
        """Return joint positions (7,) [rad] near `q_init` for a tcp pose; ValueError if out of reach."""
        return self._kinematics.solve(position, quaternion_xyzw, q_init)

    def set_gains(self, gains: ImpedanceGains) -> None:
        """Give the law new gains, to which it glides; ValueError if it refuses them."""
        self._host.set_gains(gains)

    def snapshot(self) -> Snapshot:
        """Return the state after the last cycle."""
        return self._host.snapshot()

    def trace(self) -> dict[str, NDArray]:
        """Return the 1 kHz log of the last `step` or `move_to`, as the paper's Fig. 5 needs it.

        Arrays of n rows by name: time, flags,
        {measured,commanded,smoothed,clipped}_{position,quaternion_xyzw},
        error, wrench, external_wrench, torque.
        """
        return self._host.trace()

    @property
    def time(self) -> float:
        """Simulated time since `reset` [s]."""
        return self._host.time

    @property
    def qpos(self) -> NDArray[np.float64]:
        """Positions of all joints of the model, for rendering."""
        return self._host.qpos
