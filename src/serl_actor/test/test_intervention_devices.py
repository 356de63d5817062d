# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Devices are read as they are built, say when they are gone, and are found again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import types
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_actor.intervention.device import DeviceLost, Reading, Reconnecting
from serl_actor.intervention.gamepad import AXIS, BUTTON, EVENT, INITIAL, Gamepad
from serl_actor.intervention.keyboard import KEY_SECONDS, Keyboard
from serl_actor.intervention.kinematic_chain import KinematicChain
from serl_actor.intervention.spacemouse import SpaceMouse
from serl_actor.intervention.streams import Joy, LeaderArm, Spacenav
from serl_core.errors import ConfigError

# Gamepad: the kernel's file is stood in for by a FIFO that speaks the same protocol.


class Pad:
    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self.file = os.open(path, os.O_RDWR)

    def send(self, kind: int, number: int, value: int) -> None:
        os.write(self.file, EVENT.pack(0, value, kind, number))


@pytest.fixture
def pad(tmp_path: Path) -> Pad:
    return Pad(tmp_path / "js0")


def axis(reading: Reading, device: type, name: str) -> float:
    return float(reading.axes[device.axis_names.index(name)])


def test_a_gamepad_gives_its_latest_state(pad: Pad) -> None:
    device = Gamepad(pad.path)
    device.open()
    assert not device.read(0.0).axes.any() and not any(device.read(0.0).buttons)
    pad.send(AXIS, 1, -32767)
    pad.send(AXIS, 0, 100)
    pad.send(AXIS, 0, 16384)
    pad.send(BUTTON, 5, 1)
    reading = device.read(1.5)
    assert reading.stamp == 1.5
    assert axis(reading, Gamepad, "left_y") == -1.0
    assert axis(reading, Gamepad, "left_x") == pytest.approx(0.5, abs=1e-4)
    assert [n for n, p in zip(Gamepad.button_names, reading.buttons, strict=True) if p] == ["r1"]
    pad.send(BUTTON, 5, 0)
    assert not any(device.read(2.0).buttons)
    assert axis(reading, Gamepad, "left_y") == -1.0, "a reading does not change after it was given"
    device.close()
    device.close()


def test_a_trigger_announced_at_half_way_is_at_rest_until_it_moves(pad: Pad) -> None:
    device = Gamepad(pad.path)
    device.open()
    pad.send(AXIS | INITIAL, 5, 0)
    assert axis(device.read(0.0), Gamepad, "r2") == 0.0
    pad.send(AXIS, 5, 32767)
    assert axis(device.read(0.0), Gamepad, "r2") == 1.0
    pad.send(AXIS, 5, -32767)
    assert axis(device.read(0.0), Gamepad, "r2") == 0.0


def test_axes_and_buttons_that_no_one_knows_are_passed_over(pad: Pad) -> None:
    device = Gamepad(pad.path)
    device.open()
    pad.send(AXIS, 99, 32767)
    pad.send(BUTTON, 99, 1)
    pad.send(AXIS, 0, -32768)
    reading = device.read(0.0)
    assert np.abs(reading.axes).max() == 1.0 and not any(reading.buttons)


def test_an_unplugged_gamepad_is_lost_and_found_at_rest(pad: Pad) -> None:
    device = Reconnecting(Gamepad(pad.path), retry_seconds=1.0)
    assert device.read(0.0) is not None
    pad.send(AXIS, 0, 32767)
    assert device.read(0.1).axes[0] == 1.0
    os.close(pad.file)
    assert device.read(0.2) is None
    assert "gamepad" in device.lost and device.losses == 1
    os.unlink(pad.path)
    assert device.read(1.3) is None, "still away"
    again = Pad(Path(pad.path))
    assert device.read(1.4) is None, "looked for at intervals only"
    assert not device.read(2.4).axes.any(), "a stick let go in between is not pushed for ever"
    assert (device.lost, device.losses) == ("", 1)
    os.close(again.file)


def test_no_gamepad_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost, match="No such file"):
        Gamepad(str(tmp_path / "js7")).open()


# Keyboard: a pseudo-terminal.


@pytest.fixture
def terminal() -> tuple[int, str]:
    person, process = os.openpty()
    return person, os.ttyname(process)


def test_keys_are_axes_for_as_long_as_they_are_repeated(terminal: tuple[int, str]) -> None:
    person, path = terminal
    device = Keyboard(path)
    device.open()
    os.write(person, b"wE")
    reading = device.read(1.0)
    assert (axis(reading, Keyboard, "x"), axis(reading, Keyboard, "yaw")) == (1.0, -1.0)
    assert device.read(1.0 + 0.5 * KEY_SECONDS).axes[0] == 1.0
    os.write(person, b"w")
    assert device.read(1.0 + KEY_SECONDS).axes[0] == 1.0
    assert not device.read(2.0).axes.any()
    os.write(person, b"ws?\xff")
    assert not device.read(3.0).axes.any(), "opposite keys cancel, others do nothing"
    device.close()


