# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What goes through a message comes back the same, and what does not fit is refused by name."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Vector3, Wrench
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from serl_core import codec
from serl_core.errors import SchemaError
from serl_core.testing.fakes import fake_spec, random_observation, random_transition
from serl_core.types import (
    Action,
    ControllerState,
    EpisodeSummary,
    Intervention,
    LearnerStatus,
    Observation,
    PolicyWeights,
    RewardSignal,
    Source,
    Transition,
    TransitionAck,
)

SPEC = fake_spec(image_size=8)


def over_the_wire(message: Any) -> Any:
    """Serialise a message to CDR and back, so that no Python object survives by reference."""
    return deserialize_message(serialize_message(message), type(message))


def assert_same(left: Any, right: Any) -> None:
    """Compare field by field: arrays by value and type, NaN equal to NaN, stamps to a nanosecond."""
    if dataclasses.is_dataclass(left):
        assert type(left) is type(right)
        for entry in dataclasses.fields(left):
            assert_same(getattr(left, entry.name), getattr(right, entry.name))
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    elif isinstance(left, float):
        assert left == pytest.approx(right, rel=1e-7, abs=1e-9, nan_ok=True)
    else:
        assert left == right


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_observation_with_images() -> None:
    observation = random_observation(SPEC, rng(), episode_id=2**40, step=3, stamp=1234.000000567)
    message = over_the_wire(codec.to_observation(SPEC, observation, request=True))
    assert message.request
    assert message.schema == SPEC.fingerprint
    assert_same(observation, codec.from_observation(SPEC, message))
    assert_same(observation, codec.from_observation(None, message))


def test_camera_images_are_ordinary_images() -> None:
    message = codec.to_observation(SPEC, random_observation(SPEC, rng()))
    image = message.images[0]
    assert (image.header.frame_id, image.encoding, image.height, image.width, image.step) == (
        "camera",
        "rgb8",
        8,
        8,
        24,
    )
    assert len(image.data) == 8 * 8 * 3


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("source", list(Source))
def test_transition_with_and_without_first_observation(step: int, source: Source) -> None:
    transition = random_transition(
        SPEC, rng(), sequence=77, episode_id=4, step=step, source=source, policy_version=500, reward=0.5,
        discount=0.0, last=True, success=True,
    )  # fmt: skip
    message = over_the_wire(codec.to_transition(SPEC, transition))
    assert len(message.first_observation) == (step == 0)
    assert_same(transition, codec.from_transition(SPEC, message))


def test_action() -> None:
    action = Action(3, 4, 5, np.array([0.25, -1.0], np.float32))
    message = over_the_wire(codec.to_action(action, stamp=1.5))
    assert codec.from_time(message.header.stamp) == 1.5
    assert_same(action, codec.from_action(message))


@pytest.mark.parametrize("active", [True, False])
def test_intervention(active: bool) -> None:
    word = Intervention("spacemouse", 3, 4, active, np.array([0.25, -1.0], np.float32))
    assert_same(word, codec.from_intervention(over_the_wire(codec.to_intervention(word, stamp=1.5))))


@pytest.mark.parametrize("probability", [0.25, float("nan")])
def test_reward(probability: float) -> None:
    verdict = RewardSignal(0.5, True, "classifier", probability)
    message = over_the_wire(codec.to_reward(7, 3, verdict, stamp=1.5))
    assert (message.episode_id, message.step, codec.from_time(message.header.stamp)) == (7, 3, 1.5)
    assert_same(verdict, codec.from_reward(message))


def test_weights() -> None:
    weights = PolicyWeights("fake_reach", "abc", 2**33, "def", bytes(range(256)) * 40, stamp=12.25)
    assert_same(weights, codec.from_weights(over_the_wire(codec.to_weights(weights))))


def test_acknowledgement() -> None:
    ack = TransitionAck("fake-0", 10, 1_700_000_000_000_000_000, True, 2**62)
    assert_same(ack, codec.from_ack(over_the_wire(codec.to_ack(ack))))


@pytest.mark.parametrize("truth", [None, False, True])
def test_episode_summary(truth: bool | None) -> None:
    summary = EpisodeSummary(
        task="t", env_id="e", episode_id=3, stamp=9.5, steps=20, undiscounted_return=1.5, success=True,
        duration=2.0, human_steps=4, hold_steps=1, interventions=2, peak_force=13.25, policy_version=600,
        end_reason="success", ground_truth=truth, intervention_steps=(1, 3), human_at_end=True,
    )  # fmt: skip
    assert_same(summary, codec.from_episode(over_the_wire(codec.to_episode(summary))))


