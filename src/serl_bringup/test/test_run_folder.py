# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Run folders: who gets one, what survives, and what a person is told."""

import json
import math
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from serl_bringup import run_folder
from serl_bringup.run_folder import OPTIONS, RunFolder, versions
from serl_core.errors import ConfigError, SerlError


def refused(told, *arguments, kind=ConfigError, **named):
    with pytest.raises(kind) as raised:
        RunFolder.create(*arguments, **named)
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_default_folders_are_new_and_latest_points_to_the_last(tmp_path):
    first = RunFolder.create(None, "lamp", runs=tmp_path, latest=True)
    second = RunFolder.create(None, "lamp", runs=tmp_path, latest=True)
    RunFolder.create(None, "lamp", runs=tmp_path)  # an evaluation, or a recording: holds no policy
    assert first.path != second.path
    assert first.path.parent == tmp_path / "lamp"
    assert (tmp_path / "lamp" / "latest").resolve() == second.path
    assert not Path(os.readlink(tmp_path / "lamp" / "latest")).is_absolute(), "the runs can be moved"


def test_finished_stages_survive(tmp_path):
    with RunFolder.create(tmp_path / "a b", "lamp") as folder:
        assert folder.finished("demos") is None
        folder.finish("demos", episodes=20, rate=np.float32(0.5), bag=Path("x"), bad=math.nan)
        folder.finish("demos", episodes=21)
        folder.finish("train", rate=np.float64(0.5), bag=Path("x"), none=math.nan)
    with RunFolder.create(tmp_path / "a b", "lamp", resume=True) as folder:
        assert folder.finished("demos") == {"episodes": 21}
        assert folder.finished("train") == {"rate": 0.5, "bag": "x", "none": None}
        assert folder.finished("evaluation") is None


def test_resume_without_a_folder_takes_the_latest(tmp_path):
    with RunFolder.create(None, "lamp", runs=tmp_path, latest=True) as folder:
        path = folder.path
    with RunFolder.create(None, "lamp", resume=True, runs=tmp_path) as folder:
        assert folder.path == path


def test_an_earlier_run_is_not_overwritten(tmp_path):
    with RunFolder.create(tmp_path, "lamp") as folder:
        folder.finish(OPTIONS, seed=0)
    refused(f"resume it with --resume {tmp_path} or choose another --out", tmp_path, "lamp")


def test_nobody_is_told_to_resume_what_cannot_be(tmp_path):
    RunFolder.create(tmp_path, "lamp").close()
    refused("holds an earlier run: choose another --out", tmp_path, "lamp")


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    refused("is not empty and holds no run", tmp_path, "lamp")
    refused("is not a folder", tmp_path / "thesis.tex", "lamp")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.tex"]


def test_resume_of_nothing_another_task_or_a_damaged_run(tmp_path):
    refused("holds no run to resume", tmp_path, "lamp", resume=True)
    refused("holds no run to resume", tmp_path / "nowhere", "lamp", resume=True)
    RunFolder.create(tmp_path, "lamp").close()
    refused("holds a run of task 'lamp', not of 'pcb'", tmp_path, "pcb", resume=True)
    (tmp_path / "state.json").write_text('{"task": "la')
    refused("is damaged", tmp_path, "lamp", resume=True)
    (tmp_path / "state.json").write_text("[]")
    refused("is damaged", tmp_path, "lamp", resume=True)


def test_two_processes_cannot_share_a_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from serl_bringup.run_folder import RunFolder;"
        "f = RunFolder.create(Path(sys.argv[1]), 'lamp'); print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=-1, stdout=-1, text=True, env=environment
    ) as other:
        assert other.stdout.readline() == "held\n"
        refused(f"in use by another run (process {other.pid})", tmp_path, "lamp", resume=True)
        other.kill()
        other.wait()
    RunFolder.create(tmp_path, "lamp", resume=True).close()  # a killed process lets go


def test_a_refused_resume_lets_go_of_the_folder(tmp_path):
    RunFolder.create(tmp_path, "lamp").close()
    refused("not of 'pcb'", tmp_path, "pcb", resume=True)
    RunFolder.create(tmp_path, "lamp", resume=True).close()


def test_a_full_disk_is_told_before_the_start(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 5 * 10**8)
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda _: usage)
    refused("only 0.50 GB free", tmp_path, "lamp", kind=SerlError)


def test_a_disk_that_fills_up_leaves_the_old_state(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path, "lamp")
    folder.finish("demos", episodes=20)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.os, "fsync", full)
    with pytest.raises(SerlError, match="No space left on device"):
        folder.finish("train", steps=1)
    assert json.loads((tmp_path / "state.json").read_text())["stages"] == {"demos": {"episodes": 20}}
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".state")], "no draft is left behind"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    refused("cannot be written", tmp_path / "file" / "run", "lamp", kind=SerlError)


def test_summary_is_sorted_and_has_no_nan(tmp_path):
    with RunFolder.create(tmp_path, "lamp") as folder:
        path = folder.write_summary(
            {"z": math.nan, "a": [np.float32(1.5), math.inf], "m": {"n": np.int64(3), "b": True}}
        )
    text = path.read_text()
    assert json.loads(text) == {"a": [1.5, None], "m": {"b": True, "n": 3}, "z": None}
    assert text.index('"a"') < text.index('"m"') < text.index('"z"') and "NaN" not in text
    assert path == tmp_path / "summary.json"


def test_fresh_bags_and_discarding(tmp_path):
    with RunFolder.create(tmp_path / "run", "lamp") as folder:
        assert folder.fresh_bag("eval") == folder.eval_bag
        folder.eval_bag.mkdir()
        assert folder.fresh_bag("eval") == folder.path / "eval-2"
        (folder.eval_bag / "x.mcap").write_text("x")
        folder.discard(folder.eval_bag)
        folder.discard(folder.eval_bag)
        assert not folder.eval_bag.exists()
        with pytest.raises(ValueError, match="not inside"):
            folder.discard(tmp_path)
        with pytest.raises(ValueError, match="not inside"):
            folder.discard(folder.path)


def test_places_are_distinct(tmp_path):
    with RunFolder.create(tmp_path, "lamp") as f:
        places = [f.bag, f.demos_bag, f.eval_bag, f.checkpoints, f.plots, f.tensorboard, f.logs, f.parameters]
    assert len(set(places)) == 8 and all(p.parent == tmp_path for p in places)


def test_versions_tell_what_a_result_depends_on(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    found = versions()
    assert {"git", "serl", "jax", "mujoco", "numpy", "python", "ros"} <= set(found)
    assert found["numpy"] == np.__version__ and found["ros"] == "jazzy"
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
