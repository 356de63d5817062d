# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What `./serl classifier train`, `report` and `test` do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serl_core.errors import ConfigError
from serl_core.parameters import from_mapping
from serl_reward.classifier.calibration import Scores, score
from serl_reward.classifier.classifier_training import TrainingResult
from serl_reward.classifier.classifier_training import train as train_classifier
from serl_reward.classifier.config import TrainingConfig
from serl_reward.classifier.frames import (
    check_classes,
    joined,
    read_labelled,
    split_by_episode,
)
from serl_reward.classifier.html_report import Judged, render
from serl_reward.classifier.image_classifier import (
    REPORT,
    is_classifier,
    load_classifier,
    room_for_classifier,
)

Note = Callable[[str], None]


def train(
    bags: Sequence[Path],
    out: Path,
    settings: Mapping[str, Any] | None = None,
    add: bool = False,
    note: Note = print,
) -> TrainingResult:
    """Train a classifier on labelled bags and write it with its report.

    Args:
        bags: Recordings with labels.
        out: Folder of the classifier.
        settings: Values of `TrainingConfig` by name; with `add`, those that shall differ from last time.
        add: Another round: train anew on what the classifier in `out` was trained on and on all labelled frames
            of `bags`, which show what it got wrong. Episodes that were held out stay so.
        note: Told about progress.

    ConfigError for bags without labels, labels all of one class, too few episodes, other cameras than before, or
    a classifier, or anything else, in `out` that would be lost.
    """
    room_for_classifier(out)  # before minutes are spent
    if not add and is_classifier(out):
        raise ConfigError(f"{out} holds a classifier: add a round to it (--add) or choose another folder")
    earlier: dict[str, Any] = load_classifier(out).facts if add else {}
    rounds = [*earlier.get("rounds", []), [str(Path(bag).absolute()) for bag in bags]]
    where = "settings of the classifier"
    config = from_mapping(TrainingConfig, {**earlier.get("settings", {}), **(settings or {})}, where)
    first = read_labelled(rounds[0], config.cameras, config.positives, config.negatives, config.seed)
    frames = joined([first, *(read_labelled(more, tuple(first.images)) for more in rounds[1:])])
    check_classes(frames.success, ", ".join(str(bag) for bag in bags))
    known = {side: {(e, int(n)) for e, n in earlier.get(side, [])} for side in ("trained_on", "held_out")}
    held_out = split_by_episode(
        frames.episodes,
        frames.success,
        config.held_out,
        config.seed,
        known["trained_on"] | known["held_out"],
        known["held_out"],
    )
    for wanted, label, name in ((config.positives, True, "successes"), (config.negatives, False, "failures")):
        found = int(np.count_nonzero(frames.success == label))
        if found < wanted:
            note(f"only {found} labelled {name}; {wanted} make a good data set")
    note(f"training on {np.count_nonzero(~held_out)} frames, {np.count_nonzero(held_out)} are held out")
    result = train_classifier(frames, held_out, config, note)
    result.classifier.facts.update(
        rounds=rounds,
        settings=dataclasses.asdict(config),
        scores=dataclasses.asdict(result.scores),
        cross_fitted=result.cross_fitted,
        training_scores=dataclasses.asdict(result.training_scores),
        trained_on=sorted(set(frames.where(~held_out).episodes)),
        held_out=sorted(set(frames.where(held_out).episodes)),
        seconds=result.seconds,
    )
    judged = Judged("held out", frames.where(held_out), result.probability, result.threshold, result.scores)
    text = render("Reward classifier", _facts(result), judged, {"trained on": result.training_scores})
    result.classifier.save(out, text)
    if result.scores.precision < config.min_precision:
        note(
            f"held-out precision is below {config.min_precision:.0%}, and a policy exploits false successes:"
            " label more failures like the worst in the report (--add)"
        )
    note(
        f"held out: {summary(result.scores)}; threshold {result.classifier.threshold:.2f}; see {out / REPORT}"
    )
    return result


def report(classifier: Path) -> str:
    """Return what a classifier reached and where its report is; ConfigError if there is no classifier."""
    loaded = load_classifier(classifier)
    facts = loaded.facts
    lines = [f"{classifier}: {name} {summary(Scores(**facts[key]))}" for name, key in
             (("held out", "scores"), ("trained on", "training_scores"))]  # fmt: skip
    lines.append(f"cameras {', '.join(loaded.cameras)}; threshold {loaded.threshold:.2f}")
    lines.append(f"report: {classifier / REPORT}")
    return "\n".join(lines)


def test(classifier: Path, bags: Sequence[Path], out: Path | None = None, note: Note = print) -> Scores:
    """Judge labelled bags by a classifier.

    Args:
        classifier: Its folder.
        bags: Recordings with labels; all their labelled frames are judged.
        out: Where to write a report on them; None: nowhere.
        note: Told about what it finds.

    ConfigError for bags without labels or without the classifier's cameras, SchemaError for images of other sizes.
    """
    loaded = load_classifier(classifier)
    frames = read_labelled(bags, loaded.cameras)
    probability = loaded.probabilities(frames.images)
    threshold = np.full(probability.shape, loaded.threshold)
    scores = score(probability, frames.success, threshold)
    trained_on = {(e, int(n)) for e, n in loaded.facts.get("trained_on", [])}
    seen = sum(episode in trained_on for episode in frames.episodes)
    if seen:
        note(f"{seen} of {len(frames)} frames are of episodes that it was trained on: the figures flatter")
    note(f"{len(frames)} frames: {summary(scores)}")
    if out is not None:
        judged = Judged("tested on", frames, probability, threshold, scores)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(
            render("Test of a reward classifier", [("classifier", str(classifier))], judged, {}), "utf-8"
        )
        note(f"report: {out}")
    return scores


def summary(scores: Scores) -> str:
    """Return scores in one line."""
    return (
        f"accuracy {scores.accuracy:.1%}, precision {scores.precision:.1%}, recall {scores.recall:.1%},"
        f" calibration error {scores.ece:.3f} ({scores.positives} successes, {scores.negatives} failures)"
    )


def _facts(result: TrainingResult) -> list[tuple[str, str]]:
    classifier, facts = result.classifier, result.classifier.facts
    calibration = classifier.calibration
    shapes = classifier.network.shapes.items()
    return [
        ("cameras", ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes)),
        ("fingerprint", classifier.network.fingerprint),
        ("threshold", f"{classifier.threshold:.3f}"),
        ("calibration", f"temperature {calibration.temperature:.3f}, bias {calibration.bias:.3f}"),
        ("held-out figures", "each half of the held-out episodes judged by what was fitted to the other"
         if result.cross_fitted else "too few held-out episodes to fit apart: they flatter"),
        ("episodes", f"{len(facts['trained_on'])} trained on, {len(facts['held_out'])} held out"),
        *((f"round {i}", ", ".join(bags)) for i, bags in enumerate(facts["rounds"], 1)),
        ("training", f"{result.seconds:.0f} s"),
        *((name, str(value)) for name, value in facts["settings"].items()),
    ]  # fmt: skip
