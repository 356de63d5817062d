# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Where a checkout keeps its environment, and when a ROS 2 distribution is used instead of the wheels."""

import os
import sys
from pathlib import Path

import pytest

from state import Failure, find_home, find_state, is_plain, sourced_distro

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def fake_distro(prefix: Path, kind: str = "site-packages", version: str = VERSION) -> dict[str, str]:
    (prefix / "lib" / version / kind / "rclpy").mkdir(parents=True)
    return {"ROS_DISTRO": "kilted", "AMENT_PREFIX_PATH": f"/somewhere/else{os.pathsep}{prefix}"}


def test_a_plain_repository_keeps_everything_inside() -> None:
    assert find_home(Path("/home/me/serl"), {"HOME": "/home/me"}) == Path("/home/me/serl/.serl")


@pytest.mark.parametrize("name", ["my path/serl", "a;b", "quote'd", "co:lon", "uml\u00e4ut", "(1)", "$x"])
def test_an_odd_repository_path_moves_everything_to_the_cache_folder(name: str) -> None:
    home = find_home(Path("/home/me", name), {"HOME": "/home/me"})
    assert home.parent == Path("/home/me/.cache/serl")
    assert is_plain(home)
    assert home == find_home(Path("/home/me", name), {"HOME": "/home/me"}), "the same on the next call"
    assert home != find_home(Path("/home/me/other", name), {"HOME": "/home/me"})


def test_the_cache_folder_follows_xdg_and_an_odd_home_does_not_matter() -> None:
    root = Path("/home/me/my path")
    assert find_home(root, {"HOME": "/h", "XDG_CACHE_HOME": "/big/cache"}).parent == Path("/big/cache/serl")
    for environment in ({"HOME": "/home/my self"}, {}, {"HOME": "relative"}):
        assert find_home(root, environment).parent == Path(f"/var/tmp/serl-{os.getuid()}")


def test_serl_home_is_obeyed_unless_it_is_odd_itself() -> None:
    assert find_home(Path("/a b"), {"SERL_HOME": "/big/disk"}) == Path("/big/disk")
    with pytest.raises(Failure, match="SERL_HOME=/big disk has a space"):
        find_home(Path("/a"), {"SERL_HOME": "/big disk"})


def test_without_a_distribution_the_wheels_are_used(tmp_path: Path) -> None:
    state = find_state(tmp_path, {})
    assert state.distro is None
    assert state.folder.name == "wheels"
    assert [file.name for file in state.requirements] == ["requirements.txt", "requirements-ros.txt"]


@pytest.mark.parametrize("kind", ["site-packages", "dist-packages"])
def test_a_sourced_distribution_takes_the_place_of_the_wheels(tmp_path: Path, kind: str) -> None:
    state = find_state(tmp_path, fake_distro(tmp_path / "opt", kind))
    assert state.distro == "kilted"
    assert state.folder.name == "kilted", "apart from what the wheels built"
    assert [file.name for file in state.requirements] == ["requirements.txt"]


def test_half_a_distribution_is_none(tmp_path: Path) -> None:
    complete = fake_distro(tmp_path / "opt")
    assert sourced_distro({**complete, "ROS_DISTRO": ""}) is None
    assert sourced_distro({**complete, "ROS_DISTRO": "../up"}) is None
    assert sourced_distro({**complete, "AMENT_PREFIX_PATH": str(tmp_path)}) is None
    assert sourced_distro({**complete, "AMENT_PREFIX_PATH": ""}) is None


def test_a_distribution_of_another_python_is_none(tmp_path: Path) -> None:
    assert sourced_distro(fake_distro(tmp_path / "opt", version="python3.8")) is None


def test_sources_are_seen_through_a_link_only_where_the_path_is_odd(tmp_path: Path) -> None:
    assert find_state(Path("/plain"), {"SERL_HOME": "/s"}).sources == Path("/plain/src")
    assert find_state(Path("/my path"), {"SERL_HOME": "/s"}).sources == Path("/s/wheels/src")
