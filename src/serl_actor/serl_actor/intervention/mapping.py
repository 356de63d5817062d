# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From what a device reads to an action in the frame that the policy uses."""

from __future__ import annotations

import re
from collections import deque
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from serl_actor.intervention.device import Device, Reading
from serl_core.errors import ConfigError, SchemaError, suggest
from serl_core.types import Observation


class Mapping(Protocol):
    """Turns readings of one device into actions of one arm."""

    size: int
    """Number of elements of its actions."""

    def effort(self, reading: Reading) -> float:
        """Return how hard the person pushes the device: 0 at rest, 1 fully."""

    def action(self, reading: Reading, observation: Observation, taken_over: bool) -> np.ndarray:
        """Return a float32 action (size,) in [-1, 1], in the tcp frame.

        Args:
            reading: Present reading.
            observation: What the arm looks like to the person.
            taken_over: The person takes over with this very reading.
        """


def tcp_rotation(observation: Observation, key: str) -> Rotation:
    """Return R_BE, the orientation of the tcp in the base, from the state array `key` (7,): X_BE, xyzw."""
    if key not in observation.state:
        raise ConfigError(
            f"frame base needs the state {key}, which the observation has not: set frame to tcp"
            f"{suggest(key, observation.state)}"
        )
    pose = observation.state[key]
    if pose.shape != (7,) or not np.linalg.norm(pose[3:]) > 0.0:
        raise SchemaError(f"{key}: expected position and quaternion (7 numbers), got {pose}")
    return Rotation.from_quat(pose[3:])


class AxisMapping:
    """Axes of a device as a twist: dead zone, curve, signs and order, scale, frame.

    For a deflection d in [-1, 1], dead zone z, exponent p and scale s: sign(d) s ((|d| - z) / (1 - z))^p, and 0
    within the dead zone. The curve is continuous, so that leaving the dead zone is no jump.

    Args:
        device: Whose axes and buttons are meant.
        axis_map: One entry for each element of the action: an axis or button of the device with its sign, a sum
            of such ("r2-l2"), or "0".
        dead_zone: Deflection that counts as rest, in [0, 1).
        exponent: 1 is linear; larger is finer near the rest.
        scales: Actions for a full deflection: of translation (elements 0 to 2), of rotation (3 to 5) and of
            whatever follows (grippers).
        frame: "base": the device's axes are those of the arm's base; "tcp": they are those of the tool.
        tcp_pose: Name of the state array X_BE; used where `frame` is "base".
    """

    def __init__(
        self,
        device: Device,
        axis_map: tuple[str, ...],
        dead_zone: float = 0.05,
        exponent: float = 1.0,
        scales: tuple[float, float, float] = (1.0, 1.0, 1.0),
        frame: str = "base",
        tcp_pose: str = "tcp_pose",
    ) -> None:
        self.size = len(axis_map)
        if frame == "base" and self.size < 6:
            raise ConfigError(f"axis_map has {self.size} entries, no twist to turn: set frame to tcp")
        self._matrix = np.stack([_signs(entry, device) for entry in axis_map])
        self._used = np.abs(self._matrix).sum(axis=0) > 0
        self._dead_zone = dead_zone
        self._exponent = exponent
        self._scale = np.repeat(scales, (3, 3, max(0, self.size - 6)))[: self.size]
        self._frame = frame
        self._tcp_pose = tcp_pose

    def effort(self, reading: Reading) -> float:
        """Return the largest deflection of the axes in use, 0 within the dead zone; a button in use is 1."""
        return float(np.abs(self._deflection(reading)[self._used]).max(initial=0.0))

    def action(self, reading: Reading, observation: Observation, taken_over: bool = False) -> np.ndarray:
        """Return the twist that the device asks for, in the tcp frame; see `Mapping.action`."""
        action = self._scale * (self._matrix @ self._deflection(reading))
        if self._frame == "base":
            R_EB = tcp_rotation(observation, self._tcp_pose).inv()
            action[:3], action[3:6] = R_EB.apply(action[:3]), R_EB.apply(action[3:6])
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _deflection(self, reading: Reading) -> np.ndarray:
        """Return the axes after dead zone and curve, then the buttons as 0 or 1."""
        beyond = np.maximum(np.abs(reading.axes) - self._dead_zone, 0.0) / (1.0 - self._dead_zone)
        curved = np.sign(reading.axes) * beyond**self._exponent
        return np.concatenate([curved, np.asarray(reading.buttons, float)])


