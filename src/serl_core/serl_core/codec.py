# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Types <-> messages. The only place where one becomes the other.

`to_*` functions build ROS messages. `from_*` functions read any object with the messages' fields, so that a
message received by rclpy and one decoded from a bag without ROS go the same way. Readers check what they read:
a SchemaError names the field, what was expected and what came.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import Image
from serl_msgs import msg as wire
from std_msgs.msg import Header

from serl_core import types
from serl_core.errors import SchemaError
from serl_core.specs import EnvSpec, env_spec_from_json, env_spec_to_json

BASE_FRAME = "base"
TCP_FRAME = "tcp"


def to_time(seconds: float) -> Time:
    """Return a stamp for seconds >= 0 on the environment's clock."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def from_time(stamp: Any) -> float:
    """Return a stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def _header(seconds: float, frame_id: str) -> Header:
    return Header(stamp=to_time(seconds), frame_id=frame_id)


def _floats(values: Any) -> Any:
    """float32 array for a `float32[]` field; an array.array is what rclpy stores without a copy per element."""
    import array

    flat = array.array("f")
    flat.frombytes(np.ascontiguousarray(values, np.float32).tobytes())
    return flat


def _bytes(values: Any) -> Any:
    import array

    flat = array.array("B")
    flat.frombytes(values if isinstance(values, bytes) else np.ascontiguousarray(values, np.uint8).tobytes())
    return flat


def _shaped(name: str, data: Any, dtype: Any, shape: Any) -> np.ndarray:
    flat = np.asarray(data, dtype)
    wanted = tuple(int(n) for n in shape)
    if flat.size != math.prod(wanted):
        raise SchemaError(f"{name}: a shape of {wanted} came with {flat.size} numbers")
    return flat.reshape(wanted)


def _check_reward(reward: float, discount: float) -> None:
    """A NaN here would reach every network by way of the temporal-difference target."""
    if not math.isfinite(reward):
        raise SchemaError("reward: contains NaN or infinity")
    if not 0.0 <= discount <= 1.0:
        raise SchemaError(f"discount must lie in [0, 1], got {discount}")


def to_description(spec: EnvSpec, env_id: str) -> wire.EnvDescription:
    """Build the message that describes an environment."""
    return wire.EnvDescription(
        task=spec.task, env_id=env_id, fingerprint=spec.fingerprint, spec_json=env_spec_to_json(spec)
    )


def from_description(message: Any) -> EnvSpec:
    """Read an environment's description; SchemaError if its fingerprint does not fit its text."""
    spec = env_spec_from_json(message.spec_json)
    if spec.fingerprint != message.fingerprint:
        raise SchemaError(
            f"description of {message.task!r} does not match its fingerprint {message.fingerprint}"
        )
    return spec


def to_observation(spec: EnvSpec, observation: types.Observation, request: bool = False) -> wire.Observation:
    """Build the message of an observation; SchemaError if it does not fit the spec."""
    state = []
    for array in spec.state:
        value = array.check(observation.state[array.name])
        state.append(wire.NamedArray(name=array.name, shape=list(value.shape), data=_floats(value)))
    images = []
    for camera in spec.images:
        pixels = camera.check(observation.images[camera.name])
        images.append(
            Image(
                header=_header(observation.stamp, camera.name),
                height=pixels.shape[0],
                width=pixels.shape[1],
                encoding="rgb8",
                step=pixels.shape[1] * 3,
                data=_bytes(pixels),
            )
        )
    return wire.Observation(
        header=_header(observation.stamp, BASE_FRAME),
        schema=spec.fingerprint,
        episode_id=observation.episode_id,
        step=observation.step,
        state=state,
        images=images,
        request=request,
    )


def from_observation(spec: EnvSpec | None, message: Any) -> types.Observation:
    """Read an observation.

    Args:
        spec: What it must fit; None reads whatever is there (for tools that show foreign bags).
        message: `serl_msgs/Observation`, from rclpy or from a bag.
    """
    if spec is not None and message.schema != spec.fingerprint:
        raise SchemaError(
            f"observation schema is {message.schema or '(none)'}, expected {spec.fingerprint} of task {spec.task}"
        )
    state = {entry.name: _shaped(entry.name, entry.data, np.float32, entry.shape) for entry in message.state}
    images = {}
    for image in message.images:
        camera = image.header.frame_id
        if image.encoding != "rgb8":
            raise SchemaError(f"{camera}: expected encoding rgb8, got {image.encoding}")
        images[camera] = _shaped(camera, image.data, np.uint8, (image.height, image.width, 3))
    if spec is not None:
        for array in spec.state + spec.images:
            found = state if array.dtype != "uint8" else images
            if array.name not in found:
                raise SchemaError(f"observation lacks {array.name}")
            found[array.name] = array.check(found[array.name])
    return types.Observation(
        episode_id=int(message.episode_id),
        step=int(message.step),
        stamp=from_time(message.header.stamp),
        state=state,
        images=images,
    )


