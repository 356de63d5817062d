# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From bags and checkpoints back to a training loop that goes on where it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from serl_learner.bag.labels import read_labelled_transitions
from serl_learner.bag.mcap_file import ReadReport
from serl_learner.bag.recovery import count_skipped
from serl_learner.checkpoint import has_checkpoint
from serl_learner.demonstrations import read_demonstrations
from serl_learner.training_loop import TrainingLoop

TOGETHER = 256
"""Rows taken in at once: enough that features are computed in batches, and few images wait for theirs."""


def fill_demos(loop: TrainingLoop, bag: Path, warn: Callable[[str], None] = warnings.warn) -> int:
    """Fill the demo buffer from a bag and return the number of demonstrations; see `read_demonstrations`."""
    episodes = read_demonstrations(bag, loop.spec, warn)
    for episode in episodes:
        for transition in episode:
            loop.ingest(transition, demo=True)
        loop.take_in(TOGETHER)
    loop.take_in()
    return len(episodes)


def resume_run(loop: TrainingLoop, run: Path, warn: Callable[[str], None] = warnings.warn) -> dict[str, int]:
    """Take up the checkpoint and the bag of a run folder, as far as there are any.

    Args:
        loop: Fresh.
        run: Run folder.
        warn: Told in one line what a damaged bag has lost. That its writer was killed is no damage.

    Returns:
        Last sequence in the bag by environment, for the intake.
    """
    known: dict[str, int] = {}
    bag = run / "bag"
    if not any(bag.glob("*.mcap")):
        return known  # nothing was acknowledged
    if has_checkpoint(run):
        loop.restore(run)
    report = ReadReport()
    for transition in read_labelled_transitions(bag, loop.spec, report):
        loop.ingest(transition)
        loop.take_in(TOGETHER)
        known[transition.env_id] = max(transition.sequence, known.get(transition.env_id, 0))
    loop.take_in()
    if report.skipped:
        warn(f"{bag}: {report.skipped.total()} message(s) skipped ({count_skipped(report.skipped)})")
    return known
