# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The doctor finds what is there, says what to do about the rest, and never breaks down itself."""

import io
import sys
from collections import namedtuple

import pytest
from rich.console import Console

from serl_bringup import doctor
from serl_bringup.doctor import Check, diagnose, healthy, show


@pytest.fixture(scope="module")
def found():
    return {check.name: check for check in diagnose()}


def shown(checks):
    stream = io.StringIO()
    show(checks, Console(file=stream, width=100))
    return stream.getvalue()


def test_what_this_test_runs_on_is_found(found):
    assert found["Python"].ok and sys.executable in found["Python"].found
    for name in ("ROS 2", "middleware (RMW)", "MuJoCo", "JAX", "cores", "memory", "disk"):
        assert found[name].found, name
    assert found["JAX"].ok and any(kind in found["JAX"].found for kind in ("cpu", "gpu", "tpu"))
    assert not any(found[name].required for name in ("rosbag2", "ros2_control", "off-screen rendering"))


def test_a_missing_compiler_comes_with_advice(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    check = doctor._compiler()
    assert not check.ok and check.required and "apt install g++" in check.advice


def test_a_full_disk_and_a_module_that_is_not_built(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: namedtuple("u", "free")(10**8))
    assert not doctor._disk().ok
    check = doctor._own_package("serl_x", "serl_no_such_module", "nothing")()
    assert not check.ok and "serl_no_such_module" in check.found and "build" in check.advice


def test_a_broken_check_is_a_finding(monkeypatch):
    def _memory():
        raise PermissionError("no /proc here")

    monkeypatch.setattr(doctor, "_CHECKS", (_memory,))
    (check,) = diagnose()
    assert (check.name, check.ok) == ("memory", False) and "no /proc here" in check.found


def test_only_what_is_required_makes_it_unwell():
    good, extra = Check("a", True, "1.0"), Check("b", False, "not here", "install b", required=False)
    assert healthy([good, extra])
    text = shown([good, extra])
    assert "b (optional)" in text and "b: install b" in text and "All that is needed is there." in text
    bad = Check("c", False, "[none]", "install c")
    assert not healthy([good, bad])
    text = shown([good, bad])
    assert "[none]" in text and "c: install c" in text and "Something is missing" in text
