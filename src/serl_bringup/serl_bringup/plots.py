# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures of a run as PNG files; none needs a display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from serl_bringup.statistics import (
    WINDOW,
    human_share,
    mean_interval,
    moving_rate,
    wilson_interval,
)
from serl_core.types import EpisodeSummary

_COLOURS = {"commanded": "tab:orange", "smoothed": "tab:red", "clipped": "tab:blue", "measured": "tab:green"}
_CELLS = 40


@dataclass(frozen=True)
class Trials:
    """Outcomes of one kind of controller, e.g. RL, BC or demonstrations.

    Attributes:
        name: Label below the bars.
        successes, episodes: Counts.
        cycle_times: Durations of the successful episodes [s].
    """

    name: str
    successes: int
    episodes: int
    cycle_times: Sequence[float] = ()


@dataclass(frozen=True)
class FunnelStage:
    """One stretch of the training.

    Attributes:
        title: What it is.
        visited: (n, 2) coordinates of every state in which the policy acted.
        judged: (m, 2) coordinates of those whose action values are known.
        q, variance: (m,) Q of the action taken, and its variance under action noise (HIL-SERL eq. 4).
    """

    title: str
    visited: np.ndarray
    judged: np.ndarray
    q: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Curves:
    """How a method learned.

    Attributes:
        name: Of the method.
        seeds: Episodes of each seed's training, in order; empty for a method that learns without acting.
        success, cycle_time: Its evaluation: rate, and mean duration of successes [s], NaN without any.
    """

    name: str
    seeds: Sequence[Sequence[EpisodeSummary]]
    success: float
    cycle_time: float


def learning_curve(episodes: Sequence[EpisodeSummary], path: Path) -> None:
    """Draw success and human share over environment steps, the outcome of every episode beside them."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = np.cumsum([e.steps for e in episodes])
    outcomes = [e.success for e in episodes]
    if episodes:
        axes.plot(steps, outcomes, "|", color="0.6", markersize=8, label="one episode (0 % or 100 %)")
        axes.plot(
            steps,
            moving_rate(outcomes, WINDOW),
            color="tab:blue",
            lw=2,
            label=f"success, last {WINDOW} episodes",
        )
        human = [e.human_steps / max(e.steps, 1) for e in episodes]
        if any(human):
            kernel = [np.mean(human[max(0, i + 1 - WINDOW) : i + 1]) for i in range(len(human))]
            axes.plot(
                steps, kernel, color="tab:orange", lw=1.5, label=f"steps by a person, last {WINDOW} episodes"
            )
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize="small")
    else:
        _say_nothing(axes, "no episode finished")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(
        xlabel="environment steps",
        ylabel="rate",
        ylim=(-0.05, 1.05),
        title=f"Learning curve ({len(episodes)} episodes)",
    )
    _save(figure, axes, path=path)


def cycle_time(
    episodes: Sequence[EpisodeSummary],
    path: Path,
    demo_seconds: float = math.nan,
    bc_seconds: float = math.nan,
) -> None:
    """Draw the cycle time of training's successes against the means of demonstrations and behaviour cloning.

    Args:
        episodes: Of the training, in order; failures have no cycle time and are left out.
        path: PNG to write.
        demo_seconds, bc_seconds: Mean cycle times of their successes [s]; NaN: no line.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    number = [i for i, e in enumerate(episodes, 1) if e.success]
    seconds = np.array([e.duration for e in episodes if e.success])
    if len(number):
        axes.plot(number, seconds, ".", color="0.65", label="one success")
        smooth = [seconds[max(0, i + 1 - WINDOW) : i + 1].mean() for i in range(len(seconds))]
        axes.plot(number, smooth, color="tab:blue", lw=2, label=f"mean of the last {WINDOW} successes")
    for mean, name, colour in (
        (demo_seconds, "demonstrations", "tab:orange"),
        (bc_seconds, "behaviour cloning", "tab:purple"),
    ):
        if math.isfinite(mean):
            axes.axhline(mean, color=colour, ls="--", label=f"{name}: {mean:.1f} s")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", framealpha=0.9)
    else:
        _say_nothing(axes, "no success")
    axes.set(xlabel="training episode", ylabel="cycle time [s]", title="Cycle time of successful episodes")
    axes.set_ylim(bottom=0)
    _save(figure, axes, path=path)


