# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What this machine has of what the suite needs, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from serl_bringup.run_folder import MIN_FREE_BYTES, ros_distribution

_APT = "sudo apt install"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked for.
        ok: Whether it will do.
        found: What was found, e.g. a version.
        advice: What to do where it will not do, or what one goes without; may be empty.
        required: Whether `./serl run` needs it.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""
    required: bool = True


def diagnose() -> list[Check]:
    """Look at everything; a check that itself breaks is a finding that says so, never a traceback."""
    findings = []
    for check in _CHECKS:
        try:
            findings.append(check())
        except Exception as error:
            name = (check.__name__.strip("_")).replace("_", " ")
            findings.append(
                Check(
                    name, False, f"{type(error).__name__}: {error}".splitlines()[0], "run ./serl setup again"
                )
            )
    return findings


def healthy(checks: list[Check]) -> bool:
    """Return whether all that is needed is there."""
    return all(check.ok or not check.required for check in checks)


def show(checks: list[Check], console: Console) -> None:
    """Print the findings as a table, and what to do below it."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[bold red]no[/]" if check.required else "[yellow]--[/]"
        table.add_row(mark, check.name + ("" if check.required else " (optional)"), _plain(check.found))
    console.print(table)
    for check in checks:
        if not check.ok and check.advice:
            console.print(f"{check.name}: {check.advice}", markup=False, highlight=False, soft_wrap=True)
    verdict = "All that is needed is there." if healthy(checks) else "Something is missing: see above."
    console.print(verdict, style="green" if healthy(checks) else "bold red")


def _python() -> Check:
    ok = (3, 10) <= sys.version_info[:2] < (3, 15)
    found = f"{platform.python_version()} ({sys.executable})"
    return Check(
        "Python", ok, found, f"Python 3.10 to 3.14 is needed: {_APT} python3 python3-venv python3-dev"
    )


def _compiler() -> Check:
    path = (
        shutil.which(os.environ.get("CXX", ""))
        or shutil.which("c++")
        or shutil.which("g++")
        or shutil.which("clang++")
    )
    if path is None:
        return Check("C++ compiler", False, "none", f"{_APT} g++")
    line = _output([path, "--version"]).splitlines()
    return Check("C++ compiler", True, line[0] if line else path)


def _ros() -> Check:
    spec = importlib.util.find_spec("rclpy")
    if spec is None:
        return Check(
            "ROS 2", False, "no rclpy", "start by ./serl, which sets it up, or source a ROS 2 installation"
        )
    try:
        source = f"wheels, rclpy {importlib.metadata.version('ros-rclpy')}"
    except importlib.metadata.PackageNotFoundError:
        source = f"installation, {Path(spec.origin or '').parents[4]}"
    name = ros_distribution()
    supported = ("jazzy", "kilted", "lyrical", "rolling")
    advice = f"the suite is made for {', '.join(supported[:3])}"
    return Check("ROS 2", name in supported, f"{name} ({source})", advice)


def _middleware() -> Check:
    code = "import rclpy; print(rclpy.get_rmw_implementation_identifier())"
    found = _output([sys.executable, "-c", code]).strip()  # in a process of its own: it loads DDS
    asked = os.environ.get("RMW_IMPLEMENTATION", "")
    advice = (
        f"RMW_IMPLEMENTATION={asked} cannot be loaded: unset it or install it"
        if asked
        else "run ./serl setup again"
    )
    return Check("middleware (RMW)", bool(found), found or "none loads", advice)


def _own_package(name: str, module: str, why: str) -> Callable[[], Check]:
    def check() -> Check:
        code = f"import {module} as m; print(m.__file__)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0:
            return Check(name, True, f"{why}: imports")
        last = (done.stderr.strip().splitlines() or ["does not import"])[-1]
        return Check(
            name,
            False,
            last,
            "build the workspace: ./serl setup, or colcon build --merge-install, and source it",
        )

    return check


def _mujoco() -> Check:
    return _distribution("MuJoCo", "mujoco")


def _jax() -> Check:
    code = (
        "import jax;"
        "print(jax.__version__ + ', ' + ', '.join(f'{d.platform} {d.device_kind}' for d in jax.devices()))"
    )
    found = _output([sys.executable, "-c", code], timeout=120).strip()
    return Check("JAX", bool(found), found or "does not import", "run ./serl setup again")


def _rendering() -> Check:
    code = (
        "import mujoco;"
        "m = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light/></worldbody></mujoco>');"
        "r = mujoco.Renderer(m, 32, 32); d = mujoco.MjData(m); mujoco.mj_forward(m, d);"
        "r.update_scene(d); r.render()"
    )
    chosen = os.environ.get("MUJOCO_GL", "")
    for backend in [chosen] if chosen else ["egl", "osmesa"]:
        environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, timeout=60, check=False
        )
        if done.returncode == 0:
            return Check("off-screen rendering", True, f"MUJOCO_GL={backend}", required=False)
    advice = f"only --set obs=image needs it: {_APT} libegl1 libgl1 (or libosmesa6)"
    return Check("off-screen rendering", False, "neither EGL nor OSMesa works", advice, required=False)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    advice = f"a run needs {MIN_FREE_BYTES / 1e9:.0f} GB: free some, or give runs another disk with --out"
    return Check("disk", free >= MIN_FREE_BYTES, f"{free / 1e9:.1f} GB free here", advice)


def _cores() -> Check:
    count = len(os.sched_getaffinity(0))
    return Check(
        "cores",
        count >= 2,
        str(count),
        "it works on one, but learning and simulation share it",
        required=False,
    )


def _memory() -> Check:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(fields[name].split()[0]) * 1024 / 1e9 for name in ("MemTotal", "MemAvailable"))
    return Check(
        "memory",
        free >= 2.0,
        f"{free:.1f} GB of {total:.1f} GB available",
        "a run needs 2 GB: close something",
    )


def _rosbag2() -> Check:
    ok = importlib.util.find_spec("rosbag2_py") is not None
    without = "bags are written and read by `rosbags` instead; `ros2 bag` comes with a ROS 2 installation"
    return Check("rosbag2", ok, "rosbag2_py" if ok else "not here", without, required=False)


def _ros2_control() -> Check:
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    place = next((p for p in prefixes if (p / "share" / "controller_interface").is_dir()), None)
    without = "only `ros2 launch` and real arms need it; it comes with a ROS 2 installation"
    return Check(
        "ros2_control", place is not None, str(place) if place else "not here", without, required=False
    )


def _distribution(name: str, package: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not here", "run ./serl setup again")


def _output(command: list[str], timeout: float = 60.0) -> str:
    """Return what a command prints; "" where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    return done.stdout if done.returncode == 0 else ""


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


_CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    _compiler,
    _ros,
    _middleware,
    _own_package("serl_msgs", "serl_msgs.msg", "messages of the loop"),
    _own_package("serl_controllers", "serl_controllers", "control law"),
    _own_package("serl_sim", "serl_sim", "simulation"),
    _mujoco,
    _jax,
    _disk,
    _cores,
    _memory,
    _rendering,
    _rosbag2,
    _ros2_control,
)
