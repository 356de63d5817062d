# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The figures are written, hold what they were given, and cope with next to nothing."""

import dataclasses

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.image import imread

from serl_bringup import plots
from serl_core.types import EpisodeSummary


@pytest.fixture
def drawn(monkeypatch):
    """The figures saved, in order."""
    saved, save = [], matplotlib.figure.Figure.savefig

    def keep(figure, *arguments, **named):
        saved.append(figure)
        save(figure, *arguments, **named)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)
    return saved


def episodes(n):
    return [
        EpisodeSummary("t", "e", i, 0.0, 50, 1.0, i >= n // 2, 9.0 - i / n, max(0, 20 - i), 0, 0, 1.0, i, "")
        for i in range(n)
    ]


def line(axes, label):
    return next(each for each in axes.lines if each.get_label().startswith(label))


def check_png(path):
    image = imread(path)
    assert image.shape[0] > 400 and image.shape[1] > 800
    assert image[..., :3].std() > 0.02, "something is drawn"


def test_learning_curve_is_the_moving_rate_over_steps(tmp_path, drawn):
    plots.learning_curve(episodes(80), tmp_path / "new folder" / "a.png")
    check_png(tmp_path / "new folder" / "a.png")
    (axes,) = drawn[0].axes
    curve = line(axes, "success")
    assert list(curve.get_xdata()[[0, -1]]) == [50, 4000] and curve.get_ydata()[-1] == 1.0
    assert curve.get_ydata()[49] == pytest.approx(0.5)
    assert axes.get_xlabel() == "environment steps"


def test_interventions_are_drawn_by_share_and_length(tmp_path, drawn):
    given = [
        dataclasses.replace(e, interventions=2, intervention_steps=(1, e.human_steps - 1))
        if e.human_steps > 1
        else e
        for e in episodes(80)
    ]
    plots.interventions(given, tmp_path / "a.png")
    check_png(tmp_path / "a.png")
    shares, lengths = drawn[0].axes
    average = line(shares, "last 20 episodes: 0.0% at the end").get_ydata()
    assert average[0] == 20 / 50 and average[19] == pytest.approx(sum(range(1, 21)) / 1000)
    assert average[-1] == 0.0
    drawn_lengths = line(lengths, "one intervention").get_ydata()
    assert len(drawn_lengths) == 38, "each intervention of the episodes that had any"
    assert drawn_lengths[:2] == pytest.approx([1 / 50 * 9.0, 19 / 50 * 9.0])
    assert lengths.get_title() == "Interventions: 38"
    for few in ([], episodes(1), [dataclasses.replace(e, human_steps=0) for e in episodes(3)]):
        plots.interventions(few, tmp_path / "b.png")


def test_cycle_time_leaves_failures_out_and_shows_the_means(tmp_path, drawn):
    plots.cycle_time(episodes(80), tmp_path / "a.png", demo_seconds=7.0)
    check_png(tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert list(line(axes, "one success").get_xdata()) == list(range(41, 81))
    assert line(axes, "demonstrations: 7.0 s").get_ydata()[0] == 7.0
    assert not [each for each in axes.lines if "cloning" in each.get_label()]


def test_reference_limiting_is_in_millimetres_from_the_start_of_the_move(tmp_path, drawn):
    time = 5.0 + np.linspace(0.0, 1.0, 1000)
    names = ("commanded", "smoothed", "clipped", "measured")
    trace = {"time": time, "flags": np.zeros(1000)}
    for i, name in enumerate(names):
        trace[f"{name}_position"] = np.column_stack([time, time, np.full(1000, 0.01 * i)])
    plots.reference_limiting(trace, trace, tmp_path / "a.png")
    check_png(tmp_path / "a.png")
    assert len(drawn[0].axes) == 2
    for axes in drawn[0].axes:
        assert [each.get_label() for each in axes.lines] == list(names)
        assert [each.get_color() for each in axes.lines] == ["tab:orange", "tab:red", "tab:blue", "tab:green"]
        assert [each.get_ydata()[0] for each in axes.lines] == pytest.approx([0.0, 10.0, 20.0, 30.0])
        assert axes.lines[0].get_xdata()[0] == 0.0 and "[mm]" in axes.get_ylabel()


def test_comparison_shows_rates_and_times(tmp_path, drawn):
    trials = [
        plots.Trials("RL", 99, 100, [2.0, 3.0]),
        plots.Trials("BC", 1, 100, [8.0]),
        plots.Trials("x", 0, 0),
    ]
    plots.comparison(trials, tmp_path / "a.png")
    check_png(tmp_path / "a.png")
    rates, times = drawn[0].axes
    assert [bar.get_height() for bar in rates.patches] == pytest.approx([0.99, 0.01, 0.0])
    assert [bar.get_height() for bar in times.patches] == pytest.approx([2.5, 8.0])


def test_next_to_nothing_is_drawn_as_such(tmp_path, drawn):
    plots.learning_curve([], tmp_path / "a.png")
    plots.cycle_time(episodes(1)[:0], tmp_path / "b.png")
    assert [figure.axes[0].texts[0].get_text() for figure in drawn] == ["no episode finished", "no success"]
    plots.learning_curve(episodes(1), tmp_path / "c.png")
    plots.cycle_time(episodes(1), tmp_path / "d.png")
    check_png(tmp_path / "c.png")
    check_png(tmp_path / "d.png")


def test_training_curves_average_episodes_and_band_the_seeds(tmp_path, drawn):
    slow = [dataclasses.replace(e, success=True, duration=6.0, human_steps=10) for e in episodes(60)]
    fast = [dataclasses.replace(e, success=i >= 40, duration=3.0, human_steps=0) for i, e in enumerate(slow)]
    plots.training_curves(
        [
            plots.Curves("online", [slow, fast], 1.0, 2.0),
            plots.Curves("offline", [], 0.4, 5.0),
            plots.Curves("never", [], 0.0, float("nan")),
        ],
        tmp_path / "a.png",
    )
    check_png(tmp_path / "a.png")
    success, cycle, human = drawn[0].axes
    curve = line(success, "online")
    assert curve.get_xdata()[-1] == pytest.approx(6.0), "a seed that has ended stays at what it had reached"
    assert curve.get_ydata()[-1] == 1.0
    at = np.searchsorted(curve.get_xdata(), 2.5)
    assert curve.get_ydata()[at] == pytest.approx((1.0 + 10 / 20) / 2, abs=0.03)
    assert line(human, "online").get_ydata()[-1] == pytest.approx(0.1), "10 of 50 steps for one seed of two"
    assert line(cycle, "online").get_ydata()[-1] == pytest.approx(4.5)
    assert line(success, "offline").get_ydata()[0] == 0.4 and line(cycle, "offline").get_ydata()[0] == 5.0
    assert not [each for each in cycle.lines if each.get_label().startswith("never")]
    plots.training_curves([], tmp_path / "b.png")