def reference_limiting(contact: Mapping[str, ArrayLike], free: Mapping[str, ArrayLike], path: Path) -> None:
    """Draw the law's targets and the measured height for a move into contact and a free one (paper Fig. 5).

    Args:
        contact, free: Logs of the controller in base axes: `time` (n,) [s] and `commanded_position`,
            `smoothed_position`, `clipped_position`, `measured_position` (n, 3) [m].
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, trace, title in ((left, contact, "Move into contact"), (right, free, "Move in free space")):
        time = np.asarray(trace["time"])
        for name, colour in _COLOURS.items():
            style = {"commanded": (0, (4, 2))}.get(name, "-")
            z = 1e3 * np.asarray(trace[f"{name}_position"])[:, 2]
            axes.plot(time - time[0], z, color=colour, ls=style, lw=1.6, label=name)
        axes.set(xlabel="time since the target moved [s]", ylabel="height z of the tcp [mm]", title=title)
    left.legend(loc="best", framealpha=0.9)
    figure.suptitle("Reference limiting: what is commanded, and what the law pulls towards")
    _save(figure, left, right, path=path)


def comparison(trials: Sequence[Trials], path: Path) -> None:
    """Draw success rates and cycle times with their 95 % intervals, side by side (paper Fig. 7, 8)."""
    figure = Figure(figsize=(max(9.0, 2.0 * len(trials)), 4.5), layout="constrained")
    rates, times = figure.subplots(1, 2)
    names = ["\n".join([*t.name.split(), f"({t.successes} of {t.episodes})"]) for t in trials]
    colours = [f"C{i}" for i in range(len(trials))]
    for i, t in enumerate(trials):
        rate = t.successes / t.episodes if t.episodes else 0.0
        low, high = wilson_interval(t.successes, t.episodes)
        errors = [[max(rate - low, 0.0)], [max(high - rate, 0.0)]]
        rates.bar(i, rate, color=colours[i], width=0.6, yerr=errors if t.episodes else None, capsize=5)
        rates.text(
            i, high + 0.02 if t.episodes else 0.02, f"{rate:.0%}" if t.episodes else "none", ha="center"
        )
        mean, low, high = mean_interval(t.cycle_times)
        if math.isfinite(mean):
            spread = [[mean - low], [high - mean]] if math.isfinite(low) else None
            times.bar(i, mean, color=colours[i], width=0.6, yerr=spread, capsize=5)
            top = high if math.isfinite(high) else mean
            times.annotate(f"{mean:.1f} s", (i, top), xytext=(0, 5), textcoords="offset points", ha="center")
        else:
            times.text(i, 0.0, "no success", ha="center", va="bottom")
    rates.yaxis.set_major_formatter(PercentFormatter(1.0))
    rates.set(ylabel="success rate", ylim=(0, 1.12), title="Success (95 % Wilson interval)")
    times.set(ylabel="cycle time of successes [s]", title="Cycle time (95 % interval of the mean)")
    times.margins(y=0.15)
    times.set_ylim(bottom=0)
    for axes in (rates, times):
        axes.set_xticks(range(len(trials)), names, fontsize="small")
        axes.set_xlim(-0.6, max(len(trials), 1) - 0.4)
    _save(figure, rates, times, path=path)


def interventions(episodes: Sequence[EpisodeSummary], path: Path) -> None:
    """Draw how much a person did over the training: share of the steps, and length of the interventions.

    The share is a running average that must fall towards zero (HIL-SERL, Fig. 4). Time is that of the robot in
    episodes.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    shares, lengths = figure.subplots(1, 2)
    time = np.cumsum([e.duration for e in episodes]) / 60.0
    corrections = [
        (t, steps * e.duration / e.steps)
        for t, e in zip(time, episodes, strict=True)
        for steps in e.intervention_steps
    ]
    if episodes:
        average = _running_averages(episodes)["steps by a person"]
        shares.plot(time, [human_share([e]) for e in episodes], ".", color="0.7", label="one episode")
        label = f"last {WINDOW} episodes: {average[-1]:.1%} at the end"
        shares.plot(time, average, color="tab:blue", label=label)
    if corrections:
        lengths.plot(*zip(*corrections, strict=True), ".", color="tab:orange", label="one intervention")
    shares.yaxis.set_major_formatter(PercentFormatter(1.0))
    shares.set(ylabel="steps by a person", ylim=(-0.03, 1.03), title="Intervention rate")
    lengths.set(ylabel="length [s]", title=f"Interventions: {sum(e.interventions for e in episodes)}")
    lengths.set_ylim(bottom=0)
    for axes in (shares, lengths):
        axes.set(xlabel="training time of the robot in episodes [min]")
        axes.set_xlim(left=0)
        if axes.lines:
            axes.legend(frameon=False)
    _save(figure, shares, lengths, path=path)


