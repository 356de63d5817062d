# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Brings environment and build up to date, and nothing more than what changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import machine
import stamp
import venv_builder
from state import Failure, State, is_plain

DEPENDENCY_TAGS = {
    "depend", "build_depend", "build_export_depend", "buildtool_depend", "buildtool_export_depend",
    "exec_depend",
}  # fmt: skip


def say(text: str) -> None:
    print(f"serl: {text}", file=sys.stderr, flush=True)


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Print what begins and, when it ends well, how long it took."""
    say(f"{text} ...")
    start = time.monotonic()
    yield
    say(f"  done in {time.monotonic() - start:.1f} s")


@contextmanager
def locked(state: State) -> Iterator[None]:
    """Hold this workspace's lock: one set-up at a time; a second call waits for it and says so."""
    elsewhere = "Name another folder: SERL_HOME=DIR ./serl"
    path = state.folder / "lock"
    try:
        state.folder.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise Failure(f"{path} cannot be written ({error.strerror}). {elsewhere}") from error
    if state.folder.stat().st_uid != os.getuid():  # in /var/tmp anybody could have made it
        raise Failure(f"{state.folder} belongs to another user. {elsewhere}")
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another serl command is setting this workspace up; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- packages --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """A source package: what decides whether it must be built again."""

    name: str
    build_type: str
    dependencies: frozenset[str]
    signature: str


def find_packages(sources: Path) -> dict[str, Package]:
    packages = (read_package(manifest.parent) for manifest in sorted(sources.glob("*/package.xml")))
    return {package.name: package for package in packages}


def read_package(folder: Path) -> Package:
    try:
        manifest = ElementTree.parse(folder / "package.xml").getroot()
        name = manifest.findtext("name", "").strip()
    except ElementTree.ParseError as error:
        raise Failure(f"{folder / 'package.xml'} is not valid XML: {error}") from error
    build_type = manifest.findtext("export/build_type", "ament_cmake").strip()
    dependencies = frozenset((e.text or "").strip() for e in manifest if e.tag in DEPENDENCY_TAGS)
    return Package(name, build_type, dependencies, signature(folder, build_type))


def signature(folder: Path, build_type: str) -> str:
    """Hash what a build of the package depends on.

    Python modules, launch files and data are installed as links, so their names count and their contents do
    not; of a Python package the modules count not even by name, because their whole folder is one link. What
    is compiled, or read by CMake or setup.py, counts in full.
    """
    python = build_type == "ament_python"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        in_test = relative.parts[0] == "test" and (python or relative.suffix == ".py")
        if in_test or not path.is_file() or stamp.SKIPPED_FOLDERS.intersection(relative.parts):
            continue
        if python and relative.suffix == ".py" and (folder / relative.parts[0] / "__init__.py").exists():
            continue
        digest.update(f"{relative}\0".encode())
        linked = python or relative.suffix in (".py", ".md")
        if not linked or relative.name in ("setup.py", "setup.cfg", "package.xml"):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def outdated(packages: Mapping[str, Package], built: Mapping[str, str]) -> set[str]:
    """Return the packages that changed since they were built, and the compiled ones that depend on them."""
    names = {name for name, package in packages.items() if built.get(name) != package.signature}
    while True:
        above = {
            name
            for name, package in packages.items()
            if package.build_type == "ament_cmake" and name not in names and package.dependencies & names
        }
        if not above:
            return names
        names |= above


# --- build -----------------------------------------------------------------------------------------------


