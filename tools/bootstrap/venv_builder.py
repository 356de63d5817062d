# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Makes the virtual environment: the pinned packages, usable from CMake."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import stamp
from state import Failure, State

UV = "uv==0.13.8"
# Python nodes need only the C type supports of Fast DDS (and introspection, without which it prints errors that
# are none); these others double the build of the messages.
UNUSED_GENERATORS = (
    "rosidl_typesupport_introspection_cpp",
    "rosidl_typesupport_fastrtps_cpp",
    "rosidl_typesupport_cpp",
)
REGISTRATION = re.compile(r'ament_register_extension\(\s*"rosidl_generate_idl_interfaces"[^)]*\)')
UNREACHABLE = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|No route to host|Connection refused"
    r"|NewConnectionError|ConnectTimeout|Read timed out|dns error|ProxyError"
    r"|CERTIFICATE_VERIFY_FAILED|SSLError|error sending request|Could not fetch URL|Max retries exceeded",
    re.IGNORECASE,
)
FULL_DISK = re.compile(r"No space left on device|Disk quota exceeded|os error 28")
NO_BUILD = re.compile(r"No matching distribution found for (\S+)")
BUILD_MACHINE_PYTHON = re.compile(r"/opt/python/cp\d+-cp\d+\w*/include/python3\.\d+\w*")
BUILD_MACHINE_NUMPY = re.compile(
    r"/opt/python/cp\d+-cp\d+\w*/lib/python3\.\d+\w*/site-packages/numpy/(?:_core|core)/include"
)


def make(
    state: State, stage: Callable[[str], AbstractContextManager[None]], say: Callable[[str], None]
) -> None:
    """Make the virtual environment from nothing; an interrupted one is never trusted."""
    shutil.rmtree(state.venv, ignore_errors=True)
    state.log.mkdir(parents=True, exist_ok=True)
    log = state.log / "install.log"
    log.write_text("")
    options = ["--system-site-packages"] if state.distro else []
    what = f"ROS 2 {state.distro.capitalize()} as sourced" if state.distro else "ROS 2 from wheels"
    with stage(f"making a virtual environment (Python {sys.version.split()[0]}, {what})"):
        if run([sys.executable, "-m", "venv", *options, str(state.venv)], log) != 0:
            raise diagnose(log)
    with stage(f"installing the pinned packages (log: {log})"):
        install(state, log, say)
    if not state.distro:
        patch_cmake(state.venv, Path(sysconfig.get_paths()["include"]), numpy_include(state))
        keep_c_type_supports(state.venv)


def install(state: State, log: Path, say: Callable[[str], None]) -> None:
    """Install by uv, which takes a tenth of pip's time, and by pip where uv cannot."""
    pip = [str(state.python), "-m", "pip"]
    quiet = ["--no-input", "--disable-pip-version-check", "--retries", "2"]
    files = [argument for file in state.requirements for argument in ("-r", str(file))]
    settings = pip_settings(pip)
    if run([*pip, "install", *quiet, "--no-compile", UV], log) != 0:
        raise diagnose(log)
    command = [
        str(state.venv / "bin" / "uv"),
        "pip",
        "install",
        "--python",
        str(state.python),
        "--no-deps",
        *files,
    ]
    if run([*command, *uv_arguments(settings)], log, uv_variables(settings, os.environ)) == 0:
        return
    say("  the fast installer failed; taking pip, which needs about a minute more")
    if run([*pip, "install", *quiet, "--no-deps", "--no-compile", "--prefer-binary", *files], log) != 0:
        raise diagnose(log)


