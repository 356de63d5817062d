# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What an environment promises is the same everywhere, and what does not fit it is refused by name."""

import dataclasses

import numpy as np
import pytest

from serl_core.errors import SchemaError
from serl_core.specs import ArraySpec, EnvSpec, env_spec_from_json, env_spec_to_json, first_difference
from serl_core.testing.fakes import fake_spec


def small_spec(**changes: object) -> EnvSpec:
    fields = {
        "task": "t",
        "state": (ArraySpec("pose", (2, 2), scale=2.0), ArraySpec("force", (3,), scale=(1.0, 10.0, 100.0)),
                  ArraySpec("clock", (1,))),
        "images": (ArraySpec("wrist", (4, 5, 3), "uint8"),),
        "action_size": 2,
        "action_unit": "m",
        "policy_keys": ("force", "wrist", "pose"),
        "step_seconds": 0.1,
        "max_steps": 10,
    }  # fmt: skip
    return EnvSpec(**{**fields, **changes})  # type: ignore[arg-type]


def test_fingerprint_is_stable_across_releases() -> None:
    # Bags and checkpoints carry it: a new value here makes every recording of the past unreadable.
    assert fake_spec().fingerprint == "3e42e923a378b391"


def test_fingerprint_survives_json() -> None:
    spec = small_spec()
    again = env_spec_from_json(env_spec_to_json(spec))
    assert again == spec
    assert again.fingerprint == spec.fingerprint


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "u"}, "task is 'u', not 't'"),
        ({"action_unit": "cm"}, "action_unit is 'cm', not 'm'"),
        ({"action_size": 3}, "action_size is 3, not 2"),
        ({"policy_keys": ("wrist", "force", "pose")}, "policy_keys is ('wrist', 'force', 'pose'), not"),
        ({"step_seconds": 0.2}, "step_seconds is 0.2, not 0.1"),
        ({"max_steps": 11, "step_seconds": 0.1}, "max_steps is 11, not 10"),
        (
            {"images": (ArraySpec("wrist", (4, 6, 3), "uint8"),)},
            "images.wrist.shape is (4, 6, 3), not (4, 5, 3)",
        ),
        ({"images": (), "policy_keys": ("pose",)}, "images is (), not ('wrist',)"),
        (
            {"state": tuple(dataclasses.replace(a, unit="mm") for a in small_spec().state)},
            "state.pose.unit is 'mm', not ''",
        ),
    ],
)
def test_every_change_is_noticed_and_told(changes: dict, told: str) -> None:
    assert small_spec(**changes).fingerprint != small_spec().fingerprint
    assert first_difference(small_spec(), small_spec(**changes)).startswith(told)
    assert first_difference(small_spec(), small_spec()) == ""


def test_policy_vector_concatenates_in_the_order_of_the_policy_keys_and_scales() -> None:
    state = {"pose": [[2.0, 4.0], [6.0, 8.0]], "force": [1.0, 10.0, 100.0], "clock": [7.0]}
    vector = small_spec().policy_vector({k: np.array(v) for k, v in state.items()})
    np.testing.assert_array_equal(vector, [1, 1, 1, 1, 2, 3, 4])
    assert vector.dtype == np.float32
    assert vector.size == small_spec().policy_state_size


def test_policy_vector_of_a_batch_is_the_batch_of_vectors() -> None:
    spec, rng = small_spec(), np.random.default_rng(0)
    batch = {a.name: rng.standard_normal((5, 3, *a.shape)).astype(np.float32) for a in spec.state}
    vectors = spec.policy_vector(batch)
    assert vectors.shape == (5, 3, spec.policy_state_size)
    one = spec.policy_vector({name: array[4, 1] for name, array in batch.items()})
    np.testing.assert_array_equal(vectors[4, 1], one)


def test_an_action_is_clipped_and_becomes_float32() -> None:
    action = small_spec().check_action(np.array([-3.0, 0.25]))
    np.testing.assert_array_equal(action, [-1.0, 0.25])
    assert action.dtype == np.float32


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ([np.nan, 0.0], "NaN"),
        ([0.0, np.inf], "infinity"),
        ([0.0], "expected 2"),
        ([0.0] * 3, "expected 2"),
        ([[0.0, 0.0]], "expected 2"),
    ],
)
def test_an_action_that_does_not_fit_is_refused(action: list, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        small_spec().check_action(np.array(action))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.zeros((2, 3)), r"pose: expected shape \(2, 2\), got \(2, 3\)"),
        (np.full((2, 2), np.nan), "pose: contains NaN"),
        (np.full((2, 2), -np.inf), "pose: contains NaN or infinity"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_by_name(value: np.ndarray, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        small_spec().state_spec("pose").check(value)


def test_pixels_of_another_type_are_not_converted_in_silence() -> None:
    with pytest.raises(SchemaError, match="wrist: expected dtype uint8, got float32"):
        small_spec().images[0].check(np.zeros((4, 5, 3), np.float32))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"policy_keys": ("nonsense",)}, "nonsense"),
        ({"images": (ArraySpec("pose", (4, 5, 3), "uint8"),)}, "occurs twice"),
        ({"action_size": 0}, "action_size"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(changes: dict, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        small_spec(**changes)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"state": 3}', "null", env_spec_to_json(small_spec())[:-9]]
)
def test_a_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(SchemaError, match="not an environment specification"):
        env_spec_from_json(text)


def test_a_policy_that_reads_nothing_is_refused_by_name() -> None:
    spec = EnvSpec("blind", (ArraySpec("state", (3,)),), (), 1, "", (), 0.1, 10)
    with pytest.raises(SchemaError, match="policy_keys"):
        spec.policy_vector({"state": np.zeros(3, np.float32)})


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), (1.0, 2.0), (1.0, 0.0, 1.0)])
def test_a_scale_that_cannot_divide_is_refused(scale: float | tuple[float, ...]) -> None:
    with pytest.raises(SchemaError, match="scale"):
        ArraySpec("state", (3,), scale=scale)


def test_whole_and_real_scales_have_one_fingerprint() -> None:
    whole, real = (
        EnvSpec("t", (ArraySpec("s", (3,), scale=x),), (), 1, "", ("s",), 0.1, 10) for x in (2, 2.0)
    )
    assert whole.fingerprint == real.fingerprint
