# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Pictures of a finished run's training dynamics (HIL-SERL Fig. 6 and 7), from its bags and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serl_bringup import plots
from serl_core.errors import ConfigError, suggest
from serl_learner.analysis import Critic, Visits, policy_distribution, read_visits
from serl_learner.checkpoint import CHECKPOINTS, POLICY

STATES = 2000
"""Most states of a stage whose Q and variance are computed; of more a random draw."""
EPISODES = 3
"""Successful trials whose policy is drawn over time, as in the paper."""


@dataclass(frozen=True)
class Axis:
    """One number of the observation, e.g. "tcp_pose.2": element 2 of the array tcp_pose."""

    name: str
    element: int

    @classmethod
    def parse(cls, text: str, visits: Visits) -> Axis:
        """Read "array.element"; ConfigError if the run's observations have no such number."""
        name, _, element = text.partition(".")
        if name not in visits.state:
            raise ConfigError(
                f"no state array {name!r}{suggest(name, visits.state)}; there are {', '.join(visits.state)}"
            )
        width = visits.state[name][0].size
        if not element.isdigit() or int(element) >= width:
            raise ConfigError(f"{text!r}: expected {name}.0 to {name}.{width - 1}")
        return cls(name, int(element))

    def of(self, visits: Visits) -> np.ndarray:
        """Return the number in every visit, (n,)."""
        return visits.state[self.name].reshape(len(visits), -1)[:, self.element]

    def __str__(self) -> str:
        return f"{self.name}[{self.element}]"


def analyze(
    run: Path, x: str, y: str, stages: int, out: Path | None, note: Callable[[str], None]
) -> list[Path]:
    """Draw the funnel of training and the policy over time; return the pictures.

    Args:
        run: Run folder with `bag` and `checkpoints`; `eval` for the policy over time.
        x, y: Numbers of the observation to draw over, "array.element".
        stages: Equal parts of the training to show side by side.
        out: Folder of the pictures; None: the run's plots.
        note: Told about progress.

    Raises:
        ConfigError: no such run or number, or a run without critics. BagError, SchemaError: its files are damaged.
    """
    critics = {checkpoint: Critic(checkpoint) for checkpoint in checkpoint_folders(run)}
    spec = next(iter(critics.values())).spec
    folder = run / "plots" if out is None else out
    note(f"reading {run / 'bag'}")
    visits = read_visits(run / "bag", spec)
    axes = Axis.parse(x, visits), Axis.parse(y, visits)
    visited = np.column_stack([axis.of(visits) for axis in axes])
    rng = np.random.default_rng(0)
    columns = []
    for part in np.array_split(np.arange(len(visits)), min(stages, len(visits))):
        checkpoint = _associated(critics, int(visits.policy_version[part].max()))
        drawn = part[rng.permutation(len(part))[:STATES]]
        note(f"steps {part[0]} to {part[-1]}: Q of {len(drawn)} states by checkpoint {checkpoint.name}")
        values = critics[checkpoint].values(visits.rows(drawn))
        columns.append(
            plots.FunnelStage(
                title=f"steps {part[0]} to {part[-1]}\ncritics after {checkpoint.name} updates",
                visited=visited[part],
                judged=visited[drawn],
                q=values.q,
                variance=values.variance,
            )
        )
    pictures = [folder / "funnel.png"]
    plots.funnel(columns, str(axes[0]), str(axes[1]), pictures[0])
    trials = run / "eval"
    if trials.is_dir():
        note(f"reading {trials}")
        shown = read_visits(trials, spec)
        chosen = [e for e in np.unique(shown.episode) if shown.success[e]][:EPISODES]
        if chosen:
            shown = shown.rows(np.isin(shown.episode, chosen))
            mean, deviation = policy_distribution(run, shown)
            over_time = [(mean[shown.episode == e], deviation[shown.episode == e]) for e in chosen]
            pictures.append(folder / "policy_over_time.png")
            plots.policy_over_time(over_time, spec.step_seconds, pictures[-1])
    return pictures


def checkpoint_folders(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first; ConfigError if there is none."""
    folder = run / CHECKPOINTS
    found = (
        [e for e in folder.iterdir() if e.name.isdigit() and (e / POLICY).is_dir()] if folder.is_dir() else []
    )
    if not found:
        raise ConfigError(f"{run} is not the folder of a run: it has no {CHECKPOINTS}")
    return sorted(found, key=lambda entry: int(entry.name))


def _associated(critics: Mapping[Path, Critic], version: int) -> Path:
    """Return the first checkpoint not older than the policy that acted, the last where all are."""
    folders = list(critics)
    return next((folder for folder in folders if critics[folder].version >= version), folders[-1])