def build_environment(state: State, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that colcon, CMake and the generators run in."""
    site = state.site_packages
    own = {
        "PATH": [site / "cmake/data/bin", state.venv / "bin"],
        "CMAKE_PREFIX_PATH": [site / "cmeel.prefix", site / "pybind11", site / "mujoco"],
    }
    if not state.distro:
        own["AMENT_PREFIX_PATH"] = [state.venv]
        own["CMAKE_PREFIX_PATH"].insert(0, state.venv)
        own["LD_LIBRARY_PATH"] = library_folders(state)
    dropped = () if state.distro else stamp.INHERITED_WITH_DISTRO
    environment = stamp.command_environment(
        state,
        {key: os.pathsep.join(map(str, value)) for key, value in own.items()},
        {key: value for key, value in inherited.items() if key not in dropped},
    )
    environment["VIRTUAL_ENV"] = str(state.venv)
    # The wheels would otherwise restart each Python process once, to set LD_LIBRARY_PATH.
    environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    environment["COLCON_HOME"] = str(state.folder / "colcon")
    environment["CMAKE_GENERATOR"] = "Ninja"
    # Left alone, colcon limits jobs by the load average: on a busy machine that is one job at a time.
    environment.setdefault("MAKEFLAGS", f"-j{len(os.sched_getaffinity(0))}")
    return environment


def library_folders(state: State) -> list[Path]:
    return [state.venv / "lib", *sorted(state.site_packages.glob("ros_*.libs"))]


def colcon_build(state: State, names: set[str], testing: bool) -> None:
    """Build the named packages; the full output goes to the log folder, progress to the terminal."""
    if not is_plain(state.root):
        link_sources(state)
    workers = str(len(os.sched_getaffinity(0)))
    command = [
        str(state.python), "-c", "import sys; from colcon_core.command import main; sys.exit(main())",
        "--log-base", str(state.log / "colcon"), "build", "--merge-install", "--symlink-install",
        "--base-paths", str(state.sources),
        "--build-base", str(state.build), "--install-base", str(state.install),
        "--metas", str(state.root / "colcon.meta"), "--parallel-workers", workers, "--executor", "parallel",
        "--event-handlers", "console_start_end+", "console_stderr-", "summary-",
        "--packages-select", *sorted(names), "--cmake-args", "-DCMAKE_BUILD_TYPE=Release", "-Wno-dev",
        f"-DPython3_EXECUTABLE={state.python}", f"-DPython_EXECUTABLE={state.python}",
        f"-DBUILD_TESTING={'ON' if testing else 'OFF'}",
    ]  # fmt: skip
    state.log.mkdir(parents=True, exist_ok=True)
    with open(state.log / "build.log", "w") as log:
        process = subprocess.Popen(
            command, cwd=state.folder, env=build_environment(state, os.environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        try:
            failed = follow_build(process.stdout or [], log)
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if code:
        raise build_failure(state, failed, code)


def follow_build(output: Iterable[str], log: IO[str]) -> list[str]:
    """Copy colcon's output to the log, report each finished package, return the names of failed ones."""
    failed = []
    for line in output:
        log.write(line)
        if line.startswith("Finished <<<"):
            say(f"  built {line.removeprefix('Finished <<<').strip()}")
        elif line.startswith("Failed") and "<<<" in line:
            failed.append(line.partition("<<<")[2].split()[0])
    return failed


def build_failure(state: State, failed: list[str], code: int) -> Failure:
    lines = [f"building {', '.join(failed) or 'the workspace'} failed (colcon returned {code})."]
    for name in failed:
        output = state.log / "colcon" / "latest_build" / name / "stdout_stderr.log"
        if output.exists():
            text = output.read_text(errors="replace").splitlines()
            lines += [f"  {line}" for line in text[-20:]]
            if any("No space left on device" in line for line in text):
                lines = [f"the disk is full: building {name} failed. Make room and call again."]
            lines.append(f"full log: {output}")
    if not failed:
        lines.append(f"full log: {state.log / 'build.log'}")
    return Failure(*lines, code=1)


def link_sources(state: State) -> None:
    link = state.folder / "src"
    if link.is_symlink() and Path(os.readlink(link)) == state.root / "src":
        return
    link.unlink(missing_ok=True)
    link.symlink_to(state.root / "src", target_is_directory=True)


def built_well(state: State, name: str) -> bool:
    try:
        return (state.build / name / "colcon_build.rc").read_text().strip() == "0"
    except OSError:
        return False


def workspace_environment(state: State) -> dict[str, str]:
    """Return the path variables that the installed workspace's own set-up script sets, wheels included."""
    base = build_environment(state, {"PATH": "/usr/bin:/bin", **distro_variables(state)})
    script = state.install / "local_setup.sh"
    output = subprocess.run(
        ["/bin/sh", "-c", '. "$1" && env -0', "sh", str(script)], env=base, cwd=state.install,
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    variables = dict(entry.split("=", 1) for entry in output.split("\0") if "=" in entry)
    dropped = set(distro_variables(state).get("PATH", "/usr/bin:/bin").split(os.pathsep))
    result = {}
    for key, value in variables.items():
        if key.endswith("PATH") or key in ("VIRTUAL_ENV", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"):
            parts = [part for part in dict.fromkeys(value.split(os.pathsep)) if part]
            result[key] = os.pathsep.join(part for part in parts if key != "PATH" or part not in dropped)
    return result


def distro_variables(state: State) -> dict[str, str]:
    """Return the caller's own variables where a distribution is sourced: the workspace is laid over it."""
    return dict(os.environ) if state.distro else {}


# --- whole -----------------------------------------------------------------------------------------------


def bring_up_to_date(state: State, testing: bool) -> dict[str, Any]:
    """Set up what is missing or out of date and return the stamp that describes the result."""
    with locked(state):
        ready = stamp.read_current(state, testing)  # another call may have done it while this one waited
        if ready is not None:
            return ready
        old = stamp.read(state)
        key = stamp.environment_key(state)
        new_environment = old.get("environment_key") != key or not state.python.exists()
        problems = machine.missing(state, os.environ, new_environment)
        if problems:
            raise Failure(*problems)
        if new_environment:
            for folder in (state.build, state.install, state.log / "colcon"):
                shutil.rmtree(folder, ignore_errors=True)
            state.stamp.unlink(missing_ok=True)
            venv_builder.make(state, stage, say)
            old = {"environment_key": key}
            stamp.write(state, old)
        return build(state, old, testing)


def build(state: State, old: Mapping[str, Any], testing: bool) -> dict[str, Any]:
    """Build what changed; what was built well is remembered even if something else fails."""
    testing = testing or bool(old.get("testing"))
    tree_key = stamp.tree_key(state.root / "src")
    packages = find_packages(state.root / "src")
    built: dict[str, str] = dict(old.get("packages", {}))
    if set(built) - set(packages):  # a package was removed or renamed: nothing of it may stay installed
        shutil.rmtree(state.build, ignore_errors=True)
        shutil.rmtree(state.install, ignore_errors=True)
        built = {}
    if testing and not old.get("testing"):  # compiled packages get their tests
        built = {name: value for name, value in built.items() if packages[name].build_type != "ament_cmake"}
    names = outdated(packages, built)
    new = {**old, "packages": built, "tree_key": "", "testing": testing}
    if names:
        for name in names:
            built.pop(name, None)
            (state.build / name / "colcon_build.rc").unlink(missing_ok=True)
        stamp.write(state, new)
        try:
            with stage(f"building {len(names)} of {len(packages)} packages"):
                colcon_build(state, names, testing)
        finally:
            built.update({name: packages[name].signature for name in names if built_well(state, name)})
            stamp.write(state, new)
        new["environment"] = workspace_environment(state)
    new.setdefault("environment", {})  # nothing to build: an image made before the sources are copied
    new["tree_key"] = tree_key
    stamp.write(state, new)
    return new


def clean(state: State) -> int:
    """Delete everything that the bootstrap made for this checkout and this ROS 2."""
    if state.folder.exists():
        with locked(state):
            for path in state.folder.iterdir():
                if path.name == "lock":
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    say(f"deleted what was in {state.folder}")
    return 0