def test_the_space_bar_takes_over_and_hands_back(terminal: tuple[int, str]) -> None:
    person, path = terminal
    device = Keyboard(path)
    device.open()
    os.write(person, b" ")
    assert device.read(0.0).buttons == (True,)
    assert device.read(9.0).buttons == (True,)
    os.write(person, b" ")
    assert device.read(9.1).buttons == (False,)
    device.close()


def test_the_terminal_is_given_back_as_it_was(terminal: tuple[int, str]) -> None:
    import termios

    person, path = terminal
    before = termios.tcgetattr(person)
    device = Keyboard(path)
    device.open()
    assert termios.tcgetattr(person) != before
    device.close()
    device.close()
    assert termios.tcgetattr(person) == before


def test_a_terminal_is_read_by_its_name_where_a_process_has_none_of_its_own(
    terminal: tuple[int, str],
) -> None:
    person, path = terminal
    code = """if True:
        import sys, time
        from serl_actor.intervention.device import DeviceLost
        from serl_actor.intervention.keyboard import Keyboard
        try:
            Keyboard().open()
        except DeviceLost as error:
            print(error, flush=True)
        device = Keyboard(sys.argv[1])
        device.open()
        print("ready", flush=True)
        while not (axes := device.read(time.monotonic()).axes).any():
            time.sleep(0.01)
        print(*axes, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as node:  # fmt: skip
        assert node.stdout is not None
        assert "keyboard /dev/tty: No such device or address: start this" in node.stdout.readline()
        assert node.stdout.readline() == "ready\n"
        os.write(person, b"s")
        assert node.stdout.readline() == "-1.0 0.0 0.0 0.0 0.0 0.0\n"


def test_a_closed_terminal_is_a_lost_keyboard(terminal: tuple[int, str]) -> None:
    person, path = terminal
    device = Reconnecting(Keyboard(path), 1.0)
    assert device.read(0.0) is not None
    os.close(person)
    assert device.read(0.1) is None
    assert device.lost


def test_no_terminal_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    device = Keyboard(str(tmp_path / "file"))
    with pytest.raises(DeviceLost, match="start this in a terminal"):
        device.open()


# SpaceMouse: a stand-in for the package, with its queue of reports.


class Mouse:
    def __init__(self) -> None:
        self.reports: deque[dict] = deque()
        self.state = types.SimpleNamespace(
            t=-1.0, x=0.0, y=0.0, z=0.0, roll=0.0, pitch=0.0, yaw=0.0, buttons=[0, 0]
        )
        self.gone = False

    def read(self) -> types.SimpleNamespace:
        if self.gone:
            raise OSError("no such device")
        if self.reports:
            self.state = types.SimpleNamespace(
                **{**vars(self.state), **self.reports.popleft(), "t": self.state.t + 1}
            )
        return self.state

    def close(self) -> None:
        if self.gone:
            raise OSError("already gone")


@pytest.fixture
def mouse(monkeypatch: pytest.MonkeyPatch) -> Mouse:
    mouse = Mouse()
    opened: list[str] = []

    def by_path(path: str, axis_convention: str) -> Mouse:
        opened.append(f"{path} {axis_convention}")
        return mouse

    module = types.SimpleNamespace(
        AxisConvention=types.SimpleNamespace(ROS="ros"),
        open=lambda axis_convention: by_path("first", axis_convention),
        open_by_path=by_path,
    )
    monkeypatch.setitem(sys.modules, "pyspacemouse", module)
    mouse.opened = opened
    return mouse


def test_a_spacemouse_is_read_to_its_latest_report(mouse: Mouse) -> None:
    device = SpaceMouse("/dev/hidraw3")
    device.open()
    assert mouse.opened == ["/dev/hidraw3 ros"]
    mouse.reports.extend([{"x": 0.1}, {"yaw": 0.4}, {"x": 0.2, "buttons": [1, 0]}, {"z": -1.7}])
    reading = device.read(4.0)
    assert reading.axes.tolist() == [0.2, 0.0, -1.0, 0.0, 0.0, 0.4]
    assert reading.buttons == (True, False) and not mouse.reports


def test_a_device_that_sends_without_end_does_not_keep_the_reader(mouse: Mouse) -> None:
    device = SpaceMouse()
    device.open()
    mouse.reports.extend([{"x": 0.1}] * 5000)
    device.read(0.0)
    assert mouse.reports


def test_an_unplugged_spacemouse_is_lost_and_found(mouse: Mouse) -> None:
    device = Reconnecting(SpaceMouse(), 0.5)
    assert device.read(0.0) is not None
    mouse.gone = True
    assert device.read(0.1) is None and "no such device" in device.lost
    mouse.gone = False
    assert device.read(0.7) is not None
    assert mouse.opened == ["first ros", "first ros"]


def test_a_spacemouse_without_its_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspacemouse", None)
    with pytest.raises(ConfigError, match="pip install 'pyspacemouse") as told:
        SpaceMouse().open()
    assert "\n" not in str(told.value) and "spacenav" in str(told.value)
    assert f"{shlex.quote(sys.executable)} -m pip" in str(told.value), "into the environment that asks for it"


def test_a_spacemouse_package_that_is_too_old_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspacemouse", types.SimpleNamespace())
    with pytest.raises(ConfigError, match="2.1"):
        SpaceMouse().open()


# Streams.


def test_a_stream_is_lost_before_its_first_message_and_when_it_falls_silent() -> None:
    device = Reconnecting(Joy(timeout=0.5), retry_seconds=0.1)
    joy = device.device
    assert device.read(0.0) is None and "driver" in device.lost and device.losses == 0
    joy.put([0.0, 1.0], [0, 1], 1.0)
    reading = device.read(1.2)
    assert (reading.stamp, reading.axes[1], reading.buttons[1], sum(reading.buttons)) == (1.0, 1.0, True, 1)
    assert device.read(1.51) is None and "silent" in device.lost and device.losses == 1
    joy.put([0.0], [], 2.0)
    assert device.read(2.1) is not None


def test_a_damaged_message_is_no_message() -> None:
    joy = Joy(0.5)
    joy.put([0.5], [], 0.0)
    joy.put([float("nan")], [], 0.4)
    assert joy.read(0.5).axes[0] == 0.5
    with pytest.raises(DeviceLost):
        joy.read(0.6)
    leader = LeaderArm(0.5)
    leader.put(np.zeros(7), 0.0)
    with pytest.raises(DeviceLost, match="no message"):
        leader.read(0.0)


def test_the_buttons_of_the_spacenav_driver_stay_until_it_says_otherwise() -> None:
    device = Spacenav(0.5)
    device.put([0.0] * 6, [1], 0.0)
    device.put([0.3] * 6, [], 0.1)
    assert device.read(0.1).buttons == (True, False)
    device.put([0.3] * 6, [0], 0.2)
    assert device.read(0.2).buttons == (False, False)


def test_a_gamepad_on_the_spacenav_topic_is_named() -> None:
    with pytest.raises(ConfigError, match="got 8"):
        Spacenav(0.5).put([0.0] * 8, [], 0.0)


def test_a_leader_arm_gives_its_pose() -> None:
    leader = LeaderArm(0.5)
    turn = Rotation.from_rotvec([0.1, -0.2, 0.3])
    leader.put(np.array([1.0, 2.0, 3.0, *turn.as_quat()]), 0.0)
    leader.put_clutch(True)
    reading = leader.read(0.0)
    np.testing.assert_allclose(reading.axes, [1.0, 2.0, 3.0, 0.1, -0.2, 0.3])
    assert reading.buttons == (True,)


# Kinematics of a leader arm.

URDF = """<robot name="two">
  <link name="base"/><link name="a"/><link name="b"/><link name="tcp"/><link name="side"/>
  <joint name="turn" type="continuous"><parent link="base"/><child link="a"/>
    <origin xyz="0 0 0.5"/><axis xyz="0 0 2"/></joint>
  <joint name="slide" type="prismatic"><parent link="a"/><child link="b"/>
    <origin xyz="0.3 0 0" rpy="0 1.5707963267948966 0"/><axis xyz="0 0 1"/></joint>
  <joint name="end" type="fixed"><parent link="b"/><child link="tcp"/><origin xyz="0 0 0.1"/></joint>
  <joint name="wheel" type="floating"><parent link="base"/><child link="side"/></joint>
