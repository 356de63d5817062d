# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Cartesian impedance control with reference limiting (SERL IV-E): Python bindings of the C++ law."""

from __future__ import annotations

import enum
import statistics

from serl_controllers._law import (
    FLAGS,
    CartesianImpedanceLaw,
    Command,
    ImpedanceGains,
    Output,
    Pose,
    RobotState,
    orientation_error,
    time_updates,
)

__all__ = [
    "CartesianImpedanceLaw",
    "Command",
    "Flag",
    "ImpedanceGains",
    "Output",
    "Pose",
    "RobotState",
    "benchmark_update",
    "orientation_error",
]


class Flag(enum.IntFlag):
    """Bits of ``Output.flags``, as ``enum Flag`` of cartesian_impedance_law.hpp describes them."""

    ERROR_CLIPPED = FLAGS["ERROR_CLIPPED"]
    DAMPING_CLAMPED = FLAGS["DAMPING_CLAMPED"]
    TORQUE_SATURATED = FLAGS["TORQUE_SATURATED"]
    TORQUE_RATE_LIMITED = FLAGS["TORQUE_RATE_LIMITED"]
    HELD_NON_FINITE_TARGET = FLAGS["HELD_NON_FINITE_TARGET"]
    HELD_BAD_QUATERNION = FLAGS["HELD_BAD_QUATERNION"]
    IGNORED_FEED_FORWARD = FLAGS["IGNORED_FEED_FORWARD"]
    HELD_NULLSPACE_POSTURE = FLAGS["HELD_NULLSPACE_POSTURE"]
    BAD_STATE = FLAGS["BAD_STATE"]
    BAD_TIME_STEP = FLAGS["BAD_TIME_STEP"]
    NOT_RESET = FLAGS["NOT_RESET"]


def benchmark_update(iterations: int = 10_000, repeats: int = 51) -> dict[str, float]:
    """Time one update of the law, in C++, with the GIL released.

    Runs ``repeats`` batches of ``iterations`` updates on changing random states and returns the nanoseconds
    of one update (``median_ns``, ``min_ns``, ``max_ns`` over the batches) with the two arguments. Raises
    ValueError if either is below 1.
    """
    nanoseconds = time_updates(iterations, repeats)
    return {
        "median_ns": statistics.median(nanoseconds),
        "min_ns": nanoseconds[0],
        "max_ns": nanoseconds[-1],
        "iterations": iterations,
        "repeats": repeats,
    }
