# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Damaged and foreign bags give a clear report and their good part, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from test_bag_samples import IMAGES, STATE, TOPIC, cdr, make_spec, record, stamp_ns, take

from serl_core.errors import BagError
from serl_learner.bag import BagReader, ReadReport, content_hash, read_transitions, recover, replay
from serl_learner.bag.definitions import message_definitions, type_hash


def flip(file: Path, position: int, bit: int = 3) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1 << bit
    file.write_bytes(data)


def read(path: Path) -> tuple[list[int], ReadReport]:
    report = ReadReport()
    return [transition.sequence for transition in read_transitions(path, report=report)], report


def test_a_flipped_bit_costs_its_chunk_and_is_counted(tmp_path: Path) -> None:
    path = record(tmp_path / "bag", take(20, IMAGES), IMAGES)
    file = path / "bag_0.mcap"
    position = file.read_bytes().index(cdr(IMAGES, take(8, IMAGES)[-1])) + 300
    flip(file, position)
    sequences, report = read(path)
    assert sequences == [n for n in range(1, 21) if n != 8]
    assert report.skipped == {"damaged record": 1} and not report.truncated
    result = replay(path)
    assert result.missing_sequences == 1 and result.missing_steps == 1 and result.dropped == 1
    assert recover(path).rewritten == ()  # finished; nothing that a rewriting could bring back


def test_any_flipped_bit_is_noticed_or_harmless(tmp_path: Path) -> None:
    written = {t.sequence: content_hash([t]) for t in take(20)}
    data = (record(tmp_path / "bag", take(20)) / "bag_0.mcap").read_bytes()
    rng = random.Random(11)
    file = tmp_path / "flipped.mcap"
    unharmed = 0
    for _ in range(400):
        changed = bytearray(data)
        position = rng.randrange(len(data))
        changed[position] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        report = ReadReport()
        try:
            found = list(read_transitions(file, report=report))
        except BagError as error:
            assert "\n" not in str(error)
            continue
        assert all(content_hash([t]) == written[t.sequence] for t in found)  # never a wrong one
        assert len(found) >= 18
        if len(found) < 20:
            assert report.skipped or report.truncated
        unharmed += len(found) == 20
    assert unharmed > 50  # flips of the summary, of indexes and of schemas that the summary repeats


def test_several_flips_in_an_unfinished_file_are_rewritten_with_evidence(tmp_path: Path) -> None:
    path = record(tmp_path / "bag", take(40))
    file = path / "bag_0.mcap"
    data = file.read_bytes()
    places = [data.index(cdr(STATE, t)) for t in take(40)]
    file.write_bytes(data[: places[35]])
    for place in (places[10] - 40, places[20] + 60, places[30] + 5):
        flip(file, place)
    before, report = read(path)
    assert len(before) == 32 and report.truncated and report.skipped["damaged record"] == 3
    recovery = recover(path)
    assert recovery.skipped == {"damaged record": 3}
    after, report = read(path)
    assert after == before and not report.truncated and not report.skipped
    assert (path / "bag_0.mcap.damaged").is_file()


def test_a_foreign_bag_names_its_topics(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        message = store.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, 5, store.serialize_cdr(message, "std_msgs/msg/String"))
    expected = r"no serl_msgs/msg/Transition topic: topics are /chatter \(std_msgs/msg/String\)"
    with pytest.raises(BagError, match=expected):
        replay(tmp_path / "bag")
    with pytest.raises(BagError, match=expected):
        list(read_transitions(tmp_path / "bag" / "bag.mcap"))
    reader = BagReader(tmp_path / "bag")
    assert [reader.decode(entry).data for entry in reader.entries()] == ["hello"]
    assert reader.metadata() == {}


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_a_bag_of_another_writer_is_replayed(tmp_path: Path, plugin: StoragePlugin) -> None:
    kind = "serl_msgs/msg/Transition"
    definition = message_definitions([kind])[kind]
    written = take(6)
    with Writer(tmp_path / "bag", version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection(
            "/robot1/transition", kind, msgdef=definition, rihs01=type_hash(kind, definition)
        )
        for transition in written:
            writer.write(connection, stamp_ns(transition), cdr(STATE, transition))
    assert replay(tmp_path / "bag").content_hash == content_hash(written)


def test_what_is_no_bag_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="does not exist"):
        replay(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="is not a bag: it holds no .mcap file"):
        replay(tmp_path / "empty")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(BagError, match="is not a bag"):
        replay(tmp_path / "text.txt")
    (tmp_path / "text.mcap").write_text("hello")
    with pytest.raises(BagError, match="not an MCAP file"):
        replay(tmp_path / "text.mcap")
    (tmp_path / "nothing.mcap").touch()
    with pytest.raises(BagError, match="no readable message"):
        replay(tmp_path / "nothing.mcap")
    (tmp_path / "broken.db3").write_text("hello")
    with pytest.raises(BagError, match="cannot read"):
        replay(tmp_path / "broken.db3")
    (tmp_path / "run/bag").mkdir(parents=True)
    with pytest.raises(BagError, match="did you mean .*run/bag"):
        replay(tmp_path / "run")


def test_transitions_of_another_schema_are_refused_by_name(tmp_path: Path) -> None:
    other = make_spec(8)
    path = record(tmp_path / "bag", take(4))
    refusal = rf"no transition can be used \(4 x observation schema is .*{other.fingerprint}"
    with pytest.raises(BagError, match=refusal):
        list(read_transitions(path, other))
    report = ReadReport()
    mixed = record(tmp_path / "mixed", take(4))
    record(mixed, take(3, other, env_id="env-b"), other, append=True)
    assert [t.env_id for t in read_transitions(mixed, other, report)] == ["env-b"] * 3
    assert sum(report.skipped.values()) == 4


def test_a_message_that_does_not_fit_its_definition_is_counted(tmp_path: Path) -> None:
    from test_bag_samples import TOPICS

    from serl_learner.bag import BagWriter

    with BagWriter(tmp_path / "bag", TOPICS) as bag:
        for transition in take(3):
            bag.write(TOPIC, stamp_ns(transition), cdr(STATE, transition))
        bag.write(TOPIC, 1, b"\x00\x01\x00\x00" + bytes(range(200)))
        bag.write(TOPIC, 2, b"")
    sequences, report = read(tmp_path / "bag")
    assert sequences == [1, 2, 3] and sum(report.skipped.values()) == 2