def to_action(action: types.Action, stamp: float) -> wire.Action:
    """Build the message of a policy's action; `stamp` is that of the observation answered [s]."""
    return wire.Action(
        header=_header(stamp, TCP_FRAME),
        episode_id=action.episode_id,
        step=action.step,
        policy_version=action.policy_version,
        data=_floats(action.data),
    )


def from_action(message: Any) -> types.Action:
    """Read an action; its numbers are checked where they are used (`EnvSpec.check_action`)."""
    return types.Action(
        episode_id=int(message.episode_id),
        step=int(message.step),
        policy_version=int(message.policy_version),
        data=np.asarray(message.data, np.float32),
    )


def to_intervention(intervention: types.Intervention, stamp: float) -> wire.Intervention:
    """Build the message of a person's wish; `stamp` is that of the last observation that they saw [s]."""
    return wire.Intervention(
        header=_header(stamp, TCP_FRAME),
        device=intervention.device,
        episode_id=intervention.episode_id,
        step=intervention.step,
        active=intervention.active,
        data=_floats(intervention.data),
    )


def from_intervention(message: Any) -> types.Intervention:
    """Read a person's wish; its numbers are checked where they are used."""
    return types.Intervention(
        device=message.device,
        episode_id=int(message.episode_id),
        step=int(message.step),
        active=bool(message.active),
        data=np.asarray(message.data, np.float32),
    )


def to_reward(episode_id: int, step: int, verdict: types.RewardSignal, stamp: float) -> wire.Reward:
    """Build the message of a verdict on the observation (episode_id, step), whose stamp [s] it carries."""
    return wire.Reward(
        header=_header(stamp, ""),
        episode_id=episode_id,
        step=step,
        source=verdict.source,
        value=verdict.value,
        probability=verdict.probability,
        success=verdict.success,
    )


def from_reward(message: Any) -> types.RewardSignal:
    """Read a verdict; which observation it is on, `episode_id` and `step` of the message say."""
    return types.RewardSignal(
        float(message.value), bool(message.success), message.source, float(message.probability)
    )


def to_transition(spec: EnvSpec, transition: types.Transition) -> wire.Transition:
    """Build the message of a transition; SchemaError if it does not fit the spec."""
    _check_reward(transition.reward, transition.discount)
    first = transition.first_observation
    return wire.Transition(
        header=_header(transition.next_observation.stamp, TCP_FRAME),
        task=transition.task,
        env_id=transition.env_id,
        sequence=transition.sequence,
        episode_id=transition.episode_id,
        step=transition.step,
        policy_version=transition.policy_version,
        source=int(transition.source),
        source_detail=transition.source_detail,
        action=_floats(spec.check_action(transition.action)),
        reward=float(transition.reward),
        reward_source=transition.reward_source,
        discount=float(transition.discount),
        last=transition.last,
        success=transition.success,
        first_observation=[] if first is None else [to_observation(spec, first)],
        next_observation=to_observation(spec, transition.next_observation),
    )


def from_transition(spec: EnvSpec | None, message: Any) -> types.Transition:
    """Read a transition and check it against `spec` (None: take what is there)."""
    first = message.first_observation
    action = np.asarray(message.action, np.float32)
    if spec is not None:
        if message.task != spec.task:
            raise SchemaError(f"transition of task {message.task!r}, expected {spec.task!r}")
        action = spec.check_action(action)
        _check_reward(message.reward, message.discount)
    try:
        source = types.Source(int(message.source))
    except ValueError:
        raise SchemaError(f"transition source {message.source} is not one of {list(types.Source)}") from None
    return types.Transition(
        task=message.task,
        env_id=message.env_id,
        sequence=int(message.sequence),
        episode_id=int(message.episode_id),
        step=int(message.step),
        policy_version=int(message.policy_version),
        source=source,
        source_detail=message.source_detail,
        action=action,
        reward=float(message.reward),
        reward_source=message.reward_source,
        discount=float(message.discount),
        last=bool(message.last),
        success=bool(message.success),
        first_observation=from_observation(spec, first[0]) if len(first) else None,
        next_observation=from_observation(spec, message.next_observation),
    )


def from_image(message: Any) -> np.ndarray:
    """Read a colour image as (H, W, 3) uint8 rgb; SchemaError unless it is rgb8 or bgr8."""
    if message.encoding not in ("rgb8", "bgr8"):
        raise SchemaError(
            f"{message.header.frame_id}: expected encoding rgb8 or bgr8, got {message.encoding}"
        )
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.asarray(message.data, np.uint8)
    if step < 3 * width or data.size != height * step:
        raise SchemaError(
            f"{message.header.frame_id}: {height} rows of {width} pixels in {step} bytes came with {data.size} bytes"
        )
    pixels = data.reshape(height, step)[:, : 3 * width].reshape(height, width, 3)
    return pixels if message.encoding == "rgb8" else pixels[..., ::-1]


def to_ack(ack: types.TransitionAck) -> wire.TransitionAck:
    """Build the message of an acknowledgement."""
    return wire.TransitionAck(**vars(ack))


