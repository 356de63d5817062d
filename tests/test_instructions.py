# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Commands that are written down for people and images, as far as they can be judged without running them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docker").iterdir())]


def commands(program: str) -> Iterator[list[str]]:
    """Yield the words of every command that begins with `program`, from code blocks, code spans and image files."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".yaml":  # a folded block is one line
            text = re.sub(r"(?<=[^:>\n|])\n {6}(?=\S)", " ", text)
        text = re.sub(r"\$\{\w+:-([^}]*)\}", lambda default: default[1] or "given", text.replace("\\\n", " "))
        for found in re.finditer(
            rf"{program} [^`]*?(?=`|\n|&&|#|$)", re.sub(r"`[^`\n]+\n[^`\n]+`", joined, text)
        ):
            yield shlex.split(found[0])


def joined(span: re.Match[str]) -> str:
    """Return a code span that was wrapped, on one line."""
    return span[0].replace("\n", " ")


def test_rosdep_is_never_asked_for_what_only_pip_has() -> None:
    manifests = (path.read_text(encoding="utf-8") for path in ROOT.glob("src/*/package.xml"))
    from_pip = {key for text in manifests for key in re.findall(r">([\w-]+-pip)<", text)}
    asked = [words for words in commands("rosdep install") if words[words.index("--from-paths") + 1] == "src"]
    assert len(asked) >= 4 and from_pip
    for words in asked:
        assert "--skip-keys" in words, words
        assert set(words[words.index("--skip-keys") + 1].split()) == from_pip


def test_no_launch_argument_is_empty_for_ros2_launch_takes_it_for_malformed() -> None:
    found = list(commands("ros2 launch"))
    assert len(found) > 10
    assert not [words for words in found if any(word.endswith(":=") for word in words)]


@pytest.mark.parametrize("file", ["docs/hardware.md", "docker/compose.yaml"])
def test_who_trains_or_acts_from_pictures_is_told_of_the_backbones_file(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "learner.resnet10_weights=" in text and "actor.resnet10_weights=" in text
    for words in commands("ros2 launch"):
        if "pcb_insertion.launch.py" in words and "obs:=image" in words:
            assert any(word.startswith("settings:=") for word in words), words
