# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Forward kinematics of a leader arm from its URDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError, suggest


@dataclass(frozen=True)
class Joint:
    """One joint: where it sits in its parent link, and how it moves there.

    Attributes:
        position: (3,) of the joint in the parent link [m].
        rotation: Orientation of the joint in the parent link.
        axis: (3,) unit vector in the joint's own axes.
        kind: "revolute", "prismatic" or "fixed".
    """

    name: str
    position: np.ndarray
    rotation: Rotation
    axis: np.ndarray
    kind: str


class KinematicChain:
    """The joints from a base link to a tip link."""

    def __init__(self, joints: tuple[Joint, ...]) -> None:
        self.joints = joints
        self.moving = tuple(joint.name for joint in joints if joint.kind != "fixed")

    @staticmethod
    def from_urdf(text: str, base: str, tip: str) -> KinematicChain:
        """Read the chain from a URDF; ConfigError where there is no such chain of known joints."""
        try:
            robot = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise ConfigError(f"leader_urdf is not a URDF: {error}") from None
        above = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}  # type: ignore[union-attr]
        links = [link.get("name") for link in robot.findall("link")]
        joints: list[Joint] = []
        link = tip
        while link != base:
            if link not in above:
                wrong = base if tip in links else tip
                raise ConfigError(
                    f"leader_urdf has no chain from {base!r} to {tip!r}{suggest(wrong, filter(None, links))}"
                )
            joints.insert(0, _joint(above[link]))
            link = above[link].find("parent").get("link")  # type: ignore[union-attr, assignment]
        return KinematicChain(tuple(joints))

    def tip_pose(self, positions: Mapping[str, float]) -> np.ndarray:
        """Return the tip's pose in the base (7,): position [m] and quaternion xyzw.

        Args:
            positions: Joint positions by name [rad, m]; ConfigError names those that are missing.
        """
        missing = [name for name in self.moving if name not in positions]
        if missing:
            raise ConfigError(
                f"leader's joint states lack {', '.join(missing)}: they name {', '.join(positions)}"
            )
        place, turn = np.zeros(3), Rotation.identity()
        for joint in self.joints:
            place = place + turn.apply(joint.position)
            turn = turn * joint.rotation
            if joint.kind == "revolute":
                turn = turn * Rotation.from_rotvec(joint.axis * positions[joint.name])
            elif joint.kind == "prismatic":
                place = place + turn.apply(joint.axis * positions[joint.name])
        return np.concatenate([place, turn.as_quat()])


def _joint(element: ElementTree.Element) -> Joint:
    name, kind = element.get("name", ""), element.get("type", "")
    kind = "revolute" if kind == "continuous" else kind
    if kind not in ("revolute", "prismatic", "fixed"):
        raise ConfigError(
            f"leader_urdf: joint {name} is {kind}; only revolute, prismatic and fixed ones are known"
        )
    origin, axis = element.find("origin"), element.find("axis")

    def numbers(of: ElementTree.Element | None, attribute: str, default: str) -> np.ndarray:
        return np.array((default if of is None else of.get(attribute, default)).split(), float)

    direction = numbers(axis, "xyz", "1 0 0")
    return Joint(
        name=name,
        position=numbers(origin, "xyz", "0 0 0"),
        rotation=Rotation.from_euler("xyz", numbers(origin, "rpy", "0 0 0")),
        axis=direction / np.linalg.norm(direction),
        kind=kind,
    )