def _signs(entry: str, device: Device) -> np.ndarray:
    """Return the row of signs, over the device's axes and then its buttons, that an entry of an axis map means."""
    names = (*device.axis_names, *device.button_names)
    row = np.zeros(len(names))
    if entry == "0":
        return row
    if not re.fullmatch(r"[+-]?\w+([+-]\w+)*", entry):
        raise ConfigError(f"axis_map: {entry!r} is no sum of signed axes such as -left_y or r2-l2")
    for sign, name in re.findall(r"([+-]?)(\w+)", entry):
        if name not in names:
            raise ConfigError(f"axis_map: {device.name} has no axis {name!r}{suggest(name, names)}")
        row[names.index(name)] = -1.0 if sign == "-" else 1.0
    return row


class LeaderMapping:
    """The arm's target follows a leader arm's motion since the take-over, wherever the two arms stood then.

    The wish is a pose: where the target T was at the take-over, displaced as the leader has been since. An action
    closes a share of what is left of the way there, seen from the observed target; so a lost word, a clipped
    action or a hold delays the arm and displaces nothing. In real time a word may be executed one step after the
    observation that it was made from; a share of one half keeps that loop well damped.

    Args:
        translation_scale, rotation_scale: Displacement of an action of 1 [m, rad], as the environment's.
        motion_scale: Motion of the arm for the same motion of the leader; rotations are followed one to one.
        frame: "base": translations and rotations along the axes of the two bases; "tcp": along those of the tools.
        tcp_pose, target_offset: Names of the state arrays X_BE (7,) and target in tcp frame (6,).
    """

    SHARE = 0.5
    FULL_SPEED = np.array([0.1, 0.5])
    """Speed of the leader that counts as full effort [m/s, rad/s]."""
    EFFORT_SECONDS = 0.2

    def __init__(
        self,
        translation_scale: float,
        rotation_scale: float,
        motion_scale: float = 1.0,
        frame: str = "base",
        tcp_pose: str = "tcp_pose",
        target_offset: str = "target_offset",
    ) -> None:
        self.size = 6
        self._scale = np.repeat([translation_scale, rotation_scale], 3)
        self._motion_scale = motion_scale
        self._frame = frame
        self._keys = (tcp_pose, target_offset)
        self._recent: deque[Reading] = deque()

    def effort(self, reading: Reading) -> float:
        """Return the leader's recent speed as a share of `FULL_SPEED`."""
        recent = self._recent
        if not recent or reading.stamp > recent[-1].stamp:
            recent.append(reading)
        while recent[-1].stamp - recent[0].stamp > self.EFFORT_SECONDS:
            recent.popleft()
        seconds = recent[-1].stamp - recent[0].stamp
        if seconds <= 0.0:
            return 0.0
        way = recent[-1].axes[:3] - recent[0].axes[:3]
        turn = Rotation.from_rotvec(recent[-1].axes[3:]) * Rotation.from_rotvec(recent[0].axes[3:]).inv()
        speed = np.array([np.linalg.norm(way), turn.magnitude()]) / seconds
        return float(min(1.0, np.max(speed / self.FULL_SPEED)))

    def action(self, reading: Reading, observation: Observation, taken_over: bool) -> np.ndarray:
        """Return the twist towards where the leader points; see `Mapping.action`."""
        tcp_pose, target_offset = self._keys
        if target_offset not in observation.state:
            raise ConfigError(f"a leader arm needs the state {target_offset}, which the observation has not")
        R_BE = tcp_rotation(observation, tcp_pose)
        offset = np.asarray(observation.state[target_offset], float)
        p_BT = observation.state[tcp_pose][:3] + R_BE.apply(offset[:3])
        R_BT = R_BE * Rotation.from_rotvec(offset[3:])
        p_L, R_L = reading.axes[:3], Rotation.from_rotvec(reading.axes[3:])
        if taken_over:
            self._start = (p_L, R_L, p_BT, R_BT)
        p_L0, R_L0, p_BT0, R_BT0 = self._start
        way = self._motion_scale * (p_L - p_L0)
        if self._frame == "tcp":
            wish = p_BT0 + R_BT0.apply(R_L0.inv().apply(way)), R_BT0 * (R_L0.inv() * R_L)
        else:
            wish = p_BT0 + way, (R_L * R_L0.inv()) * R_BT0
        left = np.concatenate([R_BT.inv().apply(wish[0] - p_BT), (R_BT.inv() * wish[1]).as_rotvec()])
        return np.clip(self.SHARE * left / self._scale, -1.0, 1.0).astype(np.float32)