def training_curves(methods: Sequence[Curves], path: Path) -> None:
    """Draw success, cycle time and intervention rate over the training time (SERL Fig. 7, 8; HIL-SERL Fig. 4).

    Running averages over 20 episodes: the mean of a method's seeds, and a band between their least and greatest, as
    long as one of them trains; those that have ended stay at what they had reached. Time is that of the robot in
    episodes. Methods that learn without acting are dashed lines at their evaluation.
    """
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = ("success", "cycle time [s]", "steps by a person")
    for number, method in enumerate(methods):
        colour, dashes = f"C{number % 10}", ("-", "-.")[number // 10 % 2]
        curves = [_running_averages(episodes) for episodes in method.seeds if episodes]
        for axes, title in zip(panels, titles, strict=True):
            if curves:
                _band(axes, [(curve["time"], curve[title]) for curve in curves], method.name, colour, dashes)
        for axes, level in zip(panels, (method.success, method.cycle_time), strict=False):
            if not curves and math.isfinite(level):
                axes.axhline(level, color=colour, ls="--", label=f"{method.name} (evaluation)")
    for axes, title in zip(panels, titles, strict=True):
        axes.set(
            xlabel="training time of the robot in episodes [min]", ylabel=title, title=title.capitalize()
        )
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
    for axes in (panels[0], panels[2]):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(-0.03, 1.03)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(handles)), frameon=False)
    _save(figure, *panels, path=path)


def _running_averages(episodes: Sequence[EpisodeSummary]) -> dict[str, np.ndarray]:
    """Return the time at each episode's end [min] and, by title, averages over the latest episodes to it."""
    averages: dict[str, list[float]] = {"success": [], "cycle time [s]": [], "steps by a person": []}
    for end in range(1, len(episodes) + 1):
        latest = episodes[max(0, end - WINDOW) : end]
        averages["success"].append(sum(e.success for e in latest) / len(latest))
        durations = [e.duration for e in latest if e.success]
        averages["cycle time [s]"].append(math.fsum(durations) / len(durations) if durations else math.nan)
        averages["steps by a person"].append(human_share(latest))
    time = np.cumsum([e.duration for e in episodes]) / 60.0
    return {"time": time, **{title: np.array(values) for title, values in averages.items()}}


def _band(
    axes: Axes, curves: Sequence[tuple[np.ndarray, np.ndarray]], name: str, colour: str, dashes: str
) -> None:
    end = max(time[-1] for time, _ in curves)
    grid = np.linspace(0.0, end, 200)
    # The value that held at a time is that of the latest episode which had ended by then.
    held = []
    for time, values in curves:
        place = np.searchsorted(time, grid, side="right") - 1
        held.append(np.where(place >= 0, values[np.maximum(place, 0)], np.nan))
    stacked = np.stack(held)
    known = np.isfinite(stacked).any(0)
    mean = np.full(len(grid), np.nan)
    mean[known] = np.nanmean(stacked[:, known], axis=0)
    axes.plot(grid, mean, color=colour, ls=dashes, lw=1.8, label=name)
    if len(curves) > 1 and known.any():
        low, high = np.nanmin(stacked[:, known], axis=0), np.nanmax(stacked[:, known], axis=0)
        axes.fill_between(grid[known], low, high, color=colour, alpha=0.15, lw=0)


