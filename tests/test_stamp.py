# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A second call does nothing, and a changed file is never missed."""

import os
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import stamp
from state import State
from workspace import find_packages, outdated, signature


@pytest.fixture
def ready(repository: Path, tmp_path: Path) -> State:
    """A workspace that was set up and built."""
    state = State(repository, tmp_path / "home", None)
    state.python.parent.mkdir(parents=True)
    state.python.write_text("")
    packages = find_packages(repository / "src")
    content = {
        "environment_key": stamp.environment_key(state),
        "tree_key": stamp.tree_key(repository / "src"),
        "packages": {name: package.signature for name, package in packages.items()},
        "testing": False,
        "environment": {},
    }
    stamp.write(state, content)
    return state


def test_nothing_changed_means_nothing_to_do(ready: State) -> None:
    assert stamp.read_current(ready, testing=False) is not None


def test_deciding_so_takes_milliseconds(ready: State) -> None:
    folder = ready.root / "src" / "low_msgs" / "msg"
    folder.mkdir()
    for index in range(500):
        (folder / f"M{index}.msg").write_text("float64 x\n")
    content = stamp.read(ready)
    stamp.write(ready, {**content, "tree_key": stamp.tree_key(ready.root / "src")})
    start = time.process_time()
    assert stamp.read_current(ready, testing=False) is not None
    assert time.process_time() - start < 0.3


def test_a_build_without_tests_is_not_enough_for_a_test_run(ready: State) -> None:
    assert stamp.read_current(ready, testing=True) is None
    stamp.write(ready, {**stamp.read(ready), "testing": True})
    assert stamp.read_current(ready, testing=True) is not None
    assert stamp.read_current(ready, testing=False) is not None


@pytest.mark.parametrize("change", ["edit", "add", "delete", "requirement", "interpreter", "garbage"])
def test_each_change_is_noticed(ready: State, change: str) -> None:
    source = ready.root / "src/mid_sim/host.cpp"
    if change == "edit":
        source.write_text("int main() { return 1; }\n")
    elif change == "add":
        (source.parent / "new.cpp").write_text("")
    elif change == "delete":
        source.unlink()
    elif change == "requirement":
        (ready.root / "requirements-ros.txt").write_text("something==1.1\n")
    elif change == "interpreter":
        ready.python.unlink()
    elif change == "garbage":
        ready.stamp.write_text("{half a fi")
    assert stamp.read_current(ready, testing=False) is None


def test_an_edit_that_keeps_the_size_is_noticed(ready: State) -> None:
    source = ready.root / "src/mid_sim/scene.py"
    before = source.stat()
    source.write_text("size = 2\n")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert stamp.read_current(ready, testing=False) is None


def test_what_tools_leave_in_the_sources_is_no_change(ready: State) -> None:
    for name in ("__pycache__", ".pytest_cache", ".ruff_cache"):
        folder = ready.root / "src" / "mid_sim" / name
        folder.mkdir()
        (folder / "leftover").write_text("")
    assert stamp.read_current(ready, testing=False) is not None


def test_only_the_changed_package_and_compiled_dependents_are_built_again(repository: Path) -> None:
    sources = repository / "src"
    built = {name: package.signature for name, package in find_packages(sources).items()}
    assert outdated(find_packages(sources), built) == set()
    (sources / "low_msgs" / "CMakeLists.txt").write_text("project(low_msgs CXX)\n")
    assert outdated(find_packages(sources), built) == {"low_msgs", "mid_sim"}
    assert outdated(find_packages(sources), {}) == {"low_msgs", "mid_sim", "top_node"}


def test_editing_python_needs_no_build(repository: Path) -> None:
    sources = repository / "src"
    before = {name: package.signature for name, package in find_packages(sources).items()}
    (sources / "mid_sim" / "scene.py").write_text("size = 2\n")
    (sources / "top_node" / "top_node" / "__init__.py").write_text("version = 2\n")
    (sources / "top_node" / "top_node" / "new_module.py").write_text("")
    (sources / "top_node" / "launch.yaml").write_text("a: 2\n")
    (sources / "top_node" / "test").mkdir()
    (sources / "top_node" / "test" / "test_it.py").write_text("")
    assert outdated(find_packages(sources), before) == set()


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("top_node/setup.py", "top_node"),
        ("top_node/package.xml", "top_node"),
        ("top_node/rviz.yaml", "top_node"),
        ("mid_sim/new_module.py", "mid_sim"),
        ("mid_sim/host.cpp", "mid_sim"),
        ("mid_sim/test/test_host.cpp", "mid_sim"),
    ],
)
def test_what_the_build_reads_needs_one(repository: Path, file: str, package: str) -> None:
    folder = repository / "src" / package
    build_type = "ament_python" if package == "top_node" else "ament_cmake"
    before = signature(folder, build_type)
    path = repository / "src" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n")
    assert signature(folder, build_type) != before


def test_a_replaced_file_leaves_other_links_to_its_content_alone(tmp_path: Path) -> None:
    original, shared = tmp_path / "original", tmp_path / "shared"
    original.write_text("as installed")
    os.link(original, shared)
    stamp.replace_text(original, "changed")
    assert original.read_text() == "changed"
    assert shared.read_text() == "as installed"


def test_the_environment_of_a_command_keeps_other_ros_installations_out(repository: Path) -> None:
    own = {"PATH": "/venv/bin", "PYTHONPATH": "/install/python", "AMENT_PREFIX_PATH": "/install"}
    inherited = {"PATH": "/usr/bin", "PYTHONPATH": "/other/ros", "AMENT_PREFIX_PATH": "/other", "LANG": "C"}
    wheels = stamp.command_environment(State(repository, repository, None), own, inherited)
    assert wheels["PATH"] == "/venv/bin:/usr/bin"
    assert wheels["PYTHONPATH"] == "/install/python"
    assert wheels["AMENT_PREFIX_PATH"] == "/install"
    assert wheels["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    assert wheels["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert wheels["JAX_COMPILATION_CACHE_DIR"] == str(repository / "jax")
    assert wheels["LANG"] == "C"


def test_the_environment_of_a_command_is_laid_over_a_sourced_distribution(repository: Path) -> None:
    own = {"PYTHONPATH": "/install/python", "AMENT_PREFIX_PATH": "/install:/opt/ros/kilted"}
    inherited = {
        "PYTHONPATH": "/opt/ros/kilted/python",
        "AMENT_PREFIX_PATH": "/opt/ros/kilted",
        "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "JAX_COMPILATION_CACHE_DIR": "/var/cache/jax",
    }
    environment = stamp.command_environment(State(repository, repository, "kilted"), own, inherited)
    assert environment["PYTHONPATH"] == "/install/python:/opt/ros/kilted/python"
    assert environment["AMENT_PREFIX_PATH"] == "/install:/opt/ros/kilted"
    assert environment["RMW_IMPLEMENTATION"] == "rmw_cyclonedds_cpp", "the user's choice stays"
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert environment["JAX_COMPILATION_CACHE_DIR"] == "/var/cache/jax"


def test_messages_of_several_megabytes_have_room_unless_the_user_chose(tmp_path: Path) -> None:
    state = State(tmp_path, tmp_path, None)
    name = "FASTDDS_DEFAULT_PROFILES_FILE"
    file = Path(stamp.command_environment(state, {}, {})[name])
    sizes = [
        int(node.text or 0) for node in ElementTree.parse(file).iter() if node.tag.endswith("segment_size")
    ]
    assert sizes and min(sizes) > 4 * 5_000_000
    assert stamp.command_environment(state, {}, {name: "own.xml"})[name] == "own.xml"
