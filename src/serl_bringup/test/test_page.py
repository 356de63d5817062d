# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The pages: a click is on the disk, all open pages agree, nobody else can click, and a real browser shows them."""

from __future__ import annotations

import dataclasses
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import MISSING, Browser, until
from rclpy.serialization import serialize_message

from serl_bringup.label import label_by_ground_truth, label_episode
from serl_bringup.page.labelling import LabellingDesk
from serl_bringup.page.recording import REMEMBERED_FRAMES, RecordingDesk
from serl_bringup.page.server import OWN_HEADER, PageServer
from serl_core import codec
from serl_core.errors import BagError, ConfigError, SerlError
from serl_core.pictures import png
from serl_core.specs import ArraySpec, env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import EpisodeSummary, Observation
from serl_learner.bag import BagWriter
from serl_learner.bag.labels import FrameKey, Labels, labels_path, observations, read_labels
from serl_learner.demonstrations import read_demonstrations
from serl_learner.recording import EPISODE_TYPE

SPEC = fake_spec(image_size=16)
ENV = "fake-0"
LENGTH = 5


def record(folder: Path, spec: Any = SPEC, episodes: int = 2) -> Path:
    """Write a bag of successful episodes of noise."""
    rng = np.random.default_rng(0)
    topics = {"/transition": ("serl_msgs/msg/Transition", False), "/episode": (EPISODE_TYPE, False)}
    with BagWriter(folder, topics, {"env_spec": env_spec_to_json(spec), "task": spec.task}) as bag:
        for number in range(episodes):
            first = number * LENGTH + 1
            for transition in random_episode(spec, rng, LENGTH, ENV, first, episode_id=number):
                message = codec.to_transition(spec, transition)
                bag.write("/transition", transition.sequence, serialize_message(message))
            bag.write("/episode", first, serialize_message(codec.to_episode(summary(number, True))))
    return folder


def ask(address: str, what: Any = None, **headers: str) -> Any:
    data = None if what is None else json.dumps(what).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=10) as answer:
        return json.load(answer)