def run(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Run a command with its output appended to the log; return its exit status."""
    with open(log, "a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        return subprocess.run(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ).returncode


def diagnose(log: Path) -> Failure:
    """Return the one line that explains a failed installation, from its log."""
    text = log.read_text(errors="replace")
    if FULL_DISK.search(text):
        cause = "the disk is full. Make room, or name a folder on another disk: SERL_HOME=DIR ./serl"
    elif UNREACHABLE.search(text) or f"No matching distribution found for {UV}" in text:
        cause = (
            "the Python package registry cannot be reached. Check the network (or the proxy or mirror that "
            "pip is configured for) and run the same command again"
        )
    elif match := NO_BUILD.search(text):
        cause = f"the registry has no {match[1]} for Python {sys.version.split()[0]} on this machine"
    else:
        last = [line for line in text.splitlines() if line.strip()][-1:]
        cause = f"installing the Python packages failed: {''.join(last).strip()}"
    return Failure(f"{cause}. Log: {log}")


# --- pip's configuration, for uv -------------------------------------------------------------------------


def pip_settings(pip: list[str]) -> dict[str, list[str]]:
    """Return pip's configured options by name, whichever file or variable set them."""
    output = subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout
    return parse_pip_settings(output)


def parse_pip_settings(text: str) -> dict[str, list[str]]:
    """Parse `pip config list`: lines as `global.index-url='...'`, with \\n between the values of a list."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(?:global|install|:env:)\.([a-z-]+)=(['\"])(.*)\2", line.strip())
        if match:
            settings[match[1]] = match[3].replace("\\n", " ").split()
    return settings


def uv_arguments(settings: Mapping[str, list[str]]) -> list[str]:
    """Translate pip's places to look for packages; folders that do not exist are left out, as pip does."""
    arguments = []
    for name, option in (
        ("index-url", "--index-url"),
        ("extra-index-url", "--extra-index-url"),
        ("find-links", "--find-links"),
        ("trusted-host", "--allow-insecure-host"),
    ):
        for value in settings.get(name, []):
            folder = value.removeprefix("file://")
            if not folder.startswith("/") or Path(folder).exists():
                arguments += [option, value]
    if "--extra-index-url" in arguments:
        arguments += ["--index-strategy", "unsafe-best-match"]  # pip asks every index, too
    if "no-index" in settings:
        arguments.append("--no-index")
    return arguments


def uv_variables(settings: Mapping[str, list[str]], inherited: Mapping[str, str]) -> dict[str, str]:
    variables = {key: value for key, value in inherited.items() if key != "VIRTUAL_ENV"}
    if "cert" in settings:
        variables.setdefault("SSL_CERT_FILE", settings["cert"][0])
    if "proxy" in settings:
        variables.setdefault("HTTPS_PROXY", settings["proxy"][0])
    return variables


# --- the wheels' CMake files -----------------------------------------------------------------------------


def numpy_include(state: State) -> Path:
    return state.site_packages / "numpy" / "_core" / "include"


def patch_cmake(prefix: Path, python_include: Path, numpy: Path) -> int:
    """Point the wheels' exported CMake targets at this environment's headers; return how many files changed.

    They name the folders of the machine that the wheels were built on. Files are replaced, not edited in
    place: the installer may share their contents with its cache and so with other environments.
    """
    changed = 0
    for file in sorted((prefix / "share").glob("*/cmake/*.cmake")):
        text = file.read_text()
        patched = BUILD_MACHINE_NUMPY.sub(lambda _: str(numpy), text)
        patched = BUILD_MACHINE_PYTHON.sub(lambda _: str(python_include), patched)
        if patched != text:
            stamp.replace_text(file, patched)
            changed += 1
    return changed


def keep_c_type_supports(prefix: Path) -> None:
    """Generate messages for the one middleware among the wheels, as Python uses it, and for nothing else."""
    for name in UNUSED_GENERATORS:
        extras = prefix / "share" / name / "cmake" / f"{name}-extras.cmake"
        stamp.replace_text(extras, REGISTRATION.sub("", extras.read_text()))
    index = prefix / "share" / "ament_index" / "resource_index"
    for marker in (index / "rosidl_typesupport_cpp").glob("rosidl_typesupport_introspection_*"):
        marker.unlink()