def from_ack(message: Any) -> types.TransitionAck:
    """Read an acknowledgement."""
    return types.TransitionAck(
        env_id=message.env_id,
        sequence=int(message.sequence),
        epoch=int(message.epoch),
        resend=bool(message.resend),
        step_limit=int(message.step_limit),
    )


def to_weights(weights: types.PolicyWeights) -> wire.PolicyWeights:
    """Build the message of a policy."""
    return wire.PolicyWeights(
        header=_header(weights.stamp, ""),
        task=weights.task,
        fingerprint=weights.fingerprint,
        version=weights.version,
        checksum=weights.checksum,
        data=_bytes(weights.data),
    )


def from_weights(message: Any) -> types.PolicyWeights:
    """Read a policy; fingerprint and checksum are checked by who loads it."""
    return types.PolicyWeights(
        task=message.task,
        fingerprint=message.fingerprint,
        version=int(message.version),
        checksum=message.checksum,
        data=bytes(message.data),
        stamp=from_time(message.header.stamp),
    )


_GROUND_TRUTHS = (None, False, True)  # by the message's GROUND_TRUTH_*


def to_episode(summary: types.EpisodeSummary) -> wire.EpisodeSummary:
    """Build the message of a finished episode."""
    fields = dict(vars(summary))
    truth = _GROUND_TRUTHS.index(fields.pop("ground_truth"))
    return wire.EpisodeSummary(header=_header(fields.pop("stamp"), ""), ground_truth=truth, **fields)


def from_episode(message: Any) -> types.EpisodeSummary:
    """Read a finished episode; SchemaError if its ground truth is not one of the three.

    Bags from before there was a ground truth, or the length of each intervention, have none.
    """
    own = ("stamp", "ground_truth", "intervention_steps", "human_at_end")
    names = [name for name in types.EpisodeSummary.__dataclass_fields__ if name not in own]
    truth = getattr(message, "ground_truth", 0)
    if not 0 <= truth < len(_GROUND_TRUTHS):
        raise SchemaError(f"episode ground_truth {truth} is not one of 0, 1, 2")
    return types.EpisodeSummary(
        stamp=from_time(message.header.stamp),
        ground_truth=_GROUND_TRUTHS[truth],
        intervention_steps=tuple(map(int, getattr(message, "intervention_steps", ()))),
        human_at_end=bool(getattr(message, "human_at_end", False)),
        **{name: getattr(message, name) for name in names},
    )


def to_learner_status(status: types.LearnerStatus, stamp: float) -> wire.LearnerStatus:
    """Build the message of the learner's pulse."""
    return wire.LearnerStatus(header=_header(stamp, ""), **vars(status))


def from_learner_status(message: Any) -> types.LearnerStatus:
    """Read the learner's pulse."""
    return types.LearnerStatus(
        **{name: getattr(message, name) for name in types.LearnerStatus.__dataclass_fields__}
    )


_POSES = ("measured", "commanded", "smoothed", "clipped")
_SIXES = ("twist", "error", "wrench", "external_wrench")
_JOINTS = ("joint_position", "joint_torque")
_NUMBERS = {"peak_force": float, "flags": int, "hold": int, "refused_targets": int}


def to_controller_state(state: types.ControllerState) -> wire.ControllerState:
    """Build the message of a controller's state."""
    message = wire.ControllerState(header=_header(state.stamp, state.frame_id))
    for name in _POSES:
        pose = getattr(state, name)
        setattr(message, name, to_pose(pose[:3], pose[3:]))
    for name in _SIXES:
        setattr(message, name, np.asarray(getattr(state, name), np.float64))
    for name in _JOINTS:
        setattr(message, name, np.asarray(getattr(state, name), np.float64).tolist())
    for name, number in _NUMBERS.items():
        setattr(message, name, number(getattr(state, name)))
    return message


def from_controller_state(message: Any) -> types.ControllerState:
    """Read a controller's state; whether its numbers are finite is judged where they are used."""
    fields: dict[str, Any] = {name: from_pose(getattr(message, name)) for name in _POSES}
    fields |= {name: np.array(getattr(message, name), np.float64) for name in (*_SIXES, *_JOINTS)}
    fields |= {name: number(getattr(message, name)) for name, number in _NUMBERS.items()}
    return types.ControllerState(
        stamp=from_time(message.header.stamp), frame_id=message.header.frame_id, **fields
    )


def from_pose(message: Any) -> np.ndarray:
    """Read a Pose as (7,): position [m] and quaternion xyzw."""
    p, q = message.position, message.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def from_wrench(message: Any) -> np.ndarray:
    """Read a Wrench as (6,): force [N] and torque [Nm]."""
    f, t = message.force, message.torque
    return np.array([f.x, f.y, f.z, t.x, t.y, t.z])


def to_pose(position: np.ndarray, quaternion_xyzw: np.ndarray) -> Pose:
    """Build a Pose from a position (3,) [m] and a unit quaternion (4,) in xyzw order."""
    x, y, z = (float(v) for v in position)
    qx, qy, qz, qw = (float(v) for v in quaternion_xyzw)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
