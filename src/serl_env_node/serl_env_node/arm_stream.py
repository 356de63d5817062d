# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""An arm seen through its controller's states: waiting by the controller's stamps, and when to give up. No ROS."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from serl_core.errors import SerlError
from serl_core.types import ControllerState
from serl_env_node.frames import Pose

HOLDS = {
    1: "no target has reached it since it was activated",
    2: "its targets stopped coming",
    3: "the target was not finite",
    4: "the target's quaternion had not unit length",
    5: "the target was not in the base frame",
    6: "the target was too old when it came: clocks apart, or a slow network",
    7: "the target was too far from the tool",
    8: "the target was outside of the controller's safety box",
}
"""Why a controller holds, by `serl_msgs/ControllerState` HOLD_*."""

LATE = {1, 2, 6}
"""Those that say that targets were late; the others say that they were wrong."""

SETTLE_SECONDS = 0.25
"""How long a controller may hold for want of targets while they are being sent: they are on their way."""

ROUNDING_SECONDS = 1e-6
"""A state this much early is the one waited for: sums of periods are rounded."""

LOG_STATES = 20_000
"""States kept between two steps: 20 s of a controller that publishes each of its cycles."""


class Halted(SerlError):
    """A wait or a motion was ended because the environment was told to stop."""


class ArmStream:
    """Latest states of a controller.

    `put` and `put_wrench` belong to the receiving thread, `halt` to any, everything else to the stepping thread.
    All times called stamps are the controller's: waiting works at any speed of a simulation, and in real time.

    Args:
        send: Sends a target X_BT, stamped with the controller's clock [s].
        period: Targets are sent this often on the controller's clock, the same one again as a heartbeat [s].
        timeout: States, and wrenches once one has come, may be missing for this long on the wall clock [s].
        base_frame: The `frame_id` that states must have.
        now: The wall clock [s], monotonic.
    """

    def __init__(
        self,
        send: Callable[[Pose, float], None],
        period: float,
        timeout: float,
        base_frame: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._period = period
        self._timeout = timeout
        self._base_frame = base_frame
        self._now = now
        self._changed = threading.Condition()
        self._latest: ControllerState | None = None
        self._arrived = -math.inf
        self._holds_since: float | None = None
        self._sends_since = self._last_sent = -math.inf
        self._log: deque[ControllerState] = deque(maxlen=LOG_STATES)
        self._wrench: np.ndarray | None = None
        self._wrench_arrived = -math.inf
        self._peak = 0.0
        self._halted = False
        self.received = 0
        self.fault = ""

    def put(self, state: ControllerState) -> None:
        """Take in a state; one with a NaN in its pose is a fault, one older than the last a fault too."""
        with self._changed:
            if state.frame_id != self._base_frame:
                self._give_up(f"the controller's base is {state.frame_id!r}, expected {self._base_frame!r}")
            elif not (np.isfinite(state.measured).all() and np.isfinite(state.twist).all()):
                self._give_up("the controller measures a pose that is not finite")
            elif self._latest is not None and state.stamp < self._latest.stamp:
                self._give_up("the controller's clock went back: was it restarted?")
            self._latest = state
            self._arrived = self._now()
            if not state.hold:
                self._holds_since = None
            elif self._holds_since is None:
                self._holds_since = state.stamp
            self._log.append(state)
            if math.isfinite(state.peak_force):
                self._peak = max(self._peak, state.peak_force)
            self.received += 1
            self._changed.notify_all()

    def put_wrench(self, F_E: np.ndarray) -> None:
        """Take in an external wrench (6,) on the tool at E in tcp axes, from another sensor than the controller's.

        From the first one on they must keep coming: a sensor that falls silent is a fault.
        """
        with self._changed:
            self._wrench_arrived = self._now()
            self._wrench = F_E
            force = float(np.linalg.norm(F_E[:3]))
            if math.isfinite(force):
                self._peak = max(self._peak, force)

    @property
    def wrench(self) -> np.ndarray | None:
        """Last wrench given to `put_wrench`."""
        return self._wrench

    def halt(self) -> None:
        """End motions and waits for a controller with `Halted`, for good; a step that has begun is finished."""
        with self._changed:
            self._halted = True
            self._changed.notify_all()

    def forget(self) -> None:
        """Start anew: no state, no fault, no peak."""
        with self._changed:
            self._latest, self._arrived, self._peak, self._wrench = None, -math.inf, 0.0, None
            self._log.clear()
            self._holds_since, self._last_sent = None, -math.inf
            self.fault = ""

    def forgive(self) -> None:
        """Forget a fault, and that there were wrenches: motions go on without them until one comes again."""
        with self._changed:
            self.fault, self._wrench = "", None

    def latest(self, patience: float = 0.0) -> ControllerState:
        """Return the last state; SerlError if there is none within `patience` [s] of the wall clock."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._latest is not None or self._halted, patience):
                raise SerlError(
                    f"no state from the controller within {patience:.1f} s: is it active, and its topic reachable?"
                )
            if self._latest is None:
                raise Halted("halted")
            return self._latest

    @property
    def last(self) -> ControllerState | None:
        """The last state, if there is one."""
        return self._latest

    @property
    def age(self) -> float:
        """Seconds on the wall clock since the last state came."""
        return self._now() - self._arrived

    def check(self) -> str:
        """Return why the arm cannot go on, "" while it can; a fault stays until `forget`."""
        if self._latest is not None and self.age > self._timeout:
            self._give_up(f"no state from the controller for {self.age:.2f} s")
        if self._wrench is not None and (silence := self._now() - self._wrench_arrived) > self._timeout:
            self._give_up(
                f"no external wrench for {silence:.2f} s: is its publisher alive, its topic reachable?"
            )
        return self.fault

    def heed_halt(self) -> None:
        """Raise `Halted` if told to stop."""
        if self._halted:
            raise Halted("halted")

    def follow(self, path: Callable[[float], Pose], until: float, motion: bool = False) -> None:
        """Send targets along a path and wait, both by the controller's stamps, until a time or a fault.

        Args:
            path: Target X_BT at a stamp [s].
            until: Stamp at which to return [s].
            motion: `halt` ends it.
        """
        began = self.latest().stamp
        while True:
            if motion:
                self.heed_halt()
            state = self.latest()
            done = state.stamp >= until - ROUNDING_SECONDS
            if self._refused(state, began, done):
                self._give_up(f"the controller holds: {HOLDS.get(state.hold, f'reason {state.hold}')}")
            if self.check() or done:
                return
            if state.stamp - self._last_sent > SETTLE_SECONDS:
                self._sends_since = state.stamp
            self._last_sent = state.stamp
            self._send(path(state.stamp), state.stamp)
            self._await(min(until, state.stamp + self._period))

    def take_log(self) -> list[ControllerState]:
        """Return the states that came since the last call."""
        with self._changed:
            states = list(self._log)
            self._log.clear()
            return states

    def peak(self, take: bool) -> float:
        """Return the largest external force since it was last taken [N]."""
        with self._changed:
            peak = self._peak
            if take:
                self._peak = 0.0
            return peak

    def _refused(self, state: ControllerState, began: float, done: bool) -> bool:
        """Whether a hold means that the arm will not follow: a wrong target soon, late ones not at once."""
        if not state.hold:
            return False
        if state.hold in LATE:
            since = state.stamp if self._holds_since is None else self._holds_since
            return state.stamp - max(since, self._sends_since) > SETTLE_SECONDS
        return done or state.stamp - began > SETTLE_SECONDS

    def _await(self, stamp: float) -> None:
        """Wait for a state of at least this stamp, no longer than one period on the wall clock."""

        with self._changed:
            self._changed.wait_for(
                lambda: self._latest is not None and self._latest.stamp >= stamp - ROUNDING_SECONDS,
                self._period,
            )

    def _give_up(self, reason: str) -> None:
        self.fault = self.fault or reason


def minimum_jerk(X_BA: Pose, X_BC: Pose, began: float, seconds: float) -> Callable[[float], Pose]:
    """Return the straight path from A at `began` to C `seconds` later, with minimum jerk (Flash and Hogan, 1985).

    Position and rotation share one time law; the rotation is about one axis, the short way.
    """
    turn = (X_BA.rotation.inv() * X_BC.rotation).as_rotvec()

    def at(stamp: float) -> Pose:
        t = min(1.0, max(0.0, (stamp - began) / seconds))
        s = t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
        position = X_BA.position + s * (X_BC.position - X_BA.position)
        return Pose(position, X_BA.rotation * Rotation.from_rotvec(s * turn))

    return at
