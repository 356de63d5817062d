# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Keeps the parameter tables of READMEs equal to the dataclasses that declare the parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serl_core.parameters import Descriptor, descriptors


def parameter_table(config: type) -> str:
    """Return the Markdown table of a config class: name, default, range or choices, description."""
    rows = ["| parameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for setting in descriptors(config):
        cells = (f"`{setting.name}`", _value(setting.default), _allowed(setting), setting.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def assert_readme_has(readme: Path, config: type) -> None:
    """Fail unless the README has the config's present table under the heading `### <name of the class>`."""
    _, found, rest = readme.read_text("utf-8").partition(f"### {config.__name__}\n")
    assert found, f"{readme} has no heading '### {config.__name__}'"
    table = "\n".join(line for line in rest.partition("\n#")[0].splitlines() if line.startswith("|"))
    expected = parameter_table(config)
    assert table == expected, f"{readme}: the table of {config.__name__} is stale, it should be\n{expected}"


def _value(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(_value(element) for element in default) or "none"
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if default != "" else "none"


def _allowed(setting: Descriptor) -> str:
    if setting.choices:
        return ", ".join(setting.choices)
    if setting.low is None and setting.high is None:
        return ""
    low = "" if setting.low is None else f"{setting.low:g}"
    high = "" if setting.high is None else f"{setting.high:g}"
    return f"{low} to {high}".strip()
