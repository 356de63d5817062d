# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Bad input to the command and to live nodes: one line that names the cause, nothing lost."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from system_cases import (
    FAKE_TASK,
    START_SECONDS,
    Command,
    environment,
    error_line,
    node_processes,
    options,
    patience,
    poll,
    quick_run,
    unbroken,
)
from typer.testing import CliRunner

from serl_bringup import graph
from serl_bringup.cli import app
from serl_bringup.monitor_node import Monitor
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.page.recording import RecordingDesk
from serl_bringup.supervisor import NodeDied, Supervisor
from serl_bringup.tasks import load_task
from serl_core import codec, contract
from serl_core.errors import ConfigError, SerlError
from serl_core.specs import EnvSpec
from serl_core.testing.fakes import fake_spec, random_episode, random_observation
from serl_core.types import Action, Source
from serl_learner.actor_network import ActorConfig
from serl_learner.bag.labels import FrameKey, read_labels
from serl_learner.bag.reader import read_transitions
from serl_learner.bag.replay import replay
from serl_learner.checkpoint import save_policy
from serl_learner.recording import Recording
from serl_learner.resume import fill_demos, resume_run
from serl_learner.weights import encode

PCB = "pcb_insertion"


def refused(*arguments: str | Path) -> str:
    """Run the command in this process; return its one line of error."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 2, (done.exit_code, done.output, done.exception)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("serl: "), done.stderr
    return lines[0]


def policy_checkpoint(folder: Path, spec: EnvSpec) -> Path:
    """Write a checkpoint of a policy that does nothing."""
    config = ActorConfig(state_size=spec.policy_state_size, action_size=spec.action_size, hidden_sizes=(8,))
    leaves = {name: np.zeros(shape, np.float32) for name, shape in config.leaf_shapes().items()}
    save_policy(folder, 1, encode(leaves, spec, config, version=1), spec, {})
    return folder


def bag_of_transitions(folder: Path, spec: EnvSpec, episodes: int = 2) -> Path:
    """Write a bag of random episodes; return it."""
    from rclpy.serialization import serialize_message

    recording = Recording(folder, spec, 1, lambda last, environments: 2**62)
    rng = np.random.default_rng(0)
    for episode in range(episodes):
        row = random_episode(spec, rng, 5, first_sequence=1 + 5 * episode, episode_id=episode)
        for transition in row:
            recording.receive(
                transition, transition.sequence, serialize_message(codec.to_transition(spec, transition))
            )
    recording.close()
    return folder


def foreign_bag(folder: Path) -> Path:
    """Write a bag that holds only a string; return it."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    text = store.types["std_msgs/msg/String"]
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        writer.write(connection, 1, store.serialize_cdr(text(data="hello"), "std_msgs/msg/String"))
    return folder


# The command, before anything starts.


def test_unknown_task_is_answered_with_the_closest(tmp_path: Path) -> None:
    line = refused("run", "pcb_insertio", "--out", tmp_path / "run")
    assert "unknown task 'pcb_insertio'" in line and "did you mean pcb_insertion" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["run", "demos", "bc"])
def test_unknown_parameter_is_answered_with_the_closest(command: str, tmp_path: Path) -> None:
    line = refused(command, PCB, "--out", tmp_path / "run", *options("learner.utd_rato=3"))
    assert "unknown parameter 'utd_rato'" in line and "did you mean utd_ratio" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "cause"),
    [
        ("learner.batch_size=many", "learner.batch_size: batch_size must be a whole number, got 'many'"),
        ("learner.batch_size=0", "batch_size must lie in [1, 65536], got 0"),
        ("env.rate_hz=true", "rate_hz must be a number, got True"),
        ("env.obs=imge", "did you mean image"),
        ("env.reset_height=[1.0]", "reset_height must have 2 elements, got 1"),
        ("nonsense", "expected parameter=value"),
    ],
)
def test_wrong_value_is_named(setting: str, cause: str, tmp_path: Path) -> None:
    assert cause in refused("run", PCB, "--out", tmp_path / "run", *options(setting))
    assert not (tmp_path / "run").exists()


