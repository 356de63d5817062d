# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a damaged bag of demonstrations has lost is told in one line, whichever way they are learned from."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from test_bag_damage import flip
from test_offline import SHOWN, SPEC, demonstration, record

from serl_core.errors import ConfigError
from serl_learner.agents.config import BCConfig, RLPDConfig
from serl_learner.demonstrations import read_demonstrations
from serl_learner.offline import train_offline
from serl_learner.resume import fill_demos, resume_run
from serl_learner.training_loop import LoopConfig, TrainingLoop

DEMOS, STEPS = 5, 12
CASES = {
    # Which step is damaged, messages flushed together; skipped messages, transitions lost with them, demonstrations.
    "last": (STEPS - 1, 1, 1, STEPS - 1, DEMOS - 1),
    "middle": (5, 1, 1, 1, DEMOS),
    "first": (0, 1, 1, 1, DEMOS),
    "whole episode": (5, STEPS, STEPS, 0, DEMOS - 1),
}
AGENT = RLPDConfig(hidden_sizes=(8,), ensemble_size=2, batch_size=8, utd_ratio=2)
CLONER = BCConfig(updates=2, batch_size=8, hidden_sizes=(8,))


def damaged_bag(path: Path, step: int, flush_every: int) -> Path:
    """Record demonstrations and flip one bit in a step of the third."""
    episodes = [demonstration(number, True, SHOWN) for number in range(DEMOS)]
    (file,) = record(path, episodes, flush_every).glob("*.mcap")
    position = episodes[2][step].next_observation.state["position"]
    flip(file, file.read_bytes().index(position.tobytes()))
    return path


@pytest.mark.parametrize("case", CASES)
def test_what_is_lost_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    step, flush_every, skipped, lost, demos = CASES[case]
    bag = damaged_bag(tmp_path / "bag", step, flush_every)
    told: list[str] = []
    loop = TrainingLoop(SPEC, LoopConfig(replay_capacity=100, demo_capacity=100), AGENT, None, 0)
    assert fill_demos(loop, bag, told.append) == demos
    assert len(loop._demo) == DEMOS * STEPS - skipped - lost, "the count is not that of the rows"
    (line,) = told
    assert line.startswith(f"{bag}: {skipped} message(s) skipped (1 x damaged record") and "\n" not in line
    assert line.endswith(f" {lost} transition(s) lost with them, {demos} demonstration(s) left")

    notes: list[str] = []
    assert train_offline(bag, SPEC.task, CLONER, tmp_path / "run", 0, notes.append).demos == demos
    assert [note for note in notes if "lost" in note] == [line]


def test_a_bag_without_its_end_is_told_and_a_whole_one_is_not(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", [demonstration(number, True, SHOWN) for number in range(DEMOS)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert len(read_demonstrations(bag, SPEC)) == DEMOS
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.warns(UserWarning, match=r"whose end is missing: 0 message\(s\) skipped"):
        assert 0 < len(read_demonstrations(bag, SPEC)) < DEMOS


def test_where_all_is_lost_it_is_told_before_the_refusal(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", [episode := demonstration(0, True, SHOWN)])
    (file,) = bag.glob("*.mcap")
    flip(file, file.read_bytes().index(episode[-1].next_observation.state["position"].tobytes()))
    told: list[str] = []
    with pytest.raises(ConfigError, match="holds no successful demonstration"):
        read_demonstrations(bag, SPEC, told.append)
    assert len(told) == 1 and f"{STEPS - 1} transition(s) lost with them, 0 demonstration(s) left" in told[0]


def test_a_run_that_goes_on_tells_what_its_own_bag_has_lost(tmp_path: Path) -> None:
    damaged_bag(tmp_path / "damaged" / "bag", 5, 1)
    bag = record(tmp_path / "killed" / "bag", [demonstration(0, True, SHOWN)])
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-30])  # its writer did not finish it
    told: list[str] = []
    for run in ("damaged", "killed"):
        loop = TrainingLoop(SPEC, LoopConfig(replay_capacity=100, demo_capacity=100), AGENT, None, 0)
        assert resume_run(loop, tmp_path / run, told.append)
    (line,) = told
    assert line == f"{tmp_path / 'damaged' / 'bag'}: 1 message(s) skipped (1 x damaged record)"
