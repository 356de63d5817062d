# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Demonstrations as found in a bag: the episodes that succeeded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from serl_core.errors import ConfigError
from serl_core.specs import EnvSpec
from serl_core.types import Transition
from serl_learner.bag.labels import read_labelled_transitions

Episode = list[Transition]


def successful_episodes(transitions: Iterable[Transition]) -> Iterator[Episode]:
    """Yield the episodes that ended in success, each in order; failed attempts are no demonstrations."""
    episodes: dict[tuple[str, int], Episode] = defaultdict(list)
    for transition in transitions:
        key = (transition.env_id, transition.episode_id)
        episodes[key].append(transition)
        if transition.last:
            episode = episodes.pop(key)
            if transition.success:
                yield episode


def read_demonstrations(bag: Path, spec: EnvSpec) -> list[Episode]:
    """Return the demonstrations of a bag; an episode counts as a person judged it, where one did.

    Raises:
        BagError: it is no bag, or none of its transitions fits `spec`.
        ConfigError: it holds no successful episode.
    """
    episodes = list(successful_episodes(read_labelled_transitions(bag, spec)))
    if not episodes:
        raise ConfigError(f"{bag} holds no successful demonstration of task {spec.task!r}: record some first")
    return episodes