def test_resume_of_nothing_and_of_another_task(tmp_path: Path) -> None:
    assert "holds no run to resume" in refused("run", PCB, "--resume", tmp_path)
    folder, _ = quick_run()
    line = refused("run", "pendulum", "--resume", folder)
    assert "holds a run of task 'pcb_insertion', not of 'pendulum'" in line
    assert "leave out --out" in refused("run", PCB, "--resume", folder, "--out", tmp_path)


def test_stale_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("my only copy")
    assert "is not empty" in refused("run", PCB, "--out", tmp_path)
    folder, _ = quick_run()
    before = (folder / "state.json").read_bytes()
    assert "holds an earlier run" in refused("run", PCB, "--out", folder)
    assert (folder / "state.json").read_bytes() == before
    assert (tmp_path / "thesis.txt").read_text() == "my only copy"


def test_checkpoint_of_another_task_or_none(tmp_path: Path) -> None:
    other = policy_checkpoint(tmp_path / "other", fake_spec())
    line = refused("eval", PCB, "--checkpoint", other, "--out", tmp_path / "out")
    assert "is a checkpoint of task 'fake_reach', not of 'pcb_insertion'" in line
    assert "holds no checkpoint" in refused("eval", PCB, "--checkpoint", tmp_path / "nowhere")
    (other / "checkpoints" / "1" / "policy" / "policy.safetensors").write_bytes(b"short")
    assert "damaged" in refused("eval", PCB, "--checkpoint", other)
    assert not (tmp_path / "out").exists()


# Bags.


