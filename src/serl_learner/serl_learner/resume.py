# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From bags and checkpoints back to a training loop that goes on where it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from serl_core.errors import ConfigError
from serl_core.types import Transition
from serl_learner.bag.reader import read_transitions
from serl_learner.checkpoint import has_checkpoint
from serl_learner.training_loop import TrainingLoop


def successful_episodes(transitions: Iterable[Transition]) -> Iterator[list[Transition]]:
    """Yield the episodes that ended in success, each in order; failed attempts are no demonstrations."""
    episodes: dict[tuple[str, int], list[Transition]] = defaultdict(list)
    for transition in transitions:
        key = (transition.env_id, transition.episode_id)
        episodes[key].append(transition)
        if transition.last:
            episode = episodes.pop(key)
            if transition.success:
                yield episode


def fill_demos(loop: TrainingLoop, bag: Path) -> int:
    """Fill the demo buffer from a bag; return the number of demonstrations.

    BagError if it is no bag, ConfigError if it holds no successful episode of this task.
    """
    count = 0
    for episode in successful_episodes(read_transitions(bag, loop.spec)):
        for transition in episode:
            loop.ingest(transition, demo=True)
        count += 1
    if count == 0:
        raise ConfigError(
            f"{bag} holds no successful demonstration of task {loop.spec.task!r}: record some first"
        )
    return count


def resume_run(loop: TrainingLoop, run: Path) -> dict[str, int]:
    """Take up the checkpoint and the bag of a run folder, as far as there are any.

    Returns:
        Last sequence in the bag by environment, for the intake.
    """
    known: dict[str, int] = {}
    bag = run / "bag"
    if not any(bag.glob("*.mcap")):
        return known  # nothing was acknowledged
    if has_checkpoint(run):
        loop.restore(run)
    for transition in read_transitions(bag, loop.spec):
        loop.ingest(transition)
        known[transition.env_id] = max(transition.sequence, known.get(transition.env_id, 0))
    return known
