# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A README whose table differs from the dataclass is noticed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from serl_core.parameters import parameter
from serl_core.testing.readme import assert_readme_has, parameter_table


@dataclass(frozen=True)
class Settings:
    rate_hz: float = parameter(10.0, "steps a second [Hz]", 0.1, 100.0)
    mode: str = parameter("a", "a | b", choices=("a", "b"))
    talk: bool = parameter(False, "say more")
    name: str = parameter("", "what it is called")
    box: tuple[float, ...] = parameter((0.1, 2.0), "corner [m]", low=-1.0)


TABLE = r"""| parameter | default | allowed | meaning |
| --- | --- | --- | --- |
| `rate_hz` | 10.0 | 0.1 to 100 | steps a second [Hz] |
| `mode` | a | a, b | a \| b |
| `talk` | false |  | say more |
| `name` | none |  | what it is called |
| `box` | 0.1, 2.0 | -1 to | corner [m] |"""


def test_the_table_tells_all_that_was_declared() -> None:
    assert parameter_table(Settings) == TABLE


def test_an_up_to_date_readme_passes_whatever_stands_around_the_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# x\n\n### Settings\n\nWords.\n\n{TABLE}\n\n### Other\n\n| a | table |\n")
    assert_readme_has(readme, Settings)


@pytest.mark.parametrize(
    "change", [("10.0", "20.0"), ("| `talk` | false |  | say more |\n", ""), ("### Set", "### Sit")]
)
def test_a_stale_readme_is_noticed(tmp_path: Path, change: tuple[str, str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# x\n\n### Settings\n\n{TABLE}\n".replace(*change))
    with pytest.raises(AssertionError, match="Settings"):
        assert_readme_has(readme, Settings)
