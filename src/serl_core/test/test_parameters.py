# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A wrong setting is one line that names the file, the parameter and what was expected."""

from dataclasses import dataclass

import pytest

from serl_core.errors import ConfigError, suggest
from serl_core.parameters import descriptors, from_mapping, parameter


@dataclass(frozen=True)
class Config:
    rate_hz: float = parameter(10.0, "steps a second [Hz]", 0.1, 100.0)
    max_steps: int = parameter(100, "steps of an episode", low=1)
    verbose: bool = parameter(False, "talk")
    mode: str = parameter("state", "what is seen", choices=("state", "image"))
    box: tuple[float, ...] = parameter((0.0, 0.0, 0.0), "corner [m]", -1.0, 1.0, size=3)
    keys: tuple[str, ...] = parameter((), "names")


def read(**values: object) -> Config:
    return from_mapping(Config, values, "env.yaml")


def test_defaults_stay_where_nothing_is_said() -> None:
    assert read() == Config()
    assert read(max_steps=5) == Config(max_steps=5)


def test_every_setting_reads_back() -> None:
    values = {
        "rate_hz": 20.0,
        "max_steps": 7,
        "verbose": True,
        "mode": "image",
        "box": [0.1, 0.2, 0.3],
        "keys": ["a"],
    }
    assert read(**values) == Config(20.0, 7, True, "image", (0.1, 0.2, 0.3), ("a",))


def test_a_whole_number_does_for_a_number() -> None:
    assert read(rate_hz=20).rate_hz == 20.0
    assert isinstance(read(rate_hz=20).rate_hz, float)
    assert read(box=[0, 1, -1]).box == (0.0, 1.0, -1.0)


def test_yaml_reads_3e_minus_4_as_a_text_and_it_still_is_a_number() -> None:
    assert read(box=["3e-4", 0, 0]).box[0] == 3e-4
    assert read(rate_hz="3e-1").rate_hz == 0.3


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"rate_hz": True}, "rate_hz must be a number, got True"),
        ({"rate_hz": "fast"}, "rate_hz must be a number, got 'fast'"),
        ({"rate_hz": None}, "rate_hz must be a number"),
        ({"max_steps": True}, "max_steps must be a whole number, got True"),
        ({"max_steps": 3.0}, "max_steps must be a whole number, got 3.0"),
        ({"max_steps": "3"}, "max_steps must be a whole number"),
        ({"verbose": 1}, "verbose must be true or false, got 1"),
        ({"verbose": "yes"}, "verbose must be true or false"),
        ({"mode": 3}, "mode must be a text"),
        ({"box": 3.0}, "box must be a list of float"),
        ({"keys": "abc"}, "keys must be a list of str"),
        ({"keys": [1]}, "keys must be a text, got 1"),
    ],
)
def test_wrong_types_are_refused(values: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=r"^env\.yaml: ") as caught:
        read(**values)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"rate_hz": 0.0},
        {"rate_hz": 100.1},
        {"rate_hz": float("nan")},
        {"rate_hz": float("inf")},
        {"max_steps": 0},
        {"box": [0.0, 0.0, 1.5]},
    ],
)
def test_values_out_of_range_are_refused(values: dict) -> None:
    with pytest.raises(ConfigError, match="must lie in"):
        read(**values)


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert read(rate_hz=0.1).rate_hz == 0.1
    assert read(rate_hz=100.0).rate_hz == 100.0


@pytest.mark.parametrize("box", [[], [0.0, 0.0], [0.0] * 4])
def test_lists_of_another_length_are_refused(box: list) -> None:
    with pytest.raises(ConfigError, match=f"box must have 3 elements, got {len(box)}"):
        read(box=box)


def test_an_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"env.yaml: unknown parameter 'rate' \(did you mean rate_hz"):
        read(rate=3.0)


def test_an_unknown_choice_suggests_the_closest() -> None:
    with pytest.raises(
        ConfigError, match=r"must be one of state, image, got 'images' \(did you mean image\?\)"
    ):
        read(mode="images")


def test_nothing_is_suggested_where_nothing_is_close() -> None:
    assert suggest("zzz", ["rate_hz", "mode"]) == ""


def test_descriptors_tell_all_that_was_declared() -> None:
    found = {d.name: d for d in descriptors(Config)}
    assert list(found) == ["rate_hz", "max_steps", "verbose", "mode", "box", "keys"]
    rate = found["rate_hz"]
    assert (rate.default, rate.description, rate.low, rate.high) == (10.0, "steps a second [Hz]", 0.1, 100.0)
    assert found["mode"].choices == ("state", "image")
