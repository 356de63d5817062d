# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Kills and interruptions at any moment: one line, nothing acknowledged lost, resumable."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader
from system_cases import (
    FAKE_TASK,
    SHORT,
    START_SECONDS,
    Command,
    error_line,
    kill,
    node_processes,
    options,
    patience,
    poll,
    unbroken,
)

from serl_bringup.monitor_node import Monitor
from serl_bringup.supervisor import free_domain
from serl_core.types import Transition
from serl_learner.bag.reader import read_transitions
from serl_learner.bag.replay import content_hash, replay
from serl_learner.checkpoint import find_checkpoint, has_checkpoint

KILL_SECONDS, INTERRUPT_SECONDS = 10.0, 5.0
FAKE = options(*FAKE_TASK, "run.train_minutes=30", "run.eval_episodes=2", "learner.checkpoint_minutes=0.01")


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name, byte for byte."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    chosen = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(chosen))
    yield chosen


class Witness:
    """Listens to a run and knows what must never get lost.

    Attributes:
        acknowledged: Highest acknowledged sequence by environment, over all its runs.
        updates: Critic updates in the last checkpoint seen.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: dict[str, int] = {}
        self.updates = 0

    def listen(self, command: Command, steps: int) -> None:
        """Wait for so many more steps on disk and for a checkpoint; note what is acknowledged."""
        before = self.updates
        with Monitor() as monitor:

            def seen() -> bool:
                assert command.process.poll() is None, command.stderr
                self.acknowledged.update(monitor.acknowledged)
                stored = sum(monitor.acknowledged.values()) >= steps
                return stored and monitor.learner is not None and has_checkpoint(self.folder)

            poll(seen, START_SECONDS, "progress")
            assert monitor.learner is not None
            assert monitor.learner.critic_updates >= before, "updates began anew"

    def check(self, earlier: list[Transition]) -> list[Transition]:
        """Check the bag against what was acknowledged and what it held `earlier`; return what it holds."""
        transitions = list(read_transitions(self.folder / "bag"))
        stored = unbroken(transitions)
        assert all(stored.get(env_id, 0) >= last for env_id, last in self.acknowledged.items())
        keys = {(t.env_id, t.sequence) for t in earlier}
        kept = [t for t in transitions if (t.env_id, t.sequence) in keys]
        assert content_hash(kept) == content_hash(earlier)
        self.updates = int(find_checkpoint(self.folder).name)
        return transitions


@pytest.mark.timeout(900)
def test_kill_of_any_process_costs_nothing_acknowledged(tmp_path: Path, domain: int) -> None:
    folder = tmp_path / "run"
    witness = Witness(folder)
    transitions: list[Transition] = []
    arguments: list[str | Path] = ["run", "pendulum", "--out", folder, *FAKE]
    for victim in ("serl", "learner", "actor", "env", "disk"):
        with Command(folder, *arguments, domain=domain) as command:
            command.wait_for("[training")
            witness.listen(command, 100)
            nodes = node_processes(folder)
            assert nodes.keys() == {"learner", "actor", "env"}
            if victim == "serl":
                command.end(signal.SIGKILL)
                poll(lambda: not node_processes(folder), patience(KILL_SECONDS), "end of all nodes")
            else:
                if victim == "disk":  # no file may grow beyond this: as a full disk looks to the learner
                    size = max(path.stat().st_size for path in (folder / "bag").glob("*.mcap"))
                    resource.prlimit(nodes["learner"], resource.RLIMIT_FSIZE, (size + 20_000, size + 20_000))
                    command.process.wait(START_SECONDS)
                else:
                    kill(nodes[victim])
                status, seconds = command.end()
                assert status == 2 and seconds < patience(KILL_SECONDS)
                line = error_line(command.stderr)
                if victim == "disk":
                    assert (
                        line.startswith("serl: learner") and str(folder) in line and "File too large" in line
                    )
                else:
                    assert line.startswith(f"serl: {victim} was killed (SIGKILL)")
                assert f"--resume '{folder}'" in command.stderr
                assert not node_processes(folder)
        transitions = witness.check(transitions)
        arguments = ["run", "pendulum", "--resume", folder]
    arguments += options("run.train_minutes=0.01")
    with Command(folder, *arguments, domain=domain) as command:
        assert command.end()[0] == 0, command.stderr
    witness.check(transitions)
    summary = json.loads((folder / "summary.json").read_text())
    report = replay(folder / "bag")
    assert summary["env_steps"] == report.transitions
    assert len(report.env_ids) in (5, 6), "the last part may end before its first step"
    assert report.duplicates == report.conflicts == report.missing_sequences == 0


@pytest.mark.timeout(900)
def test_ctrl_c_in_any_stage_ends_in_order_and_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rng = random.Random()
    long = options(*SHORT, "run.demos=99", "run.max_env_steps=100000")
    arguments: list[str | Path] = ["run", "pcb_insertion", "--quick", "--out", folder, *long]
    stages = (
        ("[demonstrations", "demos", ("run.demos=2",)),
        ("[training", "bag", ("run.train_minutes=0.01", "run.eval_episodes=999")),
        ("[evaluation", "eval", ("run.eval_episodes=2",)),
    )
    for shown, bag, then in stages:
        with Command(folder, *arguments) as command:
            command.wait_for(shown)
            if (
                bag == "eval"
            ):  # a stage is shown from its start, which on a busy machine is long before its bag
                poll((folder / bag).is_dir, START_SECONDS, "the evaluation's bag")
            pause = rng.uniform(0.0, 2.0)
            time.sleep(pause)  # any moment
            status, seconds = command.end(signal.SIGINT)
            story = f"{shown} after {pause:.2f} s: {command.stderr}"
            assert status == 130 and seconds < patience(INTERRUPT_SECONDS), story
            assert error_line(command.stderr).startswith("serl: interrupted"), story
            assert not node_processes(folder), story
        if any((folder / bag).glob("*.mcap")):  # it may not have come to that yet
            with Reader(folder / bag) as reader:
                assert sum(1 for _ in reader.messages()) == reader.message_count, story
            assert not replay(folder / bag).truncated, story
        arguments = ["run", "pcb_insertion", "--resume", folder, *options(*then)]
    interrupted = content(folder / "eval")
    with Command(folder, *arguments) as command:
        assert command.end()[0] == 0, command.stderr
    assert json.loads((folder / "summary.json").read_text())["episodes"] == 2
    assert replay(folder / "demos").successes >= 2
    assert content(folder / "eval") == interrupted, "the interrupted evaluation was overwritten"
    assert (folder / "eval-2").is_dir()
    assert os.listdir(folder / "plots")
