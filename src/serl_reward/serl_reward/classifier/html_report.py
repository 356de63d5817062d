# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a classifier is worth, as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from serl_core.pictures import png
from serl_reward.classifier.calibration import ECE_BINS, Scores
from serl_reward.classifier.frames import LabelledFrames

MOST_SHOWN = 24
"""Frames in a report."""

_STYLE = """body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.3em .7em;text-align:right}
th:first-child,td:first-child{text-align:left}
figure{display:inline-block;margin:.5em;padding:.5em;border:1px solid #ccc}
figure.wrong{border-color:#c00}figcaption{font-size:12px;max-width:27em}
figure img.camera{width:192px;image-rendering:pixelated;margin-right:4px}"""


@dataclass(frozen=True)
class Judged:
    """Frames with what a classifier said of them.

    Attributes:
        title: Which frames they are.
        frames: The frames, n.
        probability: Of success, calibrated (n,).
        threshold: By which each was called (n,).
        scores: Of these verdicts.
    """

    title: str
    frames: LabelledFrames
    probability: np.ndarray
    threshold: np.ndarray
    scores: Scores


def worst(judged: Judged, most: int = MOST_SHOWN) -> np.ndarray:
    """Return indices of the frames to look at: wrong verdicts, the surest first, then the closest calls."""
    called = judged.probability >= judged.threshold
    wrong = called != judged.frames.success
    surprise = np.abs(judged.probability - judged.frames.success)
    return np.lexsort((-surprise, ~wrong))[:most]


def render(title: str, facts: Sequence[tuple[str, str]], judged: Judged, others: Mapping[str, Scores]) -> str:
    """Return the report.

    Args:
        title: Its heading.
        facts: Lines of the table of facts.
        judged: Frames that the figures and pictures are of.
        others: More scores for the table, by name.
    """
    scores = {judged.title: judged.scores, **others}
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        _table(["", *scores], _score_rows(list(scores.values()))),
        f'<p><img alt="reliability and probabilities" src="{_plot(judged)}"></p>',
        "<p>Left: how often frames of a given probability are successes; on the diagonal, a probability means what"
        " it says. Right: how many frames of each label have which probability.</p>",
        _pictures(judged),
        "<h2>How it was made</h2>",
        _table(["", ""], [(name, value) for name, value in facts]),
    ]
    return "\n".join(parts)


def _score_rows(scores: Sequence[Scores]) -> list[tuple[str, ...]]:
    def row(name: str, text: str) -> tuple[str, ...]:
        return (name, *(text.format(s=s) for s in scores))

    return [
        row("successes, failures", "{s.positives}, {s.negatives}"),
        row("accuracy", "{s.accuracy:.1%}"),
        row("precision", "{s.precision:.1%}"),
        row("recall", "{s.recall:.1%}"),
        row("false successes, false failures", "{s.false_positives}, {s.false_negatives}"),
        row("expected calibration error", "{s.ece:.3f}"),
    ]


def _pictures(judged: Judged) -> str:
    frames = judged.frames
    shown = worst(judged)
    called = judged.probability >= judged.threshold
    mistakes = int(np.count_nonzero(called != frames.success))
    parts = [f"<h2>Worst mistakes</h2><p>{mistakes} of {len(frames)} verdicts are wrong (red frames, the surest first);"
             " after them come the closest calls. Is a label wrong? Correct it with ./serl label. Is it right? Record"
             " more like it, label them and train again with --add.</p>"]  # fmt: skip
    for i in shown:
        wrong = called[i] != frames.success[i]
        label, verdict = ("success" if x else "failure" for x in (frames.success[i], called[i]))
        key = frames.keys[i]
        caption = (
            f"labelled {label}, called {verdict}: p = {judged.probability[i]:.3f}<br>episode {key.episode_id},"
            f" step {key.step} of {html.escape(key.env_id)}<br>{html.escape(frames.bags[i])}"
        )
        cameras = "".join(
            f'<img class=camera alt="{html.escape(camera)}" title="{html.escape(camera)}"'
            f' src="{_data_uri(png(pixels[i]))}">'
            for camera, pixels in frames.images.items()
        )
        kind = " class=wrong" if wrong else ""
        parts.append(f"<figure{kind}>{cameras}<figcaption>{caption}</figcaption></figure>")
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = [line(row, "td") for row in rows]
    return "<table>" + "".join([line(head, "th"), *body] if any(head) else body) + "</table>"


def _data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


def _plot(judged: Judged) -> str:
    probability, success = judged.probability, judged.frames.success
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    for index in np.unique(bins):
        here = bins == index
        size = 20.0 + 180.0 * here.mean()
        left.scatter(probability[here].mean(), success[here].mean(), s=size, color="C0", alpha=0.7)
    left.set(xlabel="probability", ylabel="share of successes", xlim=(0, 1), ylim=(-0.05, 1.05))
    edges = np.linspace(0, 1, 26)
    for label, name, colour in ((False, "failure", "C3"), (True, "success", "C2")):
        right.hist(probability[success == label], edges, color=colour, alpha=0.6, label=f"labelled {name}")
    right.axvline(float(np.mean(judged.threshold)), color="0.3", linestyle="--", label="threshold")
    right.set(xlabel="probability", ylabel="frames", yscale="log")
    right.legend()
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return _data_uri(buffer.getvalue())