def test_bags_that_are_none(tmp_path: Path) -> None:
    assert "does not exist" in refused("replay", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "is not a bag" in refused("replay", tmp_path / "empty")
    line = refused("replay", foreign_bag(tmp_path / "foreign"))
    assert "no serl_msgs/msg/Transition topic" in line and "/chatter (std_msgs/msg/String)" in line


@pytest.mark.parametrize("kind", ["nowhere", "foreign", "another task"])
def test_cloning_refuses_demonstrations_that_are_none(kind: str, tmp_path: Path) -> None:
    bag = tmp_path / "demos"
    if kind == "foreign":
        foreign_bag(bag)
    elif kind == "another task":
        bag_of_transitions(bag, fake_spec())
    done = CliRunner().invoke(app, ["bc", PCB, "--demos", str(bag), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2, (done.output, done.exception)
    assert str(bag) in error_line(done.stderr)


def test_truncated_bag_gives_its_good_part(tmp_path: Path) -> None:
    bag = bag_of_transitions(tmp_path / "bag", fake_spec(), episodes=40)
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = CliRunner().invoke(app, ["replay", str(bag), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["truncated"] and 0 < report["transitions"] < 200
    assert CliRunner().invoke(app, ["replay", str(bag)]).stdout.count("Traceback") == 0


def test_demonstrations_of_another_task_do_not_reach_the_learner(tmp_path: Path) -> None:
    bag = bag_of_transitions(tmp_path / "demos", fake_spec())
    taken: list[Any] = []
    loop: Any = SimpleNamespace(
        spec=dataclasses.replace(fake_spec(), task="other"),
        ingest=lambda transition, demo: taken.append(transition),
        take_in=lambda at_least=1: None,
    )
    with pytest.raises(SerlError, match=r"'fake_reach', expected 'other'"):
        fill_demos(loop, bag)
    assert not taken
    loop.spec = fake_spec()
    assert fill_demos(loop, bag) == 2 and len(taken) == 10


def test_resuming_ignores_what_interrupted_writers_left(tmp_path: Path) -> None:
    taken: list[Any] = []
    restored: list[Path] = []
    loop: Any = SimpleNamespace(
        spec=fake_spec(), ingest=taken.append, take_in=lambda at_least=1: None, restore=restored.append
    )
    (tmp_path / "bag").mkdir()  # killed before the first file
    assert resume_run(loop, tmp_path) == {}
    bag_of_transitions(tmp_path / "bag", fake_spec())
    (tmp_path / "checkpoints" / "40.orbax-checkpoint-tmp").mkdir(parents=True)  # killed during the first save
    assert resume_run(loop, tmp_path) == {"fake-0": 10}
    assert len(taken) == 10 and not restored
    policy_checkpoint(tmp_path, fake_spec())
    resume_run(loop, tmp_path)
    assert restored == [tmp_path]


def test_demos_without_any_success_are_refused(tmp_path: Path) -> None:
    spec = fake_spec()
    recording = Recording(tmp_path / "demos", spec, 1, lambda last, environments: 2**62)
    recording.close()
    loop: Any = SimpleNamespace(spec=spec, ingest=lambda transition, demo: 0)
    with pytest.raises(ConfigError, match="holds no successful demonstration"):
        fill_demos(loop, tmp_path / "demos")


# Live nodes.


class Bench:
    """A node beside live ones, to send them what they should not get."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        for name, value in environment().items():
            monkeypatch.setenv(name, value)
        self.folder = folder

    def __enter__(self) -> Bench:
        self.monitor = Monitor().__enter__()
        self.node = Node("bench")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.supervisor: Supervisor | None = None
        return self

    def __exit__(self, *error: object) -> None:
        if self.supervisor is not None:
            self.supervisor.end(10.0)
        self.node.destroy_node()
        self.monitor.__exit__(*error)

    def start(self, nodes: tuple[graph.NodeSpec, ...], task: Any) -> None:
        """Bring nodes up."""
        task.write(self.folder / "parameters.yaml")
        self.supervisor = Supervisor(nodes, self.folder / "parameters.yaml", self.folder / "logs").__enter__()
        self.monitor.bring_up(nodes, self.supervisor.check, START_SECONDS)

    def spin_until(self, done: Callable[[], Any], what: str) -> None:
        """Serve callbacks until `done`."""

        def turn() -> Any:
            self.executor.spin_once(timeout_sec=0.05)
            return done()

        poll(turn, START_SECONDS, what)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    with Bench(monkeypatch, tmp_path) as ready:
        yield ready


def test_impossible_actions_are_held_and_recorded_with_their_reason(bench: Bench) -> None:
    bag = bench.folder / "bag"
    task = load_task("pendulum", [*FAKE_TASK, "env.max_episodes=2"], SCHEMAS).with_values(
        "recorder", bag=str(bag)
    )
    wrong = {1: np.array([np.nan, 0.0]), 2: np.zeros(3), 3: np.zeros(0), 4: np.array([np.inf, 0.0])}
    actions = contract.publisher(bench.node, contract.ACTION)
    finals: list[tuple[int, int]] = []
    desk = RecordingDesk(bag, 2)
    bench.monitor.show_at(desk)

    def answer(message: Any) -> None:
        if not message.request:
            finals.append((message.episode_id, message.step))
            return
        data = wrong.get(message.step, np.array([-1.0, -1.0])).astype(np.float32)  # away from the goal
        actions.publish(codec.to_action(Action(message.episode_id, message.step, 3, data), 0.0))

    contract.subscription(bench.node, contract.OBSERVATION, answer)
    bench.start((graph.RECORDER, graph.ENV), task)
    bench.spin_until(lambda: len(bench.monitor.episodes) == 2 and bench.monitor.all_on_disk(), "two episodes")
    bench.spin_until(lambda: len(finals) == 2, "last observations")
    assert finals == [(0, 20), (1, 20)], "an episode's last one is to be seen, not to be answered"
    assert bench.supervisor is not None
    bench.supervisor.check()  # nobody died of it
    last = {"env": bench.monitor.episodes[-1].env_id, "episode": 1, "step": 20, "label": None}
    poll(lambda: desk.state()["frame"] == last, 10.0, "last frame on the page")
    desk.click({**last, "do": "success"})
    assert read_labels(bag).frames == {FrameKey(last["env"], 1, 20): True}
    bench.supervisor.end(30.0)
    transitions = list(read_transitions(bag))
    unbroken(transitions)
    assert len(transitions) == 40
    for transition in transitions:
        if transition.step in wrong:
            assert transition.source is Source.HOLD and not transition.action.any()
            cause = "NaN or infinity" if wrong[transition.step].size == 2 else "expected 2 numbers"
            assert cause in transition.source_detail
        else:
            assert transition.source is Source.POLICY and transition.policy_version == 3
    assert [e.hold_steps for e in bench.monitor.episodes] == [4, 4]


@pytest.mark.parametrize("kind", ["observation of another schema", "weights of another network"])
def test_actor_refuses_what_does_not_fit_in_one_line(kind: str, bench: Bench) -> None:
    spec = fake_spec()
    checkpoint = policy_checkpoint(bench.folder, spec)
    task = load_task("pendulum", FAKE_TASK, SCHEMAS).with_values(
        "actor", checkpoint=str(checkpoint), deterministic=True
    )
    bench.start((graph.ACTOR,), task)
    descriptions = contract.publisher(bench.node, contract.ENV_DESCRIPTION)
    observations = contract.publisher(bench.node, contract.OBSERVATION)
    answers: list[Any] = []
    contract.subscription(bench.node, contract.ACTION, answers.append)
    message = codec.to_observation(spec, random_observation(spec, np.random.default_rng(0)), request=True)
    ends: list[NodeDied] = []
    assert bench.supervisor is not None
    check = bench.supervisor.check

    def ended() -> bool:
        observations.publish(message)
        try:
            check()
        except NodeDied as error:
            ends.append(error)
        return bool(ends)

    if kind == "weights of another network":
        other = dataclasses.replace(spec, policy_keys=("offset",))
        descriptions.publish(codec.to_description(other, "test"))
        bench.spin_until(ended, "refusal")
        assert not answers
    else:
        descriptions.publish(codec.to_description(spec, "test"))
        bench.spin_until(lambda: ended() or answers, "answer")
        assert not ends, ends
        message.schema, message.step = "another", message.step + 1
        bench.spin_until(ended, "refusal")
    line = str(ends[0])
    assert line.startswith("actor ended with status 3") and "\n" not in line
    cause = (
        "another observation schema or network"
        if kind.startswith("weights")
        else "schema is another, expected"
    )
    assert cause in line
    assert "Traceback" not in (bench.folder / "logs" / "actor.log").read_text()


def test_eval_with_other_observations_than_trained_on(tmp_path: Path) -> None:
    folder, _ = quick_run()
    arguments = ["eval", PCB, "--checkpoint", folder, "--episodes", "2", "--out", tmp_path / "out"]
    with Command(
        tmp_path / "out", *arguments, *options("env.policy_keys_state=[goal_pose, tcp_twist]")
    ) as command:
        status, _ = command.end()
        assert status == 2
        line = error_line(command.stderr)
    assert line.startswith("serl: actor ended") and "another observation schema or network" in line


def test_full_disk_while_recording_demonstrations(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Command(out, "demos", PCB, "--episodes", "500", "--out", out) as command:
        recorder = poll(lambda: node_processes(out).get("recorder"), START_SECONDS, "recorder")
        command.wait_for("[demonstrations")
        poll(
            lambda: any(p.stat().st_size > 10_000 for p in out.glob("demos/*.mcap")),
            START_SECONDS,
            "recording",
        )
        full = max(path.stat().st_size for path in out.glob("demos/*.mcap")) + 50_000
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (full, full))
        command.process.wait(START_SECONDS)
        began = time.monotonic()
        status, _ = command.end()
        assert status == 2 and time.monotonic() - began < patience(10.0)
        line = error_line(command.stderr)
    assert line.startswith("serl: recorder ended with status 3") and str(out / "demos") in line
    report = replay(out / "demos")
    assert report.transitions > 0 and report.missing_sequences == 0
    shutil.rmtree(out)