def test_an_episode_from_before_ground_truths_and_lengths_of_interventions_can_be_read() -> None:
    message = codec.to_episode(
        EpisodeSummary("t", "e", 3, 9.5, 20, 1.5, True, 2.0, 4, 1, 2, 13.25, 600, "", True)
    )
    fields = {name: getattr(message, name) for name in message.get_fields_and_field_types()}
    for name in ("ground_truth", "intervention_steps", "human_at_end"):
        del fields[name]
    episode = codec.from_episode(SimpleNamespace(**fields))
    assert episode.ground_truth is None and episode.achieved and episode.human_steps == 4
    assert episode.intervention_steps == () and episode.human_at_end is False


def test_learner_status_with_figures_not_known_yet() -> None:
    status = LearnerStatus(
        "t", "training", 1, 2, 3, 4, 5, 6.5, 7.25, dropped=8, skipped_updates=9, temperature=0.125
    )
    assert_same(status, codec.from_learner_status(over_the_wire(codec.to_learner_status(status, stamp=1.0))))


def test_description() -> None:
    message = over_the_wire(codec.to_description(SPEC, "fake-0"))
    assert (message.task, message.env_id) == (SPEC.task, "fake-0")
    assert codec.from_description(message) == SPEC


def test_pose_keeps_position_and_quaternion_xyzw() -> None:
    pose = codec.to_pose(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3, 0.9]))
    assert (pose.position.x, pose.position.y, pose.position.z) == (1.0, 2.0, 3.0)
    assert (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w) == (
        0.1,
        0.2,
        0.3,
        0.9,
    )


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.999999999, 0.9999999999, 2.0**31 - 1.5])
def test_stamps_keep_nanoseconds_and_never_overflow_them(seconds: float) -> None:
    stamp = codec.to_time(seconds)
    assert 0 <= stamp.nanosec < 1_000_000_000
    assert codec.from_time(stamp) == pytest.approx(seconds, abs=1e-9)


def test_a_description_whose_text_was_changed_is_refused() -> None:
    message = codec.to_description(SPEC, "fake-0")
    message.spec_json = message.spec_json.replace("fake_reach", "other_task")
    with pytest.raises(SchemaError, match="does not match its fingerprint"):
        codec.from_description(message)


def observed() -> Any:
    return codec.to_observation(SPEC, random_observation(SPEC, rng()))


def test_an_observation_of_another_schema_is_refused() -> None:
    other = fake_spec(max_steps=21, image_size=8)
    with pytest.raises(SchemaError, match=f"{SPEC.fingerprint}, expected {other.fingerprint}"):
        codec.from_observation(other, observed())


def test_an_observation_without_a_schema_is_refused() -> None:
    message = observed()
    message.schema = ""
    with pytest.raises(SchemaError, match=r"schema is \(none\)"):
        codec.from_observation(SPEC, message)


@pytest.mark.parametrize(("field", "name"), [("state", "position"), ("images", "camera")])
def test_an_observation_that_lacks_an_array_is_refused(field: str, name: str) -> None:
    message = observed()
    setattr(message, field, getattr(message, field)[1:])
    with pytest.raises(SchemaError, match=f"lacks {name}"):
        codec.from_observation(SPEC, message)


def test_an_observation_with_nan_is_refused_on_both_sides() -> None:
    observation = random_observation(SPEC, rng())
    observation.state["offset"][1] = np.nan
    with pytest.raises(SchemaError, match="offset: contains NaN"):
        codec.to_observation(SPEC, observation)
    message = observed()
    message.state[1].data[0] = float("nan")
    with pytest.raises(SchemaError, match="offset: contains NaN"):
        codec.from_observation(SPEC, message)


def test_an_image_of_another_encoding_is_refused() -> None:
    message = observed()
    message.images[0].encoding = "bgr8"
    with pytest.raises(SchemaError, match="camera: expected encoding rgb8, got bgr8"):
        codec.from_observation(SPEC, message)


