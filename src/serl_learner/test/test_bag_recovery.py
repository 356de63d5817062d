# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What was flushed survives kills, cuts and full disks."""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import Reader
from test_bag_samples import IMAGES, STATE, TOPIC, TOPICS, cdr, record, stamp_ns, start_program, take

from serl_core.errors import BagError
from serl_learner.bag import (
    BagWriter,
    ReadReport,
    content_hash,
    mcap_file,
    read_metadata,
    read_transitions,
    recover,
    replay,
)


def crashed(path: Path, number: int, compression: str = "none") -> Path:
    """Leave a bag as a kill would after `number` transitions."""
    bag = BagWriter(path.with_name("original"), TOPICS, {"task": "reach"}, compression=compression)
    for transition in take(number):
        bag.write(TOPIC, stamp_ns(transition), cdr(STATE, transition))
        bag.flush()
    shutil.copytree(path.with_name("original"), path)
    bag.close()
    return path


def test_nothing_flushed_is_lost_by_kill_9(tmp_path: Path) -> None:
    rng = random.Random(3)
    for attempt in range(3):
        path = tmp_path / str(attempt)
        process = start_program("write", str(path))
        assert process.stdout is not None
        acknowledged = int(process.stdout.readline())
        deadline = time.monotonic() + rng.uniform(0.05, 0.4)
        while time.monotonic() < deadline:
            acknowledged = int(process.stdout.readline())
        process.kill()
        process.wait()
        lines = process.stdout.read().split(b"\n")[:-1]  # what was said between the last look and the kill
        process.stdout.close()
        acknowledged = int(lines[-1]) if lines else acknowledged

        assert replay(path).truncated
        assert recover(path).rewritten == (f"{attempt}_0.mcap",)
        report = replay(path)
        assert report.transitions >= acknowledged > 0
        assert not report.truncated and not report.skipped
        assert report.content_hash == content_hash(take(report.transitions, IMAGES))
        with Reader(path) as reader:
            assert reader.message_count == report.transitions


def test_metadata_file_exists_from_the_start(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", TOPICS, {"task": "reach"}):
        info = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
        assert info["relative_file_paths"] == ["bag_0.mcap"] and info["message_count"] == 0
        shutil.copytree(tmp_path / "bag", tmp_path / "copy")
    assert list(read_transitions(tmp_path / "copy")) == []  # killed before its first message, yet a bag
    assert read_metadata(tmp_path / "copy") == {"task": "reach"}


def test_recovering_a_sound_bag_changes_nothing(tmp_path: Path) -> None:
    path = crashed(tmp_path / "bag", 12)
    first = recover(path)
    assert first.rewritten == ("original_0.mcap",) and first.skipped == {}
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}
    assert recover(path).rewritten == ()
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()} == before
    assert sorted(before) == ["metadata.yaml", "original_0.mcap"]


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_recovery_keeps_the_compression(tmp_path: Path, compression: str) -> None:
    path = crashed(tmp_path / "bag", 6, compression)
    recover(path)
    with mcap_file.McapFile(path / "original_0.mcap") as file:
        assert len(list(file.entries(ReadReport()))) == 6
        assert file.finished and file.compression == compression.replace("none", "")


def test_recovery_needs_no_metadata_file(tmp_path: Path) -> None:
    path = crashed(tmp_path / "bag", 12)
    (path / "metadata.yaml").write_text("half a fi: [")
    contents = recover(path).contents
    assert contents.topics[TOPIC].count == 12 and contents.custom == {"task": "reach"}
    with Reader(path) as reader:
        assert reader.message_count == 12


def test_every_cut_yields_a_prefix(tmp_path: Path) -> None:
    written = take(12)
    whole = record(tmp_path / "whole", written, flush_every=3) / "whole_0.mcap"
    data = whole.read_bytes()
    hashes = [content_hash(written[:number]) for number in range(len(written) + 1)]
    rng = random.Random(5)
    cuts = {*range(120), *range(len(data) - 300, len(data), 7), *rng.sample(range(len(data)), 300)}
    lengths = []
    for cut in sorted(cuts):
        file = tmp_path / "cut.mcap"
        file.write_bytes(data[:cut])
        report = ReadReport()
        try:
            read = list(read_transitions(file, STATE, report))
        except BagError as error:
            assert "no readable message" in str(error) and "\n" not in str(error)
            read = []
        assert report.truncated and not report.skipped
        assert content_hash(read) == hashes[len(read)]
        assert not lengths or len(read) >= lengths[-1]
        lengths.append(len(read))
    assert lengths[0] == 0 and lengths[-1] == 12 and {3, 6, 9} < set(lengths)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_bag_is_recovered_and_continued(tmp_path: Path, share: float) -> None:
    written = take(30)
    path = record(tmp_path / "bag", written[:20])
    file = path / "bag_0.mcap"
    os.truncate(file, int(file.stat().st_size * share))
    kept = len(list(read_transitions(path)))
    record(path, written[kept:], append=True)
    report = replay(path, STATE)
    assert report.content_hash == content_hash(written)
    assert report.transitions == 30 and report.duplicates == 0 and not report.truncated
    with Reader(path) as reader:
        assert reader.message_count == 30
        assert reader.duration == stamp_ns(written[-1]) - stamp_ns(written[0]) + 1
        assert [bytes(data) for _, _, data in reader.messages()] == [cdr(STATE, t) for t in written]


