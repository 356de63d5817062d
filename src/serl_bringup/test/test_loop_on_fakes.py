# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The whole loop as processes over DDS, on an environment without physics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from system_cases import FAKE_TASK, START_SECONDS, environment, kill, poll, unbroken

from serl_bringup import graph
from serl_bringup.label import label_episode
from serl_bringup.monitor_node import Monitor
from serl_bringup.nodes_schema import SCHEMAS
from serl_bringup.supervisor import Supervisor
from serl_bringup.tasks import Task, load_task
from serl_learner.bag.reader import read_transitions
from serl_learner.checkpoint import load_policy

UTD, MIN_ONLINE, LEAD = 4, 60, 20


class Nodes:
    """Nodes of a graph that come and go one by one."""

    def __init__(self, task: Task, folder: Path, monitor: Monitor, stack: ExitStack) -> None:
        self._parameters, self._logs = folder / "parameters.yaml", folder / "logs"
        task.write(self._parameters)
        self._monitor, self._stack = monitor, stack
        self.supervisors: dict[str, Supervisor] = {}

    def start(self, node: graph.NodeSpec) -> None:
        """Start a node and bring it to work."""
        supervisor = self._stack.enter_context(Supervisor((node,), self._parameters, self._logs))
        self.supervisors[node.name] = supervisor
        self._monitor.bring_up((node,), supervisor.check, START_SECONDS)


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    loaded = load_task("pendulum", [*FAKE_TASK, f"learner.lead_steps={LEAD}"], SCHEMAS)
    yield loaded.with_values("learner", out=str(tmp_path))


@pytest.mark.parametrize(
    "order",
    [(graph.LEARNER, graph.ENV, graph.ACTOR), (graph.ENV, graph.ACTOR, graph.LEARNER)],
    ids=["actor late", "learner late"],
)
def test_loop_learns_in_any_order_of_starting_and_survives_its_actor(
    order: tuple[graph.NodeSpec, ...], task: Task, tmp_path: Path
) -> None:
    with Monitor() as monitor, ExitStack() as stack:
        nodes = Nodes(task, tmp_path, monitor, stack)

        def steps() -> int:
            for supervisor in nodes.supervisors.values():
                supervisor.check()
            return monitor.learner.env_steps if monitor.learner else 0

        for node in order[:-1]:
            nodes.start(node)
        assert steps() == 0 and not monitor.episodes, "nobody may act or store before everybody is there"
        nodes.start(order[-1])
        poll(lambda: steps() >= 2 * MIN_ONLINE, START_SECONDS, "progress")
        assert monitor.learner is not None and monitor.learner.policy_version > 10

        poll(lambda: steps() and monitor.episodes, START_SECONDS, "the end of an episode")
        label_episode(tmp_path / "bag", success=True)
        log = tmp_path / "logs" / "learner.log"
        poll(lambda: steps() and "judged them: 1" in log.read_text(), 20.0, "relabelled rows")

        actor = nodes.supervisors.pop("actor")
        kill(actor.pid("actor"))
        before = steps()
        nodes.start(graph.ACTOR)
        poll(lambda: steps() >= before + MIN_ONLINE, START_SECONDS, "progress after the actor's restart")

        status = monitor.learner
        trained_on = status.env_steps - MIN_ONLINE
        assert UTD * (trained_on - LEAD - 1) <= status.critic_updates <= UTD * (trained_on + 1)
        acknowledged = dict(monitor.acknowledged)
        for name in ("actor", "env", "learner"):
            nodes.supervisors[name].end(60.0)

    transitions = list(read_transitions(tmp_path / "bag", load_policy(tmp_path).spec))
    stored = unbroken(transitions)
    assert len(stored) == 1 and all(stored[env_id] >= last for env_id, last in acknowledged.items())
    versions = [t.policy_version for t in transitions if not t.source_detail]
    assert versions == sorted(versions) and versions[-1] > versions[0] + 10
    assert load_policy(tmp_path).weights.version >= versions[-1]