@pytest.mark.parametrize("spec", [SPEC, None])
def test_arrays_whose_length_does_not_fit_their_shape_are_refused(spec: Any) -> None:
    message = observed()
    message.state[0].shape = [3]
    with pytest.raises(SchemaError, match=r"position: .*2 numbers"):
        codec.from_observation(spec, message)
    message = observed()
    message.images[0].data = message.images[0].data[:-1]
    with pytest.raises(SchemaError, match=r"camera: .*191"):
        codec.from_observation(spec, message)


def test_an_array_of_another_shape_is_refused() -> None:
    message = observed()
    message.state[0].shape = [2, 1]
    with pytest.raises(SchemaError, match=r"position: expected shape \(2,\), got \(2, 1\)"):
        codec.from_observation(SPEC, message)


def transition_message(**changes: object) -> Any:
    message = codec.to_transition(SPEC, random_transition(SPEC, rng()))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "other"}, "transition of task 'other', expected 'fake_reach'"),
        ({"source": 9}, "source 9 is not one of"),
        ({"action": [0.0, float("nan")]}, "action: contains NaN"),
        ({"action": [0.0]}, "action: expected 2"),
        ({"reward": float("nan")}, "reward: contains NaN"),
        ({"discount": float("nan")}, "discount must lie in"),
        ({"discount": 1.5}, "discount must lie in"),
    ],
)
def test_a_transition_that_does_not_fit_is_refused(changes: dict, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        codec.from_transition(SPEC, transition_message(**changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reward": float("inf")}, "reward: contains NaN or infinity"),
        ({"discount": -0.1}, "discount must lie in"),
    ],
)
def test_a_transition_that_does_not_fit_is_not_sent(changes: dict, told: str) -> None:
    transition: Transition = dataclasses.replace(random_transition(SPEC, rng()), **changes)
    with pytest.raises(SchemaError, match=told):
        codec.to_transition(SPEC, transition)


def test_tools_may_read_a_foreign_transition_as_it_is() -> None:
    foreign = codec.from_transition(None, transition_message(task="other", action=[0.0] * 5))
    assert foreign.task == "other"
    assert foreign.action.shape == (5,)
    assert isinstance(foreign.next_observation, Observation)


def controller_state(**changes: object) -> ControllerState:
    rng = np.random.default_rng(0)
    poses = {name: rng.normal(size=7) for name in ("measured", "commanded", "smoothed", "clipped")}
    sixes = {name: rng.normal(size=6) for name in ("twist", "error", "wrench", "external_wrench")}
    joints = {name: rng.normal(size=7) for name in ("joint_position", "joint_torque")}
    numbers = {"peak_force": 12.5, "flags": 5, "hold": 7, "refused_targets": 3}
    return ControllerState(stamp=1.5, frame_id="base", **{**poses, **sixes, **joints, **numbers, **changes})


def test_a_controllers_state_survives_the_wire() -> None:
    state = controller_state(external_wrench=np.full(6, np.nan), joint_position=np.zeros(0))
    back = codec.from_controller_state(over_the_wire(codec.to_controller_state(state)))
    for name, value in vars(state).items():
        np.testing.assert_array_equal(getattr(back, name), value, err_msg=name)


@pytest.mark.parametrize(("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0])])
def test_a_camera_s_image_is_read_in_rgb_whatever_its_rows_end_in(encoding: str, order: list[int]) -> None:
    rows = np.arange(2 * 10, dtype=np.uint8).reshape(2, 10)  # two rows of three pixels and a byte
    message = Image(height=2, width=3, step=10, encoding=encoding, data=rows.tobytes())
    wanted = rows[:, :9].reshape(2, 3, 3)[..., order]
    np.testing.assert_array_equal(codec.from_image(over_the_wire(message)), wanted)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoding": "mono8"}, "expected encoding rgb8 or bgr8, got mono8"),
        ({"step": 8}, "came with 20 bytes"),
        ({"height": 3}, "came with 20 bytes"),
    ],
)
def test_a_camera_s_image_that_does_not_fit_itself_is_refused(changes: dict, told: str) -> None:
    fields = {"height": 2, "width": 3, "step": 10, "encoding": "rgb8", "data": bytes(20), **changes}
    with pytest.raises(SchemaError, match=told):
        codec.from_image(Image(**fields))


def test_a_wrench_is_force_then_torque() -> None:
    wrench = Wrench(force=Vector3(x=1.0, y=2.0, z=3.0), torque=Vector3(x=4.0, y=5.0, z=6.0))
    np.testing.assert_array_equal(codec.from_wrench(wrench), [1, 2, 3, 4, 5, 6])
