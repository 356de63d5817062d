# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from serl_bringup import plots
from serl_bringup.analyze import Axis, analyze, checkpoint_folders
from serl_core import codec
from serl_core.errors import ConfigError
from serl_core.specs import env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_learner import weights
from serl_learner.agents import rlpd
from serl_learner.agents.config import DiffusionConfig, RLPDConfig
from serl_learner.analysis import Visits
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import save_policy
from serl_learner.learner_checkpoint import LearnerCheckpoints

SPEC = fake_spec(image_size=16)


def visits(n: int = 4) -> Visits:
    pose = np.arange(7.0 * n).reshape(n, 7)
    count = np.zeros(n, int)
    return Visits({"tcp_pose": pose, "gripper": pose[:, :1]}, {}, pose, count, count, count, np.array([True]))


def test_an_axis_names_one_number_of_the_observation() -> None:
    np.testing.assert_array_equal(Axis.parse("tcp_pose.2", visits()).of(visits()), [2.0, 9.0, 16.0, 23.0])


@pytest.mark.parametrize("text", ["tcp_pos.2", "tcp_pose", "tcp_pose.7", "tcp_pose.-1", "gripper.1", ""])
def test_other_axes_are_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"tcp_pose|gripper\.0"):
        Axis.parse(text, visits())


def test_checkpoints_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("100", "20", "3.partial", "notes"):
        (tmp_path / "checkpoints" / name / "policy").mkdir(parents=True)
    (tmp_path / "checkpoints" / "50").mkdir()  # interrupted
    assert [folder.name for folder in checkpoint_folders(tmp_path)] == ["20", "100"]


def test_a_folder_without_checkpoints_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a run"):
        checkpoint_folders(tmp_path)


def test_the_mean_of_a_cell_counts_its_own_points_only() -> None:
    edges = [np.array([0.0, 1.0, 2.0])] * 2
    points = np.array([[0.5, 0.5], [0.6, 0.4], [1.5, 0.5]])
    cells = plots._cell_means(points, np.array([1.0, 3.0, 7.0]), edges)
    np.testing.assert_array_equal(cells, [[2.0, np.nan], [7.0, np.nan]])


def test_the_pictures_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stages = [
        plots.FunnelStage(
            f"stage {i}", rng.normal(size=(50, 2)), rng.normal(size=(9, 2)), rng.random(9), rng.random(9)
        )
        for i in range(3)
    ]
    plots.funnel(stages, "x", "y", tmp_path / "funnel.png")
    plots.policy_over_time([(np.zeros((5, 6)), np.ones((5, 6)))] * 2, 0.1, tmp_path / "policy.png")
    for name in ("funnel.png", "policy.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def record(path: Path, lengths: list[int]) -> None:
    facts = {"env_spec": env_spec_to_json(SPEC)}
    rng = np.random.default_rng(0)
    with BagWriter(path, {"/transition": ("serl_msgs/msg/Transition", False)}, facts) as bag:
        for number, length in enumerate(lengths):
            for transition in random_episode(SPEC, rng, length, f"env{number}"):
                bag.write("/transition", 0, serialize_message(codec.to_transition(SPEC, transition)))


def test_a_run_from_images_is_drawn(tmp_path: Path) -> None:
    agent = RLPDConfig(
        hidden_sizes=(8,),
        ensemble_size=2,
        small_filters=(4,),
        bottleneck_size=8,
        privileged_keys=("elapsed",),
    )
    shape = agent.actor_config(SPEC.policy_state_size, SPEC.action_size, agent.vision_config(SPEC, None))
    state = rlpd.init(agent, SPEC, seed=0)
    checkpoints = LearnerCheckpoints(tmp_path, keep=1)
    checkpoints.save(9, state, agent, weights.encode(rlpd.actor_leaves(state), SPEC, shape, 3), SPEC, {})
    checkpoints.close()
    record(tmp_path / "bag", [2, 1])
    record(tmp_path / "eval", [2, 3])
    told: list[str] = []

    pictures = analyze(tmp_path, "position.0", "offset.1", 4, tmp_path / "out", told.append)

    assert [p.relative_to(tmp_path / "out").as_posix() for p in pictures] == [
        "funnel.png", "policy_over_time.png",
    ]  # fmt: skip
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)
    of_stages = [text for text in told if text.startswith("steps")]
    assert of_stages == [f"steps {i} to {i}: Q of 1 states by checkpoint 9" for i in range(3)]


def test_a_run_without_critics_is_refused_before_its_bag_is_read(tmp_path: Path) -> None:
    shape = DiffusionConfig(hidden_sizes=(8,)).actor_config(4, SPEC.action_size)
    spec = fake_spec()
    leaves = {name: np.zeros(size, np.float32) for name, size in shape.leaf_shapes().items()}
    save_policy(tmp_path, 1, weights.encode(leaves, spec, shape, 1), spec, {"method": "diffusion"})
    with pytest.raises(ConfigError, match="policy of diffusion, which learns no critics"):
        analyze(tmp_path, "position.0", "position.1", 4, None, lambda text: None)