</robot>"""


def test_the_tip_of_a_chain_is_where_its_joints_put_it() -> None:
    chain = KinematicChain.from_urdf(URDF, "base", "tcp")
    assert chain.moving == ("turn", "slide")
    pose = chain.tip_pose({"turn": np.pi / 2, "slide": 0.2, "other": 1.0})
    # A quarter turn to the left puts the outward direction along y: 0.3 out, 0.2 slid out, 0.1 of tool.
    np.testing.assert_allclose(pose[:3], [0.0, 0.6, 0.5], atol=1e-12)
    np.testing.assert_allclose(
        Rotation.from_quat(pose[3:]).apply([0.0, 0.0, 1.0]), [0.0, 1.0, 0.0], atol=1e-12
    )


@pytest.mark.parametrize(
    ("text", "base", "tip", "told"),
    [
        ("<robot", "base", "tcp", "not a URDF"),
        (URDF, "base", "tcq", "did you mean tcp"),
        (URDF, "bas", "tcp", "did you mean base"),
        (URDF, "base", "side", "joint wheel is floating"),
    ],
)
def test_a_chain_that_is_not_there_is_named(text: str, base: str, tip: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        KinematicChain.from_urdf(text, base, tip)


def test_joint_states_that_lack_a_joint_are_named() -> None:
    with pytest.raises(ConfigError, match="lack turn"):
        KinematicChain.from_urdf(URDF, "base", "tcp").tip_pose({"slide": 0.1})
