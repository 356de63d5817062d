# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The bootstrap is not an installed package: it runs before anything is installed."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "bootstrap"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository with one compiled message package, one that depends on it, and a Python package."""
    root = tmp_path / "repository"
    for name, build_type, dependency in (
        ("low_msgs", "ament_cmake", None),
        ("mid_sim", "ament_cmake", "low_msgs"),
        ("top_node", "ament_python", "low_msgs"),
    ):
        folder = root / "src" / name
        folder.mkdir(parents=True)
        depend = f"<depend>{dependency}</depend>" if dependency else ""
        (folder / "package.xml").write_text(
            f"<package format='3'><name>{name}</name>{depend}"
            f"<export><build_type>{build_type}</build_type></export></package>"
        )
    (root / "src/low_msgs/CMakeLists.txt").write_text("project(low_msgs)\n")
    (root / "src/mid_sim/host.cpp").write_text("int main() {}\n")
    (root / "src/mid_sim/scene.py").write_text("size = 1\n")
    (root / "src/top_node/setup.py").write_text("setup()\n")
    (root / "src/top_node/top_node").mkdir()
    (root / "src/top_node/top_node/__init__.py").write_text("")
    (root / "src/top_node/launch.yaml").write_text("a: 1\n")
    for name in ("requirements.txt", "requirements-ros.txt"):
        (root / name).write_text("something==1.0\n")
    return root
