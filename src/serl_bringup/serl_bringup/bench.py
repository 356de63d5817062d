# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Speed on this machine: figures, and ratios of what was measured in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from serl_bringup import peers

Figures = dict[str, Any]

BACKBONES = {"published": ((64, 128, 256, 512), 128), "pretrained": ((16, 32, 64, 128), 64)}
"""Filters and side of the pictures [pixels]: of SERL's ResNet-10, and of what `obs=image` of pcb_insertion has."""


def controller() -> Figures:
    """One update of the impedance law."""
    from serl_controllers import benchmark_update

    return dict(benchmark_update(iterations=2000, repeats=50))


def sim() -> Figures:
    """Environment steps of 100 control cycles a second on one core, beside gym-hil's where that is installed."""
    from serl_sim.benchmark import benchmark_steps

    figures: Figures = dict(benchmark_steps(seconds=5.0))
    peer = subprocess.run(
        [peers.python(), "-c", peers.GYM_HIL], capture_output=True, text=True, check=False, timeout=120
    )
    if peer.returncode == 0:
        figures["gym_hil_steps_per_s"] = float(peer.stdout.split()[-1])
        figures["ratio_to_gym_hil"] = figures["steps_per_s"] / figures["gym_hil_steps_per_s"]
    else:
        figures["gym_hil"] = f"not found: pip install gym-hil elsewhere, name its python in {peers.PYTHON}"
    return figures


def learner() -> Figures:
    """Updates from states and from two cameras, beside SERL's own agent where that is installed."""
    from serl_learner import bench

    figures: Figures = {}
    sizes = (bench.STATE_SIZE, bench.ACTION_SIZE)
    for of, measure, peer in (
        ("states", bench.benchmark_learner, peers.SerlAgent(256, 8, *sizes)),
        ("images", bench.benchmark_images, peers.SerlAgent(64, 1, *sizes, cameras=bench.CAMERAS)),
    ):
        with peer as serl:
            measured = measure(seconds=20.0, beside=serl.update if serl else None)
        figures.update({f"{of}_{name}": value for name, value in measured.items()})
        if serl is None:
            figures[f"{of}_serl"] = peer.missing
    return figures


def loop() -> Figures:
    """Codec and policy: what an observation costs on its way to an action, without the network."""
    from serl_core import codec
    from serl_core.specs import ArraySpec, EnvSpec
    from serl_core.types import Observation
    from serl_learner.actor_network import ActorConfig, ActorNetwork

    images = (ArraySpec("wrist", (128, 128, 3), "uint8"),)
    spec = EnvSpec("bench", (ArraySpec("state", (36,)),), images, 6, "", ("state",),
                   0.1, 100)  # fmt: skip
    rng = np.random.default_rng(0)
    observation = Observation(0, 0, 0.0, {"state": rng.normal(size=36).astype(np.float32)},
                              {"wrist": rng.integers(0, 255, (128, 128, 3), np.uint8)})  # fmt: skip
    config = ActorConfig(state_size=36, action_size=6)
    leaves = {
        name: rng.normal(size=shape).astype(np.float32) * 0.1 for name, shape in config.leaf_shapes().items()
    }
    network = ActorNetwork(config, leaves)
    message = codec.to_observation(spec, observation)
    return {
        "encode_observation_us": _median_us(lambda: codec.to_observation(spec, observation)),
        "decode_observation_us": _median_us(lambda: codec.from_observation(spec, message)),
        "policy_sample_us": _median_us(lambda: network.sample(observation.state["state"], rng)),
    }


def classifier() -> Figures:
    """Training of a reward classifier on a data set of the default size, and the latency of a verdict."""
    from serl_reward.classifier.bench import benchmark_classifier

    figures = benchmark_classifier()
    figures.pop("settings")
    return figures


def weights() -> Figures:
    """From the learner's parameters to an action by them, and answers at 10 Hz while 5 MB arrive, over DDS."""
    from serl_bringup.weights_bench_node import benchmark_weights

    return benchmark_weights()


def action() -> Figures:
    """An action from two cameras through ResNet-10, by the actor's own process: message in to message out."""
    figures: Figures = {}
    for name, (filters, side) in BACKBONES.items():
        for of, measured in time_actions(filters, side, count=1000).items():
            figures.update({f"{name}_{of}_{percentile}": value for percentile, value in measured.items()})
    return {**figures, "cores": os.cpu_count()}


def time_actions(filters: tuple[int, ...], side: int, count: int) -> dict[str, dict[str, float]]:
    """Return "p50_ms" and "p99_ms" of an actor process: in its "node", message in to message out, and "round_trip".

    Args:
        filters: Of the ResNet's four stages; the weights are random, which costs the same.
        side: Of the two cameras' pictures [pixels].
        count: Observations, 20 a second; the node's figures are over its last 1000.
    """
    from serl_bringup import graph
    from serl_bringup.action_probe_node import ActionProbe
    from serl_bringup.nodes_schema import SCHEMAS
    from serl_bringup.supervisor import Supervisor, choose_domain
    from serl_bringup.tasks import load_task
    from serl_core.latency import RecentLatencies
    from serl_core.specs import ArraySpec, EnvSpec
    from serl_learner import weights
    from serl_learner.agents.config import RLPDConfig
    from serl_learner.checkpoint import save_policy
    from serl_learner.vision.backbone_file import leaf_shapes, make_backbone

    rng = np.random.default_rng(0)

    def random(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        return {key: rng.normal(0.0, 0.05, shape).astype(np.float32) for key, shape in shapes.items()}

    cameras = tuple(ArraySpec(key, (side, side, 3), "uint8", "rgb") for key in ("wrist_1", "wrist_2"))
    keys = ("state", *(camera.name for camera in cameras))
    spec = EnvSpec("bench", (ArraySpec("state", (36,)),), cameras, 6, "", keys, 0.1, 100)
    backbone = make_backbone(random(leaf_shapes(filters)), "bench")
    agent = RLPDConfig(encoder="resnet10")
    config = agent.actor_config(36, 6, agent.vision_config(spec, backbone))
    policy = weights.encode(random(config.leaf_shapes()), spec, config, 1, 0.0)
    choose_domain()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_policy(folder, 0, policy, spec, {}, backbone)
        parameters = folder / "parameters.yaml"
        task = load_task("pcb_insertion", schemas=SCHEMAS)
        task.with_values("actor", checkpoint=str(folder)).write(parameters)
        nodes = (graph.ACTOR,)
        with ActionProbe(spec) as probe, Supervisor(nodes, parameters, folder / "logs") as supervisor:
            probe.bring_up(nodes, supervisor.check)
            probe.round_trips(10, period=0.05)  # compiles, and brings both processes' pages in
            round_trip = RecentLatencies(count)
            for seconds in probe.round_trips(count, period=0.05):
                round_trip.add(float(seconds))
            return {"node": probe.node_figures(), "round_trip": round_trip.figures()}


PARTS: dict[str, Callable[[], Figures]] = {
    "controller": controller,
    "sim": sim,
    "learner": learner,
    "loop": loop,
    "classifier": classifier,
    "weights": weights,
    "action": action,
}


def run_bench(parts: Sequence[str], console: Console) -> dict[str, Figures]:
    """Measure the parts named, print a table of each, return all figures."""
    figures = {}
    for part in parts:
        with console.status(f"measuring {part} ..."):
            figures[part] = PARTS[part]()
        table = Table("figure", "value", title=f"{part}: {PARTS[part].__doc__}", title_justify="left")
        for name, value in figures[part].items():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        console.print(table)
    return figures


def _median_us(work: Callable[[], Any], repeats: int = 500) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)