def test_appending_goes_on_in_a_new_file(tmp_path: Path) -> None:
    written = take(12)
    for number in range(3):
        record(tmp_path / "bag", written[4 * number : 4 * number + 4], append=True)
    assert replay(tmp_path / "bag").files == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    info = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["relative_file_paths"] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    assert [file["message_count"] for file in info["files"]] == [4, 4, 4]
    assert info["message_count"] == 12 == info["topics_with_message_count"][0]["message_count"]
    assert content_hash(read_transitions(tmp_path / "bag")) == content_hash(written)


def test_restarts_without_a_message_leave_no_files_behind(tmp_path: Path) -> None:
    record(tmp_path / "bag", take(4))
    for _ in range(3):
        record(tmp_path / "bag", [], append=True)
    record(tmp_path / "bag", take(8)[4:], append=True)
    assert replay(tmp_path / "bag").transitions == 8
    assert len(list((tmp_path / "bag").glob("*.mcap"))) == 2


def test_kill_9_during_recovery_is_harmless(tmp_path: Path) -> None:
    written = take(1500)
    path = crashed(tmp_path / "bag", len(written))
    expected = content_hash(written)
    rng = random.Random(1)
    for _ in range(4):
        process = start_program("recover", str(path))
        assert process.stdout is not None and process.stdout.readline() == b"go\n"
        time.sleep(rng.uniform(0.0, 0.25))
        process.kill()
        process.wait()
        process.stdout.close()
        assert content_hash(read_transitions(path)) == expected
    recover(path)
    assert replay(path).content_hash == expected and not replay(path).truncated
    assert sorted(file.name for file in path.iterdir()) == ["metadata.yaml", "original_0.mcap"]


class FullDisk:
    """A file on a disk that has room for some bytes more."""

    room = 0

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb", buffering=0)

    def write(self, data: bytes) -> int:
        taken = data[: FullDisk.room]
        FullDisk.room -= len(taken)
        self._file.write(taken)
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 40, 20_000, 22_000, 25_000])
def test_a_full_disk_is_one_line_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    written = take(60)
    flushed = 0
    with monkeypatch.context() as patch:
        patch.setattr(mcap_file, "open_new", FullDisk)
        FullDisk.room = room
        with pytest.raises(BagError, match=r"No space left on device; free some space and resume") as caught:
            with BagWriter(tmp_path / "bag", TOPICS) as bag:
                for transition in written:
                    bag.write(TOPIC, stamp_ns(transition), cdr(STATE, transition))
                    bag.flush()
                    flushed = transition.sequence
        assert "\n" not in str(caught.value)
        if flushed:
            with pytest.raises(BagError, match="closed|No space"):
                bag.write(TOPIC, 1, b"")
    assert (room >= 20_000) == (flushed > 0)
    record(tmp_path / "bag", written[flushed:], append=True)  # space was freed
    report = replay(tmp_path / "bag")
    assert report.content_hash == content_hash(written) and not report.truncated


def test_a_write_that_the_kernel_fails_midway(tmp_path: Path) -> None:
    process = start_program("small", str(tmp_path / "bag"))
    output = process.communicate(timeout=60)[0].decode().splitlines()
    assert process.returncode == 0
    assert output[-1].startswith("error: cannot write") and "free some space" in output[-1]
    acknowledged = int(output[-2])
    recover(tmp_path / "bag")
    read = list(read_transitions(tmp_path / "bag"))
    assert len(read) >= acknowledged > 100
    assert content_hash(read) == content_hash(take(len(read), IMAGES))


def test_a_folder_that_is_no_bag_is_not_recovered(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no .mcap file"):
        recover(tmp_path)
    with pytest.raises(BagError, match="cannot open the bag"):
        recover(tmp_path / "missing")
    (tmp_path / "notes.mcap").write_text("my notes, which are no recording")
    with pytest.raises(BagError, match="not an MCAP file"):
        recover(tmp_path)
    assert (tmp_path / "notes.mcap").read_text().startswith("my notes")
