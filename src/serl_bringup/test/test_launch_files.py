# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Every launch file makes a launch description whose arguments have defaults and descriptions."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 installation")

from ament_index_python.packages import PackageNotFoundError
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction

from launch import LaunchContext
from serl_bringup import launch_parts

pytestmark = pytest.mark.ros_installation

LAUNCH = Path(__file__).parents[1] / "launch"
FILES = sorted(LAUNCH.glob("*.launch.py"))


def described(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def context_of(description: Any, **given: str) -> LaunchContext:
    context = LaunchContext()
    for argument in description.entities:
        if isinstance(argument, DeclareLaunchArgument):
            default = "".join(part.perform(context) for part in argument.default_value or ())
            context.launch_configurations[argument.name] = given.pop(argument.name, default)
    assert not given, f"no such arguments: {given}"
    return context


def actions(description: Any, **given: str) -> list[Any]:
    context = context_of(description, **given)
    (compose,) = [e for e in description.entities if isinstance(e, OpaqueFunction)]
    return list(compose.execute(context) or [])


def test_the_launch_files_are_those_that_the_readme_names() -> None:
    names = {path.name for path in FILES}
    assert names >= {
        f"{n}.launch.py" for n in ("pcb_insertion", "record_demos", "replay", "eval", "monitor", "robot")
    }
    readme = (LAUNCH.parent / "README.md").read_text()
    assert all(name in readme for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_argument_has_a_default_and_a_description(path: Path) -> None:
    arguments = [e for e in described(path).entities if isinstance(e, DeclareLaunchArgument)]
    assert arguments
    assert all(a.default_value is not None and a.description for a in arguments)


def test_pcb_insertion_has_the_arguments_of_its_documentation() -> None:
    names = {e.name for e in described(LAUNCH / "pcb_insertion.launch.py").entities
             if isinstance(e, DeclareLaunchArgument)}  # fmt: skip
    assert names >= {"robot", "obs", "demos", "resume", "learner", "actor", "record", "rviz", "out", "seed",
                     "real_time_factor", "settings"}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"learner": "false", "actor": "false"}, "leave nothing to start"),
        ({"demos": "nowhere"}, "nowhere does not exist"),
        ({"settings": "env.max_stps=1"}, "did you mean max_steps"),
    ],
)
def test_what_does_not_fit_ends_the_launch_with_one_line(tmp_path: Path, given: dict, told: str) -> None:
    description = described(LAUNCH / "pcb_insertion.launch.py")
    with pytest.raises(RuntimeError, match=told):
        actions(description, out=str(tmp_path / "run"), **given)


def test_replay_needs_a_bag() -> None:
    with pytest.raises(RuntimeError, match="bag must name a bag folder"):
        actions(described(LAUNCH / "replay.launch.py"))


def test_the_learners_machine_starts_no_robot(tmp_path: Path) -> None:
    description = described(LAUNCH / "pcb_insertion.launch.py")
    started = actions(description, out=str(tmp_path / "run"), actor="false")
    executables = {a.node_executable for a in started if hasattr(a, "node_executable")}
    assert executables == {"learner_node", "lifecycle_manager"}


GRIPPER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

def generate_launch_description():
    return LaunchDescription([DeclareLaunchArgument(name) for name in ("robot_ip", "namespace")])
"""
"""What franka_gripper declares without defaults, from v2.0.4 to v3.4.0."""


def test_the_launch_file_of_frankas_gripper_gets_every_argument_that_has_no_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "launch").mkdir()
    (tmp_path / "launch/gripper.launch.py").write_text(GRIPPER)
    monkeypatch.setattr(launch_parts, "get_package_share_directory", lambda _: str(tmp_path))
    monkeypatch.setattr(launch_parts, "describe", lambda *_: "<robot/>")
    parts, _ = launch_parts.robot_parts("pcb_insertion", "franka", tmp_path, 1.0, "172.16.0.2")
    (gripper,) = [part for part in parts if isinstance(part, IncludeLaunchDescription)]
    assert gripper.execute(LaunchContext())  # it refuses to where one is missing


ARM, BOTH = "<robot name='fr3'/>", "<robot name='fr3'><ros2_control name='arm'/></robot>"


@pytest.mark.parametrize(
    ("files", "described_by"),
    [
        ({"franka_description/robots/fr3/fr3.urdf.xacro": BOTH}, "franka_description"),
        ({"franka_description/robots/fr3/fr3.urdf.xacro": BOTH, "franka_bringup/launch/x": ""},
         "franka_description"),
        ({"franka_description/robots/fr3/fr3.urdf.xacro": ARM,
          "franka_bringup/urdf/franka_arm.urdf.xacro": BOTH}, "franka_bringup"),
        ({"franka_description/robots/fr3/fr3.urdf.xacro": ARM}, ""),
    ],
    ids=["v3.3.0 without franka_bringup", "v3.3.0", "v3.4.0", "v3.4.0 without franka_bringup"],
)  # fmt: skip
def test_a_frankas_description_comes_with_its_hardware_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], described_by: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)

    def share(package: str) -> str:
        if not (tmp_path / package).is_dir():
            raise PackageNotFoundError(package)
        return str(tmp_path / package)

    read: list[str] = []

    def process_file(path: str, mappings: dict[str, str]) -> Any:
        assert mappings["robot_ip"] == "172.16.0.2"
        read.append(path)
        return types.SimpleNamespace(toxml=Path(path).read_text)

    monkeypatch.setattr(launch_parts, "get_package_share_directory", share)
    monkeypatch.setitem(sys.modules, "xacro", types.SimpleNamespace(process_file=process_file))
    if described_by:
        assert launch_parts.describe("pcb_insertion", "franka", tmp_path, "172.16.0.2") == BOTH
        assert described_by in read[0]
    else:
        with pytest.raises(
            RuntimeError, match="describes no <ros2_control> hardware: build franka_bringup"
        ) as error:
            launch_parts.describe("pcb_insertion", "franka", tmp_path, "172.16.0.2")
        assert "\n" not in str(error.value)
