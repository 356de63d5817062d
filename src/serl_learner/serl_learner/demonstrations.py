# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Demonstrations as found in a bag: the episodes that succeeded."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from serl_core.errors import ConfigError
from serl_core.specs import EnvSpec
from serl_core.types import Transition
from serl_learner.bag.labels import read_labelled_transitions
from serl_learner.bag.mcap_file import ReadReport
from serl_learner.bag.reader import read_spec
from serl_learner.bag.recovery import count_skipped
from serl_learner.replay.joiner import Joiner

Episode = list[Transition]


def spec_of_task(bag: Path, task: str) -> EnvSpec:
    """Return the environment that a bag is of; ConfigError if it does not say, or if it is of another task."""
    spec = read_spec(bag)
    if spec is None:
        raise ConfigError(f"{bag} does not say which environment it is of: record it with ./serl demos")
    if spec.task != task:
        raise ConfigError(f"{bag} holds demonstrations of task {spec.task!r}, not of {task!r}")
    return spec


def read_demonstrations(
    bag: Path, spec: EnvSpec, warn: Callable[[str], None] = warnings.warn
) -> list[Episode]:
    """Return the demonstrations of a bag; an episode counts as a person judged it, where one did.

    Args:
        bag: Recording; failed attempts in it, and episodes whose end is not there, are no demonstrations.
        spec: What its transitions must fit.
        warn: Told in one line what a damaged bag has lost, where it is.

    Raises:
        BagError: it is no bag, or none of its transitions fits `spec`.
        ConfigError: it holds no successful episode.
    """
    report = ReadReport()
    episodes: list[Episode] = []
    unfinished: dict[tuple[str, int], Episode] = defaultdict(list)
    for transition in read_labelled_transitions(bag, spec, report):
        key = (transition.env_id, transition.episode_id)
        unfinished[key].append(transition)
        if transition.last:
            episode = unfinished.pop(key)
            if transition.success:
                episodes.append(episode)
    if report.skipped or report.truncated:
        lost = sum(map(len, unfinished.values())) + _without_predecessor(episodes, spec)
        cut = ", whose end is missing" if report.truncated else ""
        warn(
            f"{bag}{cut}: {report.skipped.total()} message(s) skipped ({count_skipped(report.skipped)}),"
            f" {lost} transition(s) lost with them, {len(episodes)} demonstration(s) left"
        )
    if not episodes:
        raise ConfigError(f"{bag} holds no successful demonstration of task {spec.task!r}: record some first")
    return episodes


def _without_predecessor(episodes: Sequence[Episode], spec: EnvSpec) -> int:
    """Return how many transitions lack the one before them, which holds their observation."""
    joiner = Joiner(spec)
    for episode in episodes:
        for transition in episode:
            joiner.add(transition)
    joiner.flush()
    return joiner.dropped
