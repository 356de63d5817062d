# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Settings as frozen dataclasses that serve as ROS parameters too.

A setting is declared once, as a dataclass field made by `parameter`, with its default, description and range.
`from_mapping` fills the dataclass from YAML or the command line; node shells declare the same fields as ROS
parameters with `descriptors`. Unknown names, wrong types and values out of range are one-line ConfigErrors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from serl_core.errors import ConfigError, suggest

T = TypeVar("T")


def parameter(
    default: Any,
    description: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    size: int | None = None,
) -> Any:
    """Declare one setting of a frozen dataclass.

    Args:
        default: Value where nothing else is said; a tuple for a list of numbers or names.
        description: What it does, with its unit.
        low, high: Inclusive range of a number, or of every element of a list.
        choices: The names allowed.
        size: Length that a list must have.
    """
    return dataclasses.field(
        default=default,
        metadata={"description": description, "low": low, "high": high, "choices": choices, "size": size},
    )


@dataclass(frozen=True)
class Descriptor:
    """One setting as seen from outside: for ROS parameter declaration, `--help` and READMEs."""

    name: str
    default: Any
    description: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]


def descriptors(config: type) -> list[Descriptor]:
    """Return every setting of a config class, in order."""
    return [
        Descriptor(
            f.name,
            f.default,
            f.metadata["description"],
            f.metadata["low"],
            f.metadata["high"],
            f.metadata["choices"],
        )
        for f in dataclasses.fields(config)
    ]


def from_mapping(config: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a config from plain values, checking names, types and ranges.

    Args:
        config: A frozen dataclass whose fields were made by `parameter`.
        values: Values by name; missing ones keep their defaults.
        where: Where the values come from, for error messages, e.g. "tasks/pcb_insertion/env.yaml".
    """
    fields = {f.name: f for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(config)
    checked = {}
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"{where}: unknown parameter {name!r}{suggest(name, fields)}")
        checked[name] = _checked(fields[name], hints[name], value, f"{where}: {name}")
    return config(**checked)


def _checked(field: dataclasses.Field, hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise ConfigError(f"{where} must be a list of {element.__name__}, got {value!r}")
        result = tuple(_scalar(field, element, item, where) for item in value)
        size = field.metadata["size"]
        if size is not None and len(result) != size:
            raise ConfigError(f"{where} must have {size} elements, got {len(result)}")
        return result
    return _scalar(field, hint, value, where)


def _scalar(field: dataclasses.Field, hint: type, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is float and isinstance(value, str):
        with contextlib.suppress(ValueError):  # YAML 1.1 reads 3e-4 as a string
            value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where} must be {_WORDS[hint]}, got {value!r}")
    if hint in (int, float):
        low, high = field.metadata["low"], field.metadata["high"]
        if value != value or (low is not None and value < low) or (high is not None and value > high):
            raise ConfigError(f"{where} must lie in [{low}, {high}], got {value!r}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ConfigError(
            f"{where} must be one of {', '.join(choices)}, got {value!r}{suggest(str(value), choices)}"
        )
    return value


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
