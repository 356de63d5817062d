# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures to watch: TensorBoard events, Weights & Biases on request, and rates."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from serl_core.errors import ConfigError, SerlError


class MetricsWriter:
    """Writes TensorBoard events, and the same points to a Weights & Biases run where one is given.

    Args:
        folder: Where the event file goes.
        wandb_run: What `wandb.init` returned.
    """

    def __init__(self, folder: Path, wandb_run: Any = None) -> None:
        self._writer = SummaryWriter(str(folder))
        self._wandb_run = wandb_run

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Add one point per value at `step`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        if self._wandb_run is not None:
            # Steps of its own must rise with every call; ours come from several sources at one number.
            self._wandb_run.log({**values, "critic_updates": step})

    def flush(self) -> None:
        """Put everything written so far on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        if self._wandb_run is not None:
            self._wandb_run.finish()


def metrics_writer(run: Path, wandb_project: str) -> MetricsWriter:
    """Return a writer into a run folder, and into a run of its name at Weights & Biases if a project is given.

    What that run is known by there is noted in the folder, so that only a run continued here is continued there.
    ConfigError if that is not installed, SerlError if it cannot begin a run.
    """
    if not wandb_project:
        return MetricsWriter(run / "tensorboard")
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            "wandb_project needs the package wandb: pip install wandb, or leave it empty"
        ) from error
    try:
        wandb_run = wandb.init(
            project=wandb_project,
            name=run.resolve().name,
            id=_wandb_id(run),
            dir=str(run),
            resume="allow",
        )
    except Exception as error:
        cause = " ".join(str(error).split())
        raise SerlError(f"Weights & Biases cannot begin a run in {wandb_project!r}: {cause}") from error
    return MetricsWriter(run / "tensorboard", wandb_run)


def _wandb_id(run: Path) -> str:
    """Return what a run folder's run is known by at Weights & Biases, noted at its first begin."""
    file = run / "wandb_id"
    known = file.read_text().strip() if file.exists() else ""
    if not known:  # folders of other tasks have the same name, so that a name is no identity
        known = uuid.uuid4().hex
        file.write_text(known + "\n")
    return known


class RateMeter:
    """Events per second over the last `window` seconds; one thread may add while another reads."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, count: int, now: float) -> None:
        """Note `count` events that ended at `now` [s]."""
        self._marks.append((now, count))
        while now - self._marks[0][0] > self._window:
            self._marks.popleft()

    def rate(self, now: float) -> float:
        """Return the rate [1/s]; 0 before two notes or after a silence of one window."""
        # A copy is one operation of the interpreter, which no other thread interrupts.
        marks = [mark for mark in list(self._marks) if now - mark[0] <= self._window]
        if len(marks) < 2 or now <= marks[0][0]:
            return 0.0
        # The first mark opens the interval: its own events ended before it.
        return sum(count for _, count in marks[1:]) / (now - marks[0][0])
