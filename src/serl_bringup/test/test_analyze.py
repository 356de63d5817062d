# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from serl_bringup import plots
from serl_bringup.analyze import Axis, checkpoint_folders
from serl_core.errors import ConfigError
from serl_learner.analysis import Visits


def visits(n: int = 4) -> Visits:
    pose = np.arange(7.0 * n).reshape(n, 7)
    count = np.zeros(n, int)
    return Visits(
        {"tcp_pose": pose, "gripper": pose[:, :1]}, pose, pose, count, count, count, np.array([True])
    )


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
