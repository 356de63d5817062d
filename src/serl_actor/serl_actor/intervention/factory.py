# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From parameters to devices and hands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serl_actor.intervention.config import InterventionConfig
from serl_actor.intervention.device import Device, Reconnecting
from serl_actor.intervention.gamepad import Gamepad
from serl_actor.intervention.keyboard import Keyboard
from serl_actor.intervention.kinematic_chain import KinematicChain
from serl_actor.intervention.mapping import AxisMapping, LeaderMapping, Mapping
from serl_actor.intervention.spacemouse import SpaceMouse
from serl_actor.intervention.streams import Joy, LeaderArm, Spacenav, Stream
from serl_actor.intervention.takeover import Takeover
from serl_actor.intervention.teleoperation import Hand, Teleoperation
from serl_core.errors import ConfigError

ATTACHED: dict[str, Callable[[str], Device]] = {
    "spacemouse": SpaceMouse,
    "gamepad": Gamepad,
    "keyboard": Keyboard,
}
"""Devices read through a file of this machine."""

STREAMED: dict[str, type[Stream]] = {
    "spacenav": Spacenav, "joy": Joy, "leader_pose": LeaderArm, "leader_joints": LeaderArm,
}  # fmt: skip
"""Devices whose readings are messages."""

USUAL_TOPICS = {
    "spacenav": "spacenav/joy", "joy": "joy", "leader_pose": "leader/pose", "leader_joints": "leader/joint_states",
}  # fmt: skip


def source(config: InterventionConfig, index: int) -> str:
    """Return the file or topic of a device; "" for the first file that is found."""
    given = config.sources[index] if index < len(config.sources) else ""
    return given or USUAL_TOPICS.get(config.devices[index], "")


def make_device(config: InterventionConfig, index: int) -> Device:
    """Build one of the configured devices, not yet opened."""
    kind = config.devices[index]
    if kind in STREAMED:
        return STREAMED[kind](config.stream_timeout_s)  # type: ignore[return-value]
    return ATTACHED[kind](source(config, index))


def make_mapping(config: InterventionConfig, index: int, device: Device) -> Mapping:
    """Build the mapping of one of the configured devices."""
    key = config.tcp_pose_keys[index if len(config.tcp_pose_keys) > 1 else 0]
    if isinstance(device, LeaderArm):
        if config.axis_map or config.gripper:
            raise ConfigError("a leader arm gives a 6-D twist as it is: leave axis_map and gripper empty")
        return LeaderMapping(
            config.translation_scale, config.rotation_scale, config.motion_scale, config.frame, key
        )
    axis_map = config.axis_map or device.default_map
    return AxisMapping(
        device,
        (*axis_map, config.gripper) if config.gripper else axis_map,
        config.dead_zone,
        config.exponent,
        (config.translation_gain, config.rotation_gain, 1.0),
        config.frame,
        key,
    )


def make_teleoperation(config: InterventionConfig) -> Teleoperation:
    """Build a person's hands; ConfigError where lists do not fit each other."""
    count = len(config.devices)
    if count == 0:
        raise ConfigError("devices: name at least one")
    if len(config.sources) not in (0, count):
        raise ConfigError(
            f"sources: name one for each of the {count} devices, or none; got {len(config.sources)}"
        )
    if len(config.tcp_pose_keys) not in (1, count):
        raise ConfigError(f"tcp_pose_keys: name one, or one for each of the {count} devices")
    hands = []
    for index in range(count):
        device = make_device(config, index)
        takeover = Takeover(config.takeover, config.engage, config.release, config.hold_s)
        hands.append(
            Hand(
                Reconnecting(device, config.retry_s),
                make_mapping(config, index, device),
                takeover,
                config.clutch_button,
            )
        )
    return Teleoperation(tuple(hands), config.label or "+".join(config.devices))


def leader_chain(config: InterventionConfig) -> KinematicChain:
    """Read the kinematics of a leader arm that sends joint states."""
    if not config.leader_urdf:
        raise ConfigError(
            "leader_joints needs the leader's kinematics: set leader_urdf, leader_base and leader_tip"
        )
    try:
        text = Path(config.leader_urdf).read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"leader_urdf {config.leader_urdf!r}: {error.strerror}: give the leader's URDF file"
        ) from None
    return KinematicChain.from_urdf(text, config.leader_base, config.leader_tip)
