# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What `./serl run --resume` takes up, with which settings, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from serl_bringup import pipeline
from serl_bringup.run_folder import OPTIONS, RunFolder
from serl_bringup.tasks import Task
from serl_core.errors import ConfigError, SerlError

BEGUN = ["learner.agent=residual", "learner.residual_scale=0.2"]


class FarEnough(SerlError):
    """Raised where the first stage would begin."""


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Resumes a run that was begun with `BEGUN`, up to its first stage; returns the task as it would be trained."""
    with RunFolder.create(tmp_path / "run", "pcb_insertion") as folder:
        folder.finish(OPTIONS, seed=3, settings=BEGUN, quick=False)

    def call(*settings: str, folder: Path = tmp_path / "run") -> Task:
        reached: list[Task] = []

        def stop(task: Task, *_: Any) -> None:
            reached.append(task)
            raise FarEnough

        monkeypatch.setattr(pipeline, "_demonstrations", stop)
        with pytest.raises(FarEnough):
            pipeline.run_task("pcb_insertion", 0, None, settings, folder, False, Console(quiet=True))
        return reached[0]

    return call


def recorded(tmp_path: Path) -> list[str]:
    with RunFolder.create(tmp_path / "run", "pcb_insertion", resume=True) as folder:
        return (folder.finished(OPTIONS) or {})["settings"]


def test_settings_given_anew_come_on_top_of_the_recorded_ones(resume: Any, tmp_path: Path) -> None:
    # By itself the second is no parameter of the task: RLPD has no residual.
    assert resume("learner.residual_scale=0.1").parameters["learner"]["residual_scale"] == 0.1
    assert resume().parameters["learner"]["residual_scale"] == 0.1
    assert recorded(tmp_path) == [*BEGUN, "learner.residual_scale=0.1"]


def test_what_does_not_fit_is_refused_and_not_remembered(resume: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="residual_scale"):
        resume("learner.agent=ibrl")
    assert recorded(tmp_path) == BEGUN
    assert resume().parameters["learner"]["agent"] == "residual"


def test_an_evaluation_or_a_recording_is_no_run(resume: Any, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "eval", "pcb_insertion").close()
    with pytest.raises(ConfigError, match="there is nothing to resume"):
        resume(folder=tmp_path / "eval")
    assert not (tmp_path / "eval" / "parameters.yaml").exists()
