# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What the terminal shows, and what the health line makes of a run."""

import io
import math
import shlex

import pytest
import typer
from rich.console import Console

from serl_bringup import cli
from serl_bringup.pipeline import fooled_advice
from serl_bringup.progress import Progress, RunStatus, health_line, plain_line, render, sparkline
from serl_core.types import EpisodeSummary, LearnerStatus


def episode(success, steps=30, duration=3.0, **more):
    figures = {
        "human_steps": 0,
        "hold_steps": 0,
        "interventions": 0,
        "peak_force": 5.0,
        "policy_version": 7,
        **more,
    }
    return EpisodeSummary(
        "lamp", "e", 0, 0.0, steps, float(success), success, duration, end_reason="success", **figures
    )


def learner(**figures):
    good = {
        "q_mean": 0.8,
        "return_mean": 0.7,
        "entropy": -3.1,
        "target_entropy": -3.0,
        "critic_updates": 96000,
    }
    return LearnerStatus("lamp", "training", **{**good, **figures})


def training(successes=(True,) * 30, **figures):
    return RunStatus("training", episodes=[episode(s) for s in successes], learner=learner(**figures))


def paid(truths):
    """Every episode was rewarded; what was true of each, None: unknown."""
    episodes = [episode(True, ground_truth=truth) for truth in truths]
    return RunStatus("training", episodes=episodes, learner=learner())


def text_of(renderable, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, color_system=None).print(renderable)
    return stream.getvalue()


def test_figures_come_from_the_episodes():
    status = RunStatus(
        "training",
        episodes=[episode(False, duration=10.0, interventions=2)] * 5 + [episode(True, duration=2.0)] * 15,
        learner=learner(env_steps=640, policy_version=9),
    )
    assert status.recent_success == 0.75
    assert status.cycle_time_s == 2.0, "failures have no cycle time"
    assert (status.interventions, status.env_steps, status.policy_version) == (10, 640, 9)
    nothing = RunStatus("demonstrations")
    assert math.isnan(nothing.recent_success) and math.isnan(nothing.cycle_time_s)
    assert (nothing.env_steps, nothing.policy_version) == (0, 0)


def test_a_healthy_run_is_ok():
    line = health_line(training())
    assert line.startswith("ok: ") and "Q 0.80 for a return of 0.70" in line and "entropy -3.1" in line


@pytest.mark.parametrize(
    ("status", "verdict", "why"),
    [
        (training([False] * 30), "watch", "no reward yet in 30 episodes"),
        (training([False] * 120), "bad", "are demonstrations and reward right?"),
        (training(q_mean=2.1), "watch", "optimistic"),
        (training(q_mean=40.0), "bad", "overestimates"),
        (training(q_mean=math.nan), "bad", "diverged"),
        (training(q_mean=math.inf), "bad", "diverged"),
        (training(entropy=-5.5), "watch", "explores little"),
        (training(entropy=-12.0), "bad", "collapsed"),
        (training(entropy=8.0), "watch", "random"),
        (training(entropy=-5.5, q_mean=40.0), "bad", "explores little"),
        (training(skipped_updates=3), "watch", "3 updates skipped"),
        (training(q_mean=-150.0, return_mean=-300.0), "ok", "return of -300"),
        (paid(truths=[True] * 17 + [False] * 3), "watch", "3 of the last 20 episodes were rewarded without"),
        (paid(truths=[False] * 40), "bad", "20 of the last 20 episodes were rewarded without"),
        (paid(truths=[False] * 20 + [True] * 19 + [False]), "ok", "reward"),
        (paid(truths=[None] * 20), "ok", "reward"),
    ],
)
def test_health_names_the_fault(status, verdict, why):
    line = health_line(status)
    assert line.startswith(f"{verdict}: ") and why in line


def test_who_was_fooled_is_told_what_to_show_the_classifier(tmp_path):
    trials = paid(truths=[True, False, None]).episodes
    advice = fooled_advice(trials, tmp_path / "my bag", "module:Truth")
    assert advice.startswith("1 of 3 trials")
    command = next(part for part in advice.split(": ") if part.startswith("./serl label")).partition(",")[0]
    named = (
        typer.main.get_command(cli.app)
        .get_command(None, "label")
        .make_context("label", shlex.split(command)[2:])
    )
    assert named.params["ground_truth"] and named.params["reward"] == "module:Truth"
    assert named.params["bag"] == tmp_path / "my bag"
    assert fooled_advice(trials[:1] + trials[2:], tmp_path, "module:Truth") == ""


def test_health_before_there_is_anything():
    assert health_line(RunStatus("demonstrations", episodes=[episode(True)])) == ""
    assert (
        health_line(RunStatus("training", learner=LearnerStatus("lamp", "waiting")))
        == "ok: nothing to judge yet"
    )


def test_sparkline_follows_the_values():
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.0] * 500 + [1.0] * 500, width=10) == "▁" * 5 + "█" * 5
    assert sparkline([]) == ""
    assert sparkline([-1.0, 2.0]) == "▁█"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_panel_shows_every_figure_and_fits(width):
    status = RunStatus(
        "training", 2, 4, [episode(True, interventions=1)] * 25,
        learner(env_steps=12345, update_rate=412.0, update_to_data=8.0, policy_version=77),
        elapsed_s=300.0, time_left_s=600.0, fraction=0.33, env_steps_per_s=51.5,
        warning="the disk [/] fills up",
    )  # fmt: skip
    shown = text_of(render(status), width)
    assert max(len(line) for line in shown.splitlines()) <= width
    if width >= 80:
        for figure in ("2 of 4", "33%", "12,345", "25", "96,000", "51.5", "412", "8.0", "3.0 s", "77", "100%",
                       "10 min 00 s left", "Q 0.80", "the disk [/] fills up"):  # fmt: skip
            assert figure in shown


def test_without_figures_there_are_dashes_not_nan():
    shown = text_of(
        render(RunStatus("starting", learner=LearnerStatus("lamp", "waiting", update_rate=math.nan)))
    )
    assert "nan" not in shown.lower() and "-" in shown
    assert "nan" not in plain_line(RunStatus("starting"))


def test_without_a_terminal_a_line_now_and_then():
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, width=40)
    with Progress(console, clock=lambda: now[0]) as progress:
        for step in range(100):  # 25 s
            now[0] = step * 0.25
            progress.update(RunStatus("training", episodes=[episode(True, steps=10)] * step))
        progress.update(RunStatus("evaluation"))
        progress.note("saved [x]")
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["[training"] * 3 + ["[evaluation", "saved"]
    assert lines[1].startswith("[training 0%] 400 steps, 40 episodes, success 100% of last 20")


def test_on_a_terminal_the_step_rate_is_worked_out():
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    with Progress(console, clock=lambda: now[0]) as progress:
        for step in range(5):
            now[0] = step * 2.0
            progress.update(RunStatus("training", episodes=[episode(True, steps=50)] * step))
    assert "25.0" in stream.getvalue()


def test_quiet_shows_nothing():
    stream = io.StringIO()
    with Progress(Console(file=stream, force_terminal=True), quiet=True) as progress:
        progress.update(RunStatus("training"))
        progress.note("x")
    assert stream.getvalue() == ""
