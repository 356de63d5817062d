# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A controller's log as arrays by name, one row per cycle or message (paper Fig. 5), and one row of it as a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from serl_core.types import ControllerState

_POSES = ("measured", "commanded", "smoothed", "clipped")
_SAME = ("twist", "error", "wrench", "external_wrench", "peak_force", "joint_position", "flags", "hold",
         "refused_targets")  # fmt: skip
_UNKNOWN = np.full(6, np.nan)


def to_trace(states: Sequence[ControllerState]) -> dict[str, np.ndarray]:
    """Return states as arrays of n rows; empty for none."""
    if not states:
        return {}
    trace = {"time": np.array([s.stamp for s in states])}
    for name in _POSES:
        poses = np.array([getattr(s, name) for s in states])
        trace[f"{name}_position"], trace[f"{name}_quaternion_xyzw"] = poses[:, :3], poses[:, 3:]
    trace["torque"] = np.array([s.joint_torque for s in states])
    return {**trace, **{name: np.array([getattr(s, name) for s in states]) for name in _SAME}}


def last_state(trace: Mapping[str, np.ndarray], stamp: float, frame_id: str) -> ControllerState:
    """Return the last row of a trace; what the trace does not tell stays unknown."""

    def row(name: str, unknown: np.ndarray) -> np.ndarray:
        return trace[name][-1] if name in trace else unknown

    return ControllerState(
        stamp=stamp,
        frame_id=frame_id,
        **{
            name: np.concatenate([trace[f"{name}_position"][-1], trace[f"{name}_quaternion_xyzw"][-1]])
            for name in _POSES
        },
        **{name: row(name, _UNKNOWN) for name in ("twist", "error", "wrench", "external_wrench")},
        joint_position=row("joint_position", np.zeros(0)),
        joint_torque=row("torque", np.zeros(0)),
        peak_force=float(row("peak_force", np.array(np.nan))),
        flags=int(row("flags", np.array(0))),
        hold=int(row("hold", np.array(0))),
        refused_targets=int(row("refused_targets", np.array(0))),
    )