def refused(address: str, what: Any = None, **headers: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(address, what, **headers)
    return caught.value.code, caught.value.read().decode()


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return record(tmp_path / "bag")


@pytest.fixture
def address(bag: Path) -> Iterator[str]:
    with PageServer(LabellingDesk(bag)) as server:
        yield server.address


OWN = {OWN_HEADER: "test"}
SPAN = {"env": ENV, "episode": 1, "first": 2, "last": 4}


def test_a_click_is_on_the_disk_when_it_is_answered_and_all_pages_agree(bag: Path, address: str) -> None:
    answer = ask(f"{address}click", {**SPAN, "verdict": "success"}, **OWN)
    marked = {FrameKey(ENV, 1, step): True for step in (2, 3, 4)}
    assert read_labels(bag).frames == marked
    assert ask(f"{address}state") == answer, "another page sees the same"
    assert answer["counts"] == {"success": 3, "failure": 0}
    assert answer["episodes"][1]["labels"] == [None, None, True, True, True, None]
    ask(f"{address}click", {**SPAN, "first": 4, "verdict": "failure"}, **OWN)
    ask(f"{address}click", {**SPAN, "last": 2, "verdict": "none"}, **OWN)
    assert read_labels(bag).frames == {FrameKey(ENV, 1, 3): True, FrameKey(ENV, 1, 4): False}


def test_two_pages_that_click_at_once_lose_nothing(bag: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with PageServer(LabellingDesk(bag)) as server, ThreadPoolExecutor(8) as pool:
        clicks = [
            {"env": ENV, "episode": e, "first": s, "last": s, "verdict": "failure"}
            for e in range(2) for s in range(LENGTH + 1)
        ]  # fmt: skip
        list(pool.map(lambda what: ask(f"{server.address}click", what, **OWN), clicks))
    assert len(read_labels(bag).frames) == 2 * (LENGTH + 1)


def test_the_pictures_are_those_of_the_frames(bag: Path, address: str) -> None:
    import io

    from PIL import Image

    from serl_learner.bag.labels import observations

    for key, observation in observations(bag):
        place = f"{address}picture/{key.env_id}/{key.episode_id}/{key.step}/camera"
        with urllib.request.urlopen(place, timeout=10) as answer:
            shown = np.asarray(Image.open(io.BytesIO(answer.read())))
        np.testing.assert_array_equal(shown, observation.images["camera"])
    assert refused(f"{address}picture/{ENV}/0/99/camera")[0] == 404
    assert refused(f"{address}picture/nonsense")[0] == 404


@pytest.mark.parametrize(
    "what",
    [{}, {"verdict": "success"}, {**SPAN, "verdict": "good"}, {**SPAN, "episode": 7, "verdict": "success"}],
)
def test_a_click_that_makes_no_sense_is_told_and_changes_nothing(bag: Path, address: str, what: Any) -> None:
    code, text = refused(f"{address}click", what, **OWN)
    assert code == 400 and "error" in json.loads(text)
    assert not read_labels(bag).frames


def test_other_sites_can_neither_click_nor_read(bag: Path, address: str) -> None:
    assert refused(f"{address}click", {**SPAN, "verdict": "success"})[0] == 403, "no header, no click"
    assert refused(f"{address}state", Host="rebound.example")[0] == 403
    assert refused(f"{address}../setup.py")[0] == 404
    assert refused(f"{address}%2e%2e/package.xml")[0] == 404
    assert not read_labels(bag).frames


def test_a_browser_that_goes_away_in_the_middle_harms_nobody(address: str) -> None:
    port = int(address.rsplit(":", 1)[1].strip("/"))
    for sent in (b"", b"GET /state HTTP/1.1\r\n", b"POST /click HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Serl: x\r\n"
                 b"Content-Length: 99\r\n\r\n{"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
    assert ask(f"{address}state")["cameras"] == ["camera"]


def test_a_taken_port_and_a_bag_without_images_are_told(bag: Path, tmp_path: Path) -> None:
    with PageServer(LabellingDesk(bag)) as server:
        port = int(server.address.rsplit(":", 1)[1].strip("/"))
        with pytest.raises(SerlError, match="choose another --port"):
            PageServer(LabellingDesk(bag), port)
    with pytest.raises(ConfigError, match="has no images: record with cameras"):
        LabellingDesk(record(tmp_path / "blind", fake_spec()))


def test_a_word_on_an_episode_needs_no_cameras_and_spares_other_labels(tmp_path: Path) -> None:
    bag = record(tmp_path / "blind", fake_spec())
    assert label_episode(bag, success=False).endswith(f"episode 1 of {ENV} is a failure")
    label_episode(bag, success=True, episode_id=0)
    assert read_labels(bag).episodes == {(ENV, 0): True, (ENV, 1): False}
    assert [transitions[0].episode_id for transitions in read_demonstrations(bag, fake_spec())] == [0]
    label_episode(bag, success=True)
    assert read_labels(bag).episodes == {(ENV, 0): True, (ENV, 1): True}
    with pytest.raises(ConfigError, match="no episode 7 that ended; it has 2"):
        label_episode(bag, success=True, episode_id=7)


def test_ground_truth_labels_every_frame_as_strictly_as_asked(tmp_path: Path) -> None:
    spec = fake_spec(task="cable_routing")
    offset = ArraySpec("part_offset", (3,), unit="m")
    bag = record(tmp_path / "cable", dataclasses.replace(spec, state=(*spec.state, offset)))
    within = sum(bool(np.all(np.abs(seen.state["part_offset"]) <= 1.0)) for _, seen in observations(bag))
    total = 2 * (LENGTH + 1)
    assert 0 < within < total, "noise within a metre at times"
    told = label_by_ground_truth(bag, settings=["env.part_tolerance_m=[1.0, 1.0, 1.0]"])
    assert told.endswith(f"{within} frames of success, {total - within} of failure")
    labels_path(bag).unlink()
    assert label_by_ground_truth(bag).endswith(f" 0 frames of success, {total} of failure"), "the task's own"
    assert len(read_labels(bag).frames) == total


def test_ground_truth_refuses_what_a_person_labelled(bag: Path) -> None:
    LabellingDesk(bag).click({**SPAN, "verdict": "success"})
    with pytest.raises(ConfigError, match="labelled frames already: --replace"):
        label_by_ground_truth(bag)


def test_ground_truth_spares_what_was_said_of_episodes(tmp_path: Path) -> None:
    spec = fake_spec(task="cable_routing")
    offset = ArraySpec("part_offset", (3,), unit="m")
    bag = record(tmp_path / "cable", dataclasses.replace(spec, state=(*spec.state, offset)))
    label_episode(bag, success=False)
    label_by_ground_truth(bag)
    assert read_labels(bag).episodes == {(ENV, 1): False} and read_labels(bag).frames
    strict = read_labels(bag).counts()
    label_by_ground_truth(bag, settings=["env.part_tolerance_m=[1.0, 1.0, 1.0]"], replace=True)
    assert read_labels(bag).counts()["success"] > strict["success"] == 0
    assert len(read_labels(bag).frames) == sum(strict.values())
    assert read_labels(bag).episodes == {(ENV, 1): False}, "who asks for other frames keeps this word"


def summary(number: int, success: bool) -> EpisodeSummary:
    return EpisodeSummary(SPEC.task, ENV, number, 0.0, LENGTH, 1.0, success, 0.5, 0, 0, 0, 0.0, 0, "success")


def test_what_is_discarded_is_no_demonstration_and_the_bag_stays_as_it_was(bag: Path) -> None:
    before = {path.name: path.read_bytes() for path in bag.iterdir()}
    desk = RecordingDesk(bag, wanted=2)
    for number, success in ((0, True), (1, True)):
        desk.end_episode(summary(number, success))
    assert desk.kept() == 2
    desk.click({"do": "discard", "env": ENV, "episode": 0})
    assert desk.kept() == 1
    (kept,) = read_demonstrations(bag, SPEC)
    assert kept[0].episode_id == 1
    assert {name: (bag / name).read_bytes() for name in before} == before
    desk.click({"do": "undo", "env": ENV, "episode": 0})
    assert desk.kept() == 2 and len(read_demonstrations(bag, SPEC)) == 2


def test_an_episode_that_a_person_calls_a_success_is_one(bag: Path) -> None:
    desk = RecordingDesk(bag, wanted=1)
    desk.end_episode(summary(0, False))
    assert desk.kept() == 0
    desk.click({"do": "keep", "env": ENV, "episode": 0})
    assert desk.kept() == 1


def test_a_recording_is_finished_when_a_person_says_so_and_not_by_a_count(bag: Path) -> None:
    desk = RecordingDesk(bag, wanted=1)
    with pytest.raises(ConfigError, match="no demonstration is kept yet"):
        desk.click({"do": "finish"})
    desk.end_episode(summary(0, True))
    desk.end_episode(summary(1, True))
    assert desk.kept() == 2 and not desk.finished() and not desk.state()["finished"]
    desk.click({"do": "discard", "env": ENV, "episode": 1})
    assert desk.click({"do": "finish"})["finished"] and desk.finished()


def frames(episode: int, length: int = LENGTH) -> list[Observation]:
    """Return an episode's observations of noise, the first and the last included."""
    steps = random_episode(SPEC, np.random.default_rng(episode), length, ENV, episode_id=episode)
    assert steps[0].first_observation is not None
    return [steps[0].first_observation, *(step.next_observation for step in steps)]


def test_a_mark_while_recording_is_of_the_frame_that_the_page_showed_and_not_of_a_newer_one(
    bag: Path,
) -> None:
    desk = RecordingDesk(bag, wanted=1)
    assert desk.state()["frame"] is None
    with pytest.raises(ConfigError, match="names no frame: wait until one is shown"):
        desk.click({"do": "success"})
    with pytest.raises(ConfigError, match="has not ended yet"):
        desk.click({"do": "discard", "env": ENV, "episode": 0})
    for seen in frames(4):
        desk.observe(ENV, seen)
    desk.end_episode(summary(4, True))
    shown = desk.state()["frame"]
    assert shown == {"env": ENV, "episode": 4, "step": LENGTH, "label": None}, (
        "the last, until the next begins"
    )
    desk.observe(ENV, frames(5)[0])
    assert desk.click({**shown, "do": "success"})["marked"] == {"success": 1, "failure": 0}
    assert read_labels(bag).frames == {FrameKey(ENV, 4, LENGTH): True}
    assert desk.state()["frame"] == {"env": ENV, "episode": 5, "step": 0, "label": None}


def test_a_frame_of_long_ago_is_refused_in_one_line(bag: Path) -> None:
    desk = RecordingDesk(bag, wanted=1)
    for seen in frames(0, REMEMBERED_FRAMES):  # one more than that
        desk.observe(ENV, seen)
        desk.observe(ENV, seen)  # an environment that waits asks again
    with pytest.raises(ConfigError, match="step 0 of episode 0 is not remembered any more") as refused:
        desk.click({"do": "success", "env": ENV, "episode": 0, "step": 0})
    assert "\n" not in str(refused.value) and not read_labels(bag).frames
    desk.click({"do": "failure", "env": ENV, "episode": 0, "step": 1})
    assert read_labels(bag).frames == {FrameKey(ENV, 0, 1): False}


def test_the_pictures_while_recording_are_those_of_the_frame_that_is_named(bag: Path) -> None:
    desk = RecordingDesk(bag, wanted=1)
    for seen in frames(0):
        desk.observe(ENV, seen)
    for seen in frames(0):
        assert desk.picture(f"{ENV}/0/{seen.step}/camera") == png(seen.images["camera"])
    assert desk.picture(f"{ENV}/0/1/other") is None
    assert desk.picture(f"{ENV}/0/99/camera") is None and desk.picture("camera") is None


def test_what_others_label_is_neither_lost_nor_overlooked(bag: Path) -> None:
    here, there, recording = LabellingDesk(bag), LabellingDesk(bag), RecordingDesk(bag, wanted=1)
    recording.end_episode(summary(0, True))
    here.click({**SPAN, "verdict": "success"})
    there.click({**SPAN, "episode": 0, "verdict": "failure"})
    label_episode(bag, success=False, episode_id=0)
    here.click({**SPAN, "last": 2, "verdict": "none"})
    expected = Labels(
        {**{FrameKey(ENV, 0, s): False for s in (2, 3, 4)}, FrameKey(ENV, 1, 3): True, FrameKey(ENV, 1, 4): True},
        {(ENV, 0): False},
    )  # fmt: skip
    assert read_labels(bag) == here.labels == there.labels == expected
    assert there.state() == here.state() and here.state()["episodes"][0]["success"] is False
    assert here.summary() == "2 frames of success, 3 of failure"
    assert recording.kept() == 0 and recording.state()["episodes"][0]["label"] is False
    recording.click({"do": "undo", "env": ENV, "episode": 0})
    assert read_labels(bag) == here.labels == Labels(expected.frames)


def test_damaged_labels_are_told_to_who_clicks_and_end_nothing(bag: Path) -> None:
    desk, recording = LabellingDesk(bag), RecordingDesk(bag, wanted=1)
    desk.click({**SPAN, "verdict": "success"})
    before = desk.state()
    labels_path(bag).write_text("{")
    assert desk.state() == before and recording.kept() == 0
    with pytest.raises(BagError, match="no file of labels"):
        desk.click({**SPAN, "verdict": "failure"})
    assert labels_path(bag).read_text() == "{", "a person may repair it"


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_labelling_in_a_browser(bag: Path, address: str) -> None:
    with Browser() as browser:
        browser.open(address)
        until(
            lambda: browser.evaluate("document.querySelectorAll('#strip i').length") == LENGTH + 1, "frames"
        )
        until(
            lambda: browser.evaluate("document.querySelector('#cameras img').naturalWidth") == 16, "picture"
        )
        browser.click("#success")
        until(lambda: browser.text("n-success") == "1", "count")
        assert read_labels(bag).frames == {FrameKey(ENV, 0, 0): True}
        assert "frame 2 of 6" in browser.text("where"), "it goes on to the next"
        browser.press("f")  # the keys do what the buttons do
        until(lambda: browser.text("n-failure") == "1", "count")
        browser.press("e")  # the rest is success
        until(lambda: browser.text("n-success") == "5", "counts")
        browser.click("#episodes li:nth-child(2)")
        assert "Episode 1, frame 1" in browser.text("where")
        assert browser.evaluate("document.getElementById('error').className") == ""
        # A second page, here a bare client, marks something: the first shows it by itself.
        ask(f"{address}click", {**SPAN, "verdict": "failure"}, **OWN)
        until(lambda: browser.text("n-failure") == "4", "the other page's marks")


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_recording_in_a_browser_that_is_closed_and_opened_again(bag: Path) -> None:
    desk = RecordingDesk(bag, wanted=3)
    steps = random_episode(SPEC, np.random.default_rng(0), 3, ENV, episode_id=0)
    with PageServer(desk) as server:
        with Browser() as browser:
            browser.open(server.address)
            until(lambda: browser.text("wanted") == "3", "progress")
            desk.observe(ENV, steps[0].next_observation)
            until(lambda: browser.evaluate("document.querySelectorAll('#cameras img').length") == 1, "camera")
            desk.observe(ENV, steps[-1].next_observation)
            desk.end_episode(summary(0, True))
            until(lambda: browser.text("now") == "Episode 0, step 3", "the last frame")
            until(
                lambda: browser.evaluate("document.querySelector('#cameras img').naturalWidth") == 16,
                "picture",
            )
            browser.press("s")
            until(lambda: browser.text("n-success") == "1", "mark")
            until(
                lambda: browser.evaluate("document.getElementById('cameras').className") == "cameras success",
                "the mark at the pictures",
            )
            # The page shows what it heard last; meanwhile the next episode runs on.
            browser.evaluate(
                "(window.fetch = ((real) => (path, options) => path !== '/state' ? real(path, options)"
                " : new Promise(() => { window.deaf = true; }))(window.fetch), true)"
            )
            until(lambda: browser.evaluate("window.deaf"), "page that waits for news")
            for seen in frames(1):
                desk.observe(ENV, seen)
            browser.press("f")
            until(lambda: browser.text("n-failure") == "1", "the other mark")
            assert read_labels(bag).frames == {FrameKey(ENV, 0, 3): False}, "of what was shown"
            for seen in frames(2, REMEMBERED_FRAMES):
                desk.observe(ENV, seen)
            browser.press("s")
            until(lambda: "not remembered any more" in browser.text("error"), "refusal")
            browser.open(server.address)
            until(lambda: browser.text("kept") == "1", "episode")
            browser.click("#episodes button")
            until(lambda: browser.text("kept") == "0", "discard")
        desk.end_episode(summary(1, True))  # goes on with the browser closed
        with Browser() as browser:
            browser.open(server.address)
            until(
                lambda: browser.evaluate("document.querySelectorAll('#episodes tr').length") == 2, "episodes"
            )
            assert browser.text("kept") == "1", "the discard and the new episode are both there"
            assert not desk.finished()
            browser.click("#finish")
            until(lambda: browser.text("finish") == "Finished", "the end")
            assert desk.finished() and browser.text("error") == ""
