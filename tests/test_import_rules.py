# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The rules of the house that no single file shows: who may import whom, and names that carry order.

Every rule is proved to bite on a small violating file at the end.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]

TOP_TO_BOTTOM = (
    "serl_bringup",
    "serl_sim",
    "serl_env_node",
    "serl_actor",
    "serl_reward",
    "serl_learner",
    "serl_core",
    "serl_controllers",
    "serl_msgs",
)
CODEC = PurePosixPath("serl_core/serl_core/codec.py")
CONTRACT = PurePosixPath("serl_core/serl_core/contract.py")
JAX = {"jax", "jaxlib", "flax", "optax", "orbax", "distrax", "chex"}
NO_QUATERNIONS = {"HELD_BAD_QUATERNION"}
"""Flags that are called after quaternions."""
PICKLE = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@dataclass(frozen=True)
class Import:
    """One imported module; `local` inside a function."""

    module: str
    line: int
    local: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def local_qos(self) -> bool:
        return self.local and self.module == "rclpy.qos"


def imports(tree: ast.AST, local: bool = False) -> Iterator[Import]:
    """Yield every import, those written as `import_module("name")` and under TYPE_CHECKING included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, local) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield Import(node.module or "", node.lineno, local)
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield Import(str(first.value), node.lineno, local)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from imports(node, local or inside)


def allows_pickle(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that ask NumPy to load pickled objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            refused = isinstance(node.value, ast.Constant) and node.value.value is False
            if not refused:
                yield node.value.lineno


def names_defined(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield variables, attributes, parameters and fields where they are given their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def lies_above(imported: str, package: str) -> bool:
    known = imported in TOP_TO_BOTTOM and package in TOP_TO_BOTTOM
    return known and TOP_TO_BOTTOM.index(imported) < TOP_TO_BOTTOM.index(package)


def may_use_jax(path: PurePosixPath) -> bool:
    package = path.parts[0]
    return (
        package == "serl_learner"
        or path.parts[-2:] == ("serl_actor", "policy_runner.py")
        or (package == "serl_reward" and "classifier" in path.name)
    )


def violations(path: PurePosixPath, source: str) -> list[str]:
    """Return what a source file does against the rules, one line each.

    Args:
        path: Path of the file relative to `src`, its first part being the package.
        source: Its text.
    """
    tree = ast.parse(source)
    package, name = path.parts[0], path.name
    is_test = "test" in path.parts[1:-1]
    is_node = name.endswith("_node.py")
    found = []

    def report(line: int, what: str) -> None:
        found.append(f"src/{path}:{line}: {what}")

    for used in imports(tree):
        if used.top in PICKLE:
            report(used.line, f"{used.module}: nothing is pickled")
        if is_test:
            continue
        if lies_above(used.top, package):
            report(used.line, f"{package} must not import {used.top}, which lies above it")
        if used.top == "rclpy" and not is_node and not (path == CONTRACT and used.local_qos):
            report(used.line, "rclpy belongs in files called *_node.py")
        if used.top == "serl_msgs" and not is_node and path not in (CODEC, CONTRACT):
            report(used.line, "serl_msgs belongs in codec, contract and files called *_node.py")
        if used.top in JAX and not may_use_jax(path):
            report(used.line, f"{used.top} belongs in the learner, the policy runner and the classifier")
    for line in allows_pickle(tree):
        report(line, "allow_pickle: nothing is pickled")
    for variable, line in names_defined(tree):
        if variable in NO_QUATERNIONS:
            continue
        if "quat" in variable.lower() and not variable.lower().endswith(("_xyzw", "_wxyz")):
            report(line, f"{variable} does not tell the order of its elements: end it in _xyzw or _wxyz")
    return found


def source_files() -> list[Path]:
    return sorted(path for package in TOP_TO_BOTTOM for path in (ROOT / "src" / package).rglob("*.py"))


def test_the_packages_are_those_of_the_workspace() -> None:
    assert {path.parent.name for path in (ROOT / "src").glob("*/package.xml")} == set(TOP_TO_BOTTOM)


def test_the_sources_keep_the_rules() -> None:
    files = source_files()
    assert len(files) > 30
    found = [
        line
        for path in files
        for line in violations(
            PurePosixPath(path.relative_to(ROOT / "src").as_posix()), path.read_text("utf-8")
        )
    ]
    assert not found, "\n" + "\n".join(found)


CORE = "serl_core/serl_core/new.py"
LEARNER = "serl_learner/serl_learner/new.py"


@pytest.mark.parametrize(
    ("path", "source", "told"),
    [
        (CORE, "import serl_env_node", "must not import serl_env_node"),
        (CORE, "from serl_learner.replay import Replay", "must not import serl_learner"),
        (LEARNER, "def f():\n    from serl_reward import pose", "must not import serl_reward"),
        (
            "serl_env_node/serl_env_node/new.py",
            "import importlib\nimportlib.import_module('serl_sim.x')",
            "serl_sim",
        ),
        (CORE, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import serl_actor", "serl_actor"),
        (CORE, "import rclpy", "rclpy belongs"),
        (CORE, "def f():\n    from rclpy.qos import QoSProfile", "rclpy belongs"),
        ("serl_core/serl_core/contract.py", "from rclpy.qos import QoSProfile", "rclpy belongs"),
        ("serl_core/serl_core/contract.py", "def f():\n    import rclpy", "rclpy belongs"),
        ("serl_core/serl_core/codec.py", "import rclpy.node", "rclpy belongs"),
        (CORE, "from serl_msgs.msg import Action", "serl_msgs belongs"),
        (LEARNER, "import serl_msgs.msg", "serl_msgs belongs"),
        ("serl_learner/serl_learner/codec.py", "import serl_msgs.msg", "serl_msgs belongs"),
        ("serl_actor/serl_actor/actor_node.py", "import jax", "jax belongs"),
        ("serl_bringup/serl_bringup/doctor.py", "import jax.numpy as jnp", "jax belongs"),
        ("serl_reward/serl_reward/pose.py", "from flax import linen", "flax belongs"),
        (LEARNER, "import pickle", "nothing is pickled"),
        (LEARNER, "from joblib import dump", "nothing is pickled"),
        ("serl_learner/test/test_new.py", "import pickle", "nothing is pickled"),
        (LEARNER, "import numpy\nnumpy.load('x', allow_pickle=True)", "nothing is pickled"),
        (CORE, "quat = [0, 0, 0, 1]", "quat does not tell"),
        (CORE, "def f(quaternion): ...", "quaternion does not tell"),
        (CORE, "class A:\n    tcp_quat: list", "tcp_quat does not tell"),
        (CORE, "class A:\n    def __init__(self):\n        self.quat = 1", "quat does not tell"),
        (CORE, "for Quat_xyzw_b in []: ...", "Quat_xyzw_b does not tell"),
    ],
)
def test_every_rule_bites(path: str, source: str, told: str) -> None:
    found = violations(PurePosixPath(path), source)
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("serl_env_node/serl_env_node/new.py", "import serl_core\nfrom serl_actor import config"),
        (CORE, "from serl_core import types\nfrom . import specs"),
        ("serl_core/test/test_new.py", "import rclpy, jax, serl_msgs, serl_bringup"),
        ("serl_env_node/serl_env_node/env_node.py", "import rclpy\nfrom serl_msgs.msg import Action"),
        (
            "serl_core/serl_core/contract.py",
            "import serl_msgs\ndef f():\n    from rclpy.qos import QoSProfile",
        ),
        ("serl_core/serl_core/codec.py", "from serl_msgs import msg"),
        (LEARNER, "import jax, optax\nimport numpy\nnumpy.load('x', allow_pickle=False)"),
        ("serl_actor/serl_actor/policy_runner.py", "import jax"),
        ("serl_reward/serl_reward/image_classifier.py", "import jax"),
        (CORE, "quat_xyzw = 1\ntarget_quaternion_wxyz = 2\nf(quat=3)"),
    ],
)
def test_what_is_allowed_is_let_through(path: str, source: str) -> None:
    assert violations(PurePosixPath(path), source) == []