def funnel(stages: Sequence[FunnelStage], x: str, y: str, path: Path) -> None:
    """Draw where the policy was, how critical the states there are, and their value (HIL-SERL Fig. 6)."""
    everywhere = np.concatenate([stage.visited for stage in stages])
    # The outermost thousandth, e.g. an arm pushed away, would make the rest too small to see.
    low, high = np.quantile(everywhere, [0.001, 0.999], axis=0, method="nearest")
    edges = [np.linspace(low[i], high[i] + 1e-9, _CELLS + 1) for i in range(2)]
    figure = Figure(figsize=(3.2 * len(stages) + 1.0, 9.0), layout="constrained")
    grid = figure.subplots(3, len(stages), squeeze=False, sharex=True, sharey=True)
    visits = [np.histogram2d(*stage.visited.T, bins=edges)[0] for stage in stages]
    rows = [
        ("visits", [np.where(count > 0, count, np.nan) for count in visits], "log"),
        ("variance of Q", [_cell_means(s.judged, s.variance, edges) for s in stages], "linear"),
        ("Q", [_cell_means(s.judged, s.q, edges) for s in stages], "linear"),
    ]
    for axes_row, (name, cells, norm) in zip(grid, rows, strict=True):
        known = np.concatenate([c[np.isfinite(c)] for c in cells])
        limits = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        for axes, values in zip(axes_row, cells, strict=True):
            colour = LogNorm(*limits) if norm == "log" else Normalize(*limits)
            image = axes.pcolormesh(*edges, values.T, norm=colour, cmap="viridis")
        figure.colorbar(image, ax=list(axes_row), label=name)
        axes_row[0].set_ylabel(f"{name}\n{y}")
    for column, stage in enumerate(stages):
        grid[0][column].set_title(stage.title, fontsize="small")
        grid[2][column].set_xlabel(x)
    _save(figure, *grid.flat, path=path)


def _cell_means(points: np.ndarray, values: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of the values in each cell; NaN where there is none."""
    total = np.histogram2d(*points.T, bins=edges, weights=values)[0]
    count = np.histogram2d(*points.T, bins=edges)[0]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def policy_over_time(
    episodes: Sequence[tuple[np.ndarray, np.ndarray]], step_seconds: float, path: Path
) -> None:
    """Draw the policy's mean action and deviation along some episodes (HIL-SERL Fig. 7 E to H).

    Args:
        episodes: Of each the squashed mean and the deviation before squashing, both (steps, action_size).
        step_seconds: Duration of a step [s].
        path: PNG to write.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    means, deviations = figure.subplots(2, 1, sharex=True)
    for number, (mean, deviation) in enumerate(episodes):
        time = step_seconds * np.arange(len(mean))
        for element in range(mean.shape[1]):
            style = {"color": f"C{element}", "lw": 1.5, "ls": ("-", "--", ":")[number % 3]}
            label = f"action {element}" if number == 0 else None
            means.plot(time, mean[:, element], label=label, **style)
            deviations.plot(time, deviation[:, element], **style)
    means.set(ylabel="mean action", ylim=(-1.05, 1.05), title=f"Policy over time, {len(episodes)} episodes")
    means.legend(ncols=3, fontsize="small", framealpha=0.9)
    deviations.set(ylabel="deviation before squashing", xlabel="time since the episode's start [s]")
    deviations.set_ylim(bottom=0)
    _save(figure, means, deviations, path=path)


def _say_nothing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.4")


def _save(figure: Figure, *axes: Axes, path: Path) -> None:
    for each in axes:
        each.grid(alpha=0.3)
        each.set_axisbelow(True)
        each.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)  # a Figure of its own, not pyplot's: Agg, whatever the display
