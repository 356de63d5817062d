# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""./serl classifier: from labelled bags to a classifier, its report, and another round of data."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reward_cases import SIZE, labelled_bag, spec, toy_frames

from serl_core.errors import ConfigError, SchemaError
from serl_learner.bag.labels import FrameKey, Labels, read_labels, write_labels
from serl_reward.classifier import command
from serl_reward.classifier.calibration import score
from serl_reward.classifier.html_report import Judged, render, worst
from serl_reward.classifier.image_classifier import load_classifier

QUICK = {"filters": [8, 16], "hidden_size": 16, "updates": 40, "batch_size": 16, "shift_pixels": 1, "positives": 0,
         "negatives": 0}  # fmt: skip
FLIPPED = FrameKey("toy-1", 3, 2)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_bag(tmp_path_factory.mktemp("bags") / "first", wrong=[FLIPPED])


@pytest.fixture(scope="module")
def folder(bag: Path) -> Path:
    out = bag.parent / "classifier"
    command.train([bag], out, QUICK, note=lambda _: None)
    return out


def test_train_says_what_it_does_and_what_came_out(bag: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = command.train(
        [bag], tmp_path / "toy", {**QUICK, "positives": 200, "updates": 20}, note=lines.append
    )
    assert lines[0] == "only 37 labelled successes; 200 make a good data set"
    assert re.fullmatch(r"training on \d+ frames, \d+ are held out", lines[1])
    assert f"held out: {command.summary(result.scores)}" in lines[-1]
    assert "report.html" in lines[-1]


def test_it_remembers_what_it_was_trained_on(folder: Path, bag: Path) -> None:
    facts = load_classifier(folder).facts
    assert facts["rounds"] == [[str(bag)]]
    assert facts["settings"]["updates"] == 40
    sides = [{tuple(e) for e in facts[side]} for side in ("trained_on", "held_out")]
    assert sides[0] | sides[1] == {("toy-1", n) for n in range(6)}
    assert not sides[0] & sides[1]


def test_a_classifier_is_not_overwritten_unasked(folder: Path, bag: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a classifier: add a round to it \(--add\)"):
        command.train([bag], folder, QUICK)


def test_a_folder_that_will_not_do_is_told_before_the_training(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("work of years")
    (tmp_path / "file").write_text("")
    told: list[str] = []
    for out, why in (
        ("full", "is no classifier"),
        ("file", "is no classifier"),
        ("file/below", "cannot be written"),
    ):
        with pytest.raises(ConfigError, match=why):
            command.train([bag], tmp_path / out, note=told.append)
    assert not told


def test_another_round_uses_all_that_is_new_and_keeps_the_rest(
    folder: Path, bag: Path, tmp_path: Path
) -> None:
    out = tmp_path / "toy"
    command.train([bag], out, {**QUICK, "negatives": 20}, note=lambda _: None)
    before = load_classifier(out).facts
    hard = labelled_bag(tmp_path / "hard", episodes=4, failures=9, successes=0, env_id="toy-2")
    lines: list[str] = []
    result = command.train([hard], out, {"updates": 30}, add=True, note=lines.append)
    facts = result.classifier.facts
    assert facts["rounds"] == [[str(bag)], [str(hard)]]
    assert (facts["settings"]["negatives"], facts["settings"]["updates"]) == (20, 30)
    total = result.scores.positives + result.scores.negatives + result.training_scores.positives
    assert total + result.training_scores.negatives == 37 + 20 + 36
    assert {tuple(e) for e in before["held_out"]} <= {tuple(e) for e in facts["held_out"]}
    assert not {tuple(e) for e in before["trained_on"]} & {tuple(e) for e in facts["held_out"]}
    assert load_classifier(out).facts == json.loads(json.dumps(facts))


def test_a_corrected_label_counts_in_the_next_round(bag: Path, tmp_path: Path) -> None:
    copy = labelled_bag(tmp_path / "copy", wrong=[FLIPPED])
    out = tmp_path / "toy"
    first = command.train([copy], out, QUICK, note=lambda _: None)
    labels = read_labels(copy)
    labels.frames[FLIPPED] = False
    write_labels(copy, labels)
    second = command.train([copy], out, add=True, note=lambda _: None)
    counts = [r.scores.positives + r.training_scores.positives for r in (first, second)]
    assert counts == [37, 36]


def test_another_round_with_other_cameras_is_refused(folder: Path, tmp_path: Path) -> None:
    side = labelled_bag(tmp_path / "side", of=spec(cameras=("side",)), env_id="toy-3")
    with pytest.raises(ConfigError, match="no camera 'wrist_1'"):
        command.train([side], folder, add=True)
    large = labelled_bag(tmp_path / "large", of=spec(size=32), env_id="toy-4")
    with pytest.raises(SchemaError, match="is 32x32x3, elsewhere 24x24x3"):
        command.train([large], folder, add=True)


def test_labels_all_of_one_class_are_refused(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=3, successes=0)
    with pytest.raises(ConfigError, match="all 42 labels are failures; label successes too") as raised:
        command.train([bag], tmp_path / "toy", QUICK)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "toy").exists()


def test_a_bag_without_labels_is_refused(tmp_path: Path) -> None:
    bag = labelled_bag(tmp_path / "bag", episodes=2)
    write_labels(bag, Labels())
    with pytest.raises(ConfigError, match="has no labels"):
        command.train([bag], tmp_path / "toy", QUICK)


def test_a_wrong_setting_is_named(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown parameter 'update' .did you mean updates"):
        command.train([bag], tmp_path / "toy", {"update": 3})


def test_test_judges_a_bag_that_training_never_saw(folder: Path, tmp_path: Path) -> None:
    fresh = labelled_bag(tmp_path / "fresh", episodes=3, env_id="toy-9")
    lines: list[str] = []
    scores = command.test(folder, [fresh], tmp_path / "reports" / "test.html", lines.append)
    assert scores.positives + scores.negatives == 60
    assert "60 frames: accuracy" in lines[0]
    assert "Worst mistakes" in (tmp_path / "reports" / "test.html").read_text()


def test_test_says_when_it_flatters(folder: Path, bag: Path) -> None:
    lines: list[str] = []
    command.test(folder, [bag], note=lines.append)
    assert "frames are of episodes that it was trained on: the figures flatter" in lines[0]


def test_test_refuses_a_bag_of_other_cameras(folder: Path, tmp_path: Path) -> None:
    large = labelled_bag(tmp_path / "large", episodes=1, of=spec(size=32), env_id="toy-4")
    with pytest.raises(SchemaError, match="trained on wrist_1 of 24x24x3, here it is 32x32x3"):
        command.test(folder, [large])


def test_report_tells_the_figures_and_the_file(folder: Path, tmp_path: Path) -> None:
    text = command.report(folder)
    assert "held out accuracy" in text
    assert str(folder / "report.html") in text
    with pytest.raises(ConfigError, match="holds no classifier"):
        command.report(tmp_path)


def test_the_report_shows_pictures_of_the_worst_mistakes(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    pictures = re.findall(r'<img class=camera [^>]*src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) >= 2
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (SIZE, SIZE)
    assert not re.search(r'(src|href)="(?!data:)', text), "nothing lies beside the file"


def some_judged(seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    frames = toy_frames(rng, episodes=4, per_episode=10, successes=3, size=8)
    probability = np.where(frames.success, 0.9, 0.1) + rng.uniform(-0.05, 0.05, 40)
    probability[[0, 12, 39]] = [0.99, 0.7, 0.4]
    return Judged("held out", frames, probability, np.full(40, 0.5), score(probability, frames.success, 0.5))


def test_the_surest_mistakes_come_first() -> None:
    judged = some_judged()
    assert list(worst(judged)[:3]) == [0, 12, 39]
    assert len(worst(judged)) == 24
    surprise = np.abs(judged.probability - judged.frames.success)[worst(judged)[3:]]
    assert (np.diff(surprise) <= 0).all()


def test_names_in_a_report_are_text_not_markup() -> None:
    judged = some_judged()
    text = render("<b>", [("bag", "<script>alert(1)</script>")], judged, {"a & b": judged.scores})
    assert "<script>" not in text
    assert "&lt;script&gt;" in text and "a &amp; b" in text and "<h1>&lt;b&gt;</h1>" in text
