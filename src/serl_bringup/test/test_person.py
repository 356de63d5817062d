# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A person at `./serl`: devices, keys of the terminal, when a recording ends, and training on what was recorded."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import termios
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from system_cases import COMMAND, FAKE_TASK, START_SECONDS, environment, options, patience, poll
from test_system_bad_input import bag_of_transitions, foreign_bag, refused
from typer.testing import CliRunner

from serl_bringup import pipeline, stages
from serl_bringup.cli import app
from serl_bringup.monitor_node import Monitor
from serl_bringup.nodes_schema import WITH_PERSON
from serl_bringup.stage_parameters import with_devices
from serl_bringup.tasks import load_task
from serl_core.errors import ConfigError, SerlError
from serl_core.testing.fakes import fake_spec
from serl_core.types import EpisodeSummary
from serl_learner.bag.labels import edit_labels
from serl_learner.bag.reader import read_spec
from serl_learner.demonstrations import read_demonstrations
from serl_learner.recording import read_episodes

# Devices.


@contextlib.contextmanager
def standard_input(file: int) -> Iterator[None]:
    """Let this process read another file."""
    before = os.dup(0)
    os.dup2(file, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_device_is_shown_by_a_command(tmp_path: Path) -> None:
    pad = tmp_path / "js0"
    os.mkfifo(pad)
    file = os.open(pad, os.O_RDWR)
    shown = CliRunner().invoke(app, ["device", "gamepad", "--source", str(pad), "--seconds", "0.2"])
    os.close(file)
    assert shown.exit_code == 0 and "gamepad: hands off" in shown.stdout and "left_x" in shown.stdout
    gone = ["device", "gamepad", "--source", str(tmp_path / "js9"), "--seconds", "0.1"]
    assert CliRunner().invoke(app, gone).exit_code == 1
    assert "did you mean gamepad" in refused("device", "gamepd")
    assert "did you mean dead_zone" in refused("device", "gamepad", "--set", "dead_zon=0.1")


def devices(device: str, *settings: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return devices and sources of `--device` with settings."""
    task = load_task("pendulum", [f"intervention.{setting}" for setting in settings], WITH_PERSON)
    values = with_devices(task, device).parameters["intervention"]
    return values["devices"], values["sources"]


def test_a_named_device_is_the_only_one_unless_it_is_among_those_configured() -> None:
    assert devices("gamepad") == (("gamepad",), ("",))
    two = "devices=[spacemouse, gamepad]"
    assert devices("gamepad", two, "sources=['', /dev/input/js1]") == (
        ("spacemouse", "gamepad"),
        ("", "/dev/input/js1"),
    )
    assert devices("spacemouse", "devices=[spacemouse, spacemouse]")[0] == ("spacemouse", "spacemouse")
    with pytest.raises(ConfigError, match=r"joy is none of intervention.devices \(spacemouse, gamepad\)"):
        devices("joy", two)
    with pytest.raises(ConfigError, match="sources: name one for each of the 2 devices"):
        devices("gamepad", two, "sources=[/dev/input/js1]")


def test_a_keyboard_is_the_terminals_that_the_command_was_started_from() -> None:
    person, terminal = os.openpty()
    with standard_input(terminal):
        assert devices("keyboard") == (("keyboard",), (os.ttyname(terminal),))
        two = "devices=[gamepad, keyboard]"
        assert devices("gamepad", two)[1] == ("", os.ttyname(terminal))
        assert devices("keyboard", two, "sources=['', /dev/tty9]")[1] == ("", "/dev/tty9")
    os.close(person)
    os.close(terminal)


@pytest.mark.parametrize("command", ["demos", "run"])
def test_a_keyboard_without_a_terminal_is_refused_at_once(command: str, tmp_path: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    with standard_input(null):
        line = refused(command, "pendulum", "--device", "keyboard", "--out", tmp_path / "out")
    os.close(null)
    assert "a keyboard needs a terminal" in line and not (tmp_path / "out").exists()


# Recording at a terminal, on an environment without physics.


class Terminal:
    """The command at a terminal of its own, as a shell starts it: Ctrl-C is a key."""

    def __init__(self, *arguments: str | Path) -> None:
        self._person, self._terminal = os.openpty()
        self.before = self.modes()

        def take() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stdin=self._terminal, stdout=subprocess.PIPE, stderr=self._terminal,
            env={**environment(), "TERM": "xterm"}, preexec_fn=take,
        )  # fmt: skip
        self.shown = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # its nodes follow by themselves
        self.process.wait()
        os.close(self._terminal)
        self._reader.join(5.0)
        os.close(self._person)

    def modes(self) -> list[Any]:
        """Return the settings of the terminal."""
        return termios.tcgetattr(self._terminal)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._person, keys.encode())

    def desk(self, **what: Any) -> dict[str, Any]:
        """Return the state of the recording's page, after a click if one is given."""
        (address,) = re.findall(r"http://\S+/", self.shown)
        path, data = ("click", json.dumps(what).encode()) if what else ("state", None)
        request = urllib.request.Request(address + path, data, {"X-Serl": "test"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def record(self, count: int) -> None:
        """Push towards the goal, up and to the right, until so many demonstrations are kept."""

        def kept() -> bool:
            assert self.process.poll() is None, self.shown
            if "http://" not in self.shown:
                return False
            self.type("wa")
            return bool(self.desk()["kept"] >= count)

        poll(kept, START_SECONDS, f"{count} demonstrations")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return status and standard output."""
        assert self.process.stdout is not None
        output = self.process.stdout.read().decode()
        return self.process.wait(patience(30.0)), output

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while text := os.read(self._person, 4096):
                self.shown += text.decode(errors="replace")


def at_terminal(folder: Path, *arguments: str) -> Terminal:
    """Record with the keyboard; a goal that lies diagonally ahead is hit now and then by going straight."""
    settings = (*FAKE_TASK, "env.rate_hz=50", "intervention.axis_map=[x, y]", "intervention.frame=tcp")
    return Terminal(
        "demos", "pendulum", "--device", "keyboard", "--out", folder, *arguments, *options(*settings)
    )


def demonstrations(bag: Path) -> list[int]:
    """Return the numbers of the episodes that a learner would take."""
    spec = read_spec(bag)
    assert spec is not None
    return [episode[0].episode_id for episode in read_demonstrations(bag, spec)]


def test_the_recording_goes_on_until_finish_so_that_the_last_demonstration_can_be_discarded(
    tmp_path: Path,
) -> None:
    with at_terminal(tmp_path / "out", "--episodes", "1") as terminal:
        terminal.record(1)
        poll(lambda: (tmp_path / "out" / "demos").is_dir(), 60.0, "bag")
        last = next(e for e in reversed(terminal.desk()["episodes"]) if e["success"])
        state = terminal.desk(do="discard", env=last["env"], episode=last["episode"])
        before = state["kept"]
        terminal.record(before + 2)
        poll(lambda: "enough: press Finish" in terminal.shown, 30.0, "word that there are enough")
        assert terminal.desk(do="finish")["finished"]
        status, output = terminal.end()
        assert status == 0, terminal.shown
        assert terminal.modes() == terminal.before, "keys are shown again when they are typed"
    bag = Path(output.strip())
    assert bag == tmp_path / "out" / "demos"
    kept = demonstrations(bag)
    assert len(kept) >= 2 and last["episode"] not in kept
    assert all(e.human_steps for e in read_episodes(bag) if e.episode_id in kept)


def test_ctrl_c_at_the_terminal_ends_in_order_with_what_is_kept(tmp_path: Path) -> None:
    with at_terminal(tmp_path / "out", "--episodes", "100") as terminal:
        terminal.record(1)
        assert terminal.modes() != terminal.before
        terminal.type("\x03")
        status, output = terminal.end()
        assert status == 0, terminal.shown
        assert terminal.modes() == terminal.before
    assert demonstrations(Path(output.strip()))


def test_the_monitor_hears_of_lost_devices_until_they_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with Monitor() as monitor:
        node = Node("devices")
        publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 5)

        def told(lost: dict[str, str], line: str) -> bool:
            values = [KeyValue(key=k, value=v) for k, v in {"holding": "True", **lost}.items()]
            status = [
                DiagnosticStatus(name="/intervention", values=values),
                DiagnosticStatus(name="/env", values=[KeyValue(key="device_0", value="another node's")]),
            ]
            publisher.publish(DiagnosticArray(status=status))
            return monitor.lost == line

        poll(
            lambda: told(
                {"device_0": "gamepad: gone", "device_1": "joy: silent"}, "gamepad: gone; joy: silent"
            ),
            30.0,
            "loss",
        )
        poll(lambda: told({}, ""), 30.0, "return")
        node.destroy_node()


# Training on a recording.


SETTINGS = ["env.task=fake_reach", "run.demos=2"]


def test_a_run_trains_on_the_demonstrations_that_it_is_given_also_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = bag_of_transitions(tmp_path / "bag", fake_spec(), episodes=3)
    with edit_labels(bag) as labels:
        labels.episodes["fake-0", 1] = False  # discarded
    trained_on: list[Path | None] = []

    def train(task: Any, folder: Any, demos: Path | None, *_: Any) -> stages.TrainingResult:
        trained_on.append(demos)
        if len(trained_on) == 1:
            raise SerlError("no power")
        return stages.TrainingResult(60.0, 100, 400, "time is up")

    def demonstrate(*_: Any) -> None:
        raise AssertionError("given demonstrations take the place of recorded ones")

    trial = EpisodeSummary("fake_reach", "fake-0", 0, 0.0, 5, 1.0, True, 0.5, 0, 0, 0, 0.0, 0, "success")
    for name, stand_in in {
        "demonstrate": demonstrate,
        "train": train,
        "evaluate": lambda *_: [trial],
    }.items():
        monkeypatch.setattr(stages, name, stand_in)
    for name in ("_intervention_figures", "_plots"):
        monkeypatch.setattr(pipeline, name, lambda *_: {})
    monkeypatch.setattr(pipeline, "choose_domain", lambda: None)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "pendulum", "--demos", "bag", "--out", "out", *options(*SETTINGS)])
    assert done.exit_code == 2 and "no power" in done.stderr
    monkeypatch.chdir("/")
    done = CliRunner().invoke(app, ["run", "pendulum", "--resume", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert trained_on == [bag, bag]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["demos"], summary["demos_bag"]) == (2, str(bag))
    assert summary["demo_cycle_time_s"] == pytest.approx(0.5), "5 steps of 0.1 s"


def test_demonstrations_that_are_none_are_refused_before_a_run_has_a_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    bag = bag_of_transitions(tmp_path / "bag", fake_spec())
    reasons = {
        tmp_path / "nowhere": "does not exist",
        tmp_path / "empty": "is not a bag",
        foreign_bag(tmp_path / "foreign"): "does not say which environment it is of",
        bag_of_transitions(
            tmp_path / "other", fake_spec(task="other")
        ): "of task 'other', not of 'fake_reach'",
        bag: "holds no successful demonstration of task 'fake_reach'",
    }
    with edit_labels(bag) as labels:
        labels.episodes |= {("fake-0", 0): False, ("fake-0", 1): False}
    for given, reason in reasons.items():
        line = refused("run", "pendulum", "--demos", given, "--out", tmp_path / "out", *options(*SETTINGS))
        assert str(given) in line and reason in line
    assert not (tmp_path / "out").exists()
