# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What to draw of a controller's state and of a task, as plain shapes. No ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serl_core.types import ControllerState, EpisodeSummary

Colour = tuple[float, float, float, float]

POSE_COLOURS: dict[str, Colour] = {
    "commanded": (0.2, 0.5, 1.0, 0.9),
    "smoothed": (1.0, 0.8, 0.1, 0.9),
    "clipped": (0.2, 0.9, 0.3, 0.9),
}
HELD: Colour = (1.0, 0.1, 0.1, 0.9)
BOX: Colour = (0.6, 0.6, 0.9, 0.15)
GOAL: Colour = (1.0, 0.3, 1.0, 0.8)
FORCE: Colour = (1.0, 0.4, 0.0, 1.0)
WHITE: Colour = (1.0, 1.0, 1.0, 1.0)
IDENTITY_XYZW = (0.0, 0.0, 0.0, 1.0)

METRES_PER_NEWTON = 0.005
LEAST_FORCE = 0.5
"""Below this the arrow of the force is not drawn [N]."""


@dataclass(frozen=True)
class Shape:
    """One marker in the base frame.

    Attributes:
        group, number: Identify it; a later shape replaces an earlier of the same.
        kind: "axes", "sphere", "box", "arrow" or "text".
        position: (3,) [m]; of an arrow, its tail.
        quaternion_xyzw: Orientation of axes and boxes.
        size: (3,) [m]; of an arrow, the vector from tail to tip; of axes and text, the length first.
        colour: Red, green, blue, opacity in [0, 1].
        text: Of a text.
    """

    group: str
    number: int
    kind: str
    position: tuple[float, ...]
    size: tuple[float, ...]
    colour: Colour
    quaternion_xyzw: tuple[float, ...] = IDENTITY_XYZW
    text: str = ""


def of_controller(state: ControllerState) -> list[Shape]:
    """Return the commanded, smoothed and clipped targets, red where the controller holds, and the force."""
    shapes = []
    for number, (name, colour) in enumerate(POSE_COLOURS.items()):
        pose = getattr(state, name)
        shown = HELD if state.hold and name == "commanded" else colour
        at, turned_xyzw = tuple(pose[:3]), tuple(pose[3:])
        shapes.append(Shape("targets", 2 * number, "sphere", at, (0.006,) * 3, shown))
        shapes.append(Shape("targets", 2 * number + 1, "axes", at, (0.03, 0.0, 0.0), shown, turned_xyzw))
    force = state.external_wrench[:3]
    if np.isfinite(force).all() and np.linalg.norm(force) > LEAST_FORCE:
        vector = tuple(METRES_PER_NEWTON * force)
        shapes.append(Shape("force", 0, "arrow", tuple(state.measured[:3]), vector, FORCE))
    return shapes


def of_task(goal: tuple[float, ...], box_low: tuple[float, ...], box_high: tuple[float, ...]) -> list[Shape]:
    """Return the goal and the safety box around it, as far as they are given."""
    if len(goal) != 3:
        return []
    shapes = [Shape("task", 0, "sphere", tuple(goal), (0.008,) * 3, GOAL)]
    if len(box_low) == 3 and len(box_high) == 3:
        low, high = np.array(box_low), np.array(box_high)
        shapes.append(Shape("task", 1, "box", tuple(goal + (low + high) / 2), tuple(high - low), BOX))
    return shapes


def of_episodes(last: EpisodeSummary, successes: int, episodes: int, at: tuple[float, ...]) -> Shape:
    """Return a line of text about the last episode and all so far."""
    text = (
        f"episode {last.episode_id}: {last.end_reason}, {last.duration:.1f} s, {last.peak_force:.0f} N\n"
        f"{successes} of {episodes} succeeded, policy {last.policy_version}"
    )
    return Shape("episode", 0, "text", at, (0.02, 0.0, 0.0), WHITE, text=text)
