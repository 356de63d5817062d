# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From a bag of demonstrations over training and its checkpoint to actions, with cameras and without."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from serl_actor.policy_runner import PolicyRunner
from serl_core import codec
from serl_core.errors import ConfigError, SchemaError
from serl_core.specs import EnvSpec, env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode, random_observation
from serl_core.types import Source
from serl_learner.agents.config import RLPDConfig
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import load_policy
from serl_learner.resume import fill_demos
from serl_learner.training_loop import LoopConfig, TrainingLoop
from serl_learner.vision.backbone_file import backbone_bytes, leaf_shapes, make_backbone

AGENT = RLPDConfig(
    hidden_sizes=(8,),
    ensemble_size=2,
    batch_size=4,
    utd_ratio=2,
    small_filters=(4, 4),
    spatial_embeddings=2,
    bottleneck_size=6,
    proprio_size=4,
)
SPECS = {"state": fake_spec(), "small": fake_spec(image_size=12), "resnet10": fake_spec(image_size=12)}


def record_demos(path: Path, spec: EnvSpec) -> Path:
    rng = np.random.default_rng(0)
    with BagWriter(
        path, {"/transition": ("serl_msgs/msg/Transition", False)}, {"env_spec": env_spec_to_json(spec)}
    ) as bag:
        for number in range(2):
            for t in random_episode(spec, rng, 8, f"demo{number}", source=Source.HUMAN):
                bag.write("/transition", t.sequence, serialize_message(codec.to_transition(spec, t)))
    return path


@pytest.fixture(scope="module")
def frozen_file(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    shapes = leaf_shapes((4, 4, 4, 8))
    leaves = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("weights") / "resnet10.safetensors"
    path.write_bytes(backbone_bytes(make_backbone(leaves, "a test")))
    return path


@pytest.fixture(scope="module", params=list(SPECS))
def trained(request, tmp_path_factory, frozen_file):
    """Environment, run folder, and the loop after two steps on demonstrations and a first episode."""
    spec, run = SPECS[request.param], tmp_path_factory.mktemp(request.param)
    agent = AGENT
    if request.param == "resnet10":
        agent = dataclasses.replace(AGENT, encoder="resnet10", resnet10_weights=str(frozen_file))
    loop = TrainingLoop(spec, LoopConfig(min_online=5, replay_capacity=50, demo_capacity=50), agent, run, 0)
    assert fill_demos(loop, record_demos(run / "demos", spec)) == 2
    for transition in random_episode(spec, np.random.default_rng(1), 10):
        loop.ingest(transition)
    loop.warm_up()
    for _ in range(2):
        loop.step(0.0)
    loop.save(0.0)
    loop.close()
    return spec, run, loop


def test_a_checkpoint_acts_as_the_learner_that_saved_it(trained) -> None:
    spec, run, loop = trained
    loaded = load_policy(run)
    runner = PolicyRunner(spec, loaded.weights, loaded.backbone_file)
    live = PolicyRunner(spec, loop.policy_weights(1.0), loop.agent.resnet10_weights)
    rng = np.random.default_rng(2)
    actions = []
    for step in range(4):
        observation = random_observation(spec, rng, episode_id=3, step=step)
        action = runner.act(observation, None)
        assert (action.episode_id, action.step, action.policy_version) == (3, step, 3)
        assert (
            action.data.shape == (2,) and action.data.dtype == np.float32 and np.abs(action.data).max() <= 1.0
        )
        assert np.array_equal(action.data, live.act(observation, None).data)
        assert not np.array_equal(action.data, runner.act(observation, np.random.default_rng(0)).data)
        actions.append(action.data)
    assert np.ptp(actions, 0).min() > 0.0


def test_a_restored_loop_takes_the_same_step(trained) -> None:
    """The same batch and noise; to rounding, which threads and the alignment of arrays change."""
    spec, run, loop = trained

    def step(seed: int, restore: bool) -> dict[str, float]:
        other = TrainingLoop(spec, loop.config, loop.agent, None, seed)
        fill_demos(other, run / "demos")
        for transition in random_episode(spec, np.random.default_rng(1), 10):
            other.ingest(transition)
        if restore:
            other.restore(run)
        other.step(0.0)
        return {name: float(value) for name, value in other.metrics.items()}

    once, again, fresh = step(9, True), step(10, True), step(11, False)
    for name in ("critic_loss", "q_mean", "actor_loss", "entropy"):
        assert again[name] == pytest.approx(once[name], rel=1e-3, abs=1e-6), name
        assert fresh[name] != pytest.approx(once[name], rel=1e-3, abs=1e-6), name


def test_weights_of_another_task_or_schema_are_refused(trained) -> None:
    spec, run, _ = trained
    loaded = load_policy(run)
    for other in (fake_spec(task="other"), dataclasses.replace(spec, step_seconds=0.2)):
        with pytest.raises(SchemaError, match="another"):
            PolicyRunner(other, loaded.weights, loaded.backbone_file)


def test_a_policy_on_frozen_weights_asks_for_their_file(trained) -> None:
    spec, run, loop = trained
    if loop.agent.encoder != "resnet10":
        assert not load_policy(run).backbone_file
        return
    with pytest.raises(ConfigError, match="set resnet10_weights"):
        PolicyRunner(spec, load_policy(run).weights)
    size = len(load_policy(run).weights.data)
    assert size < Path(loop.agent.resnet10_weights).stat().st_size, "frozen weights are sent again and again"


def test_a_state_policy_does_not_import_jax(tmp_path: Path) -> None:
    packed = TrainingLoop(SPECS["state"], LoopConfig(), AGENT, None, 0).policy_weights(0.0)
    (tmp_path / "weights").write_bytes(packed.data)
    code = f"""
import sys
import numpy as np
from pathlib import Path
from serl_actor.policy_runner import PolicyRunner
from serl_core.testing.fakes import fake_spec, random_observation
from serl_core.types import PolicyWeights
spec = fake_spec()
data = Path({str(tmp_path / "weights")!r}).read_bytes()
weights = PolicyWeights({packed.task!r}, {packed.fingerprint!r}, 1, {packed.checksum!r}, data)
PolicyRunner(spec, weights).act(random_observation(spec, np.random.default_rng(0)), None)
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
