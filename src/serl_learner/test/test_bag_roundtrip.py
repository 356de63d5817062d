# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A bag holds what was written, for us, for `rosbags` and for rosbag2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from ament_index_python import get_package_share_directory
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from test_bag_samples import IMAGES, STATE, STEPS, TOPIC, TOPICS, cdr, make_spec, record, stamp_ns, take

from serl_core import contract
from serl_core.errors import BagError
from serl_learner.bag import (
    BagReader,
    BagWriter,
    ReadReport,
    content_hash,
    message_definitions,
    read_metadata,
    read_spec,
    read_transitions,
)
from serl_learner.bag.definitions import type_hash


@pytest.mark.parametrize("spec", [STATE, IMAGES], ids=["state", "images"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_round_trip(tmp_path: Path, spec: object, compression: str) -> None:
    written = take(13, spec)
    record(tmp_path / "bag", written, spec, compression=compression)
    report = ReadReport()
    read = list(read_transitions(tmp_path / "bag", spec, report))
    assert [t.sequence for t in read] == [t.sequence for t in written]
    assert content_hash(read) == content_hash(written)
    for ours, theirs in zip(written, read, strict=True):
        assert np.array_equal(ours.action, theirs.action)
        assert (ours.first_observation is None) == (theirs.first_observation is None)
        for camera, pixels in ours.next_observation.images.items():
            assert np.array_equal(pixels, theirs.next_observation.images[camera])
    assert not report.truncated and not report.skipped


def test_rosbags_reads_the_same(tmp_path: Path) -> None:
    written = take(12, IMAGES)
    record(tmp_path / "bag", written, IMAGES)
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 12
        assert reader.start_time == stamp_ns(written[0])
        assert reader.duration == stamp_ns(written[-1]) - stamp_ns(written[0]) + 1
        by_topic = {connection.topic: connection for connection in reader.connections}
        assert {name: c.msgcount for name, c in by_topic.items()} == {TOPIC: 12, "/policy": 0}
        assert by_topic["/policy"].ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
        assert by_topic[TOPIC].ext.offered_qos_profiles[0].reliability == QosReliability.RELIABLE
        assert [bytes(data) for _, _, data in reader.messages()] == [cdr(IMAGES, t) for t in written]
    with AnyReader([tmp_path / "bag"]) as reader:  # decodes by the definitions inside
        decoded = [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages()]
    assert [message.sequence for message in decoded] == list(range(1, 13))
    assert np.array_equal(
        decoded[3].next_observation.images[0].data, written[3].next_observation.images["wrist"].ravel()
    )


def test_metadata_file_is_that_of_rosbag2(tmp_path: Path) -> None:
    record(tmp_path / "bag", take(3))
    info = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["version"] == 9 and info["storage_identifier"] == "mcap"
    assert info["relative_file_paths"] == ["bag_0.mcap"] == [file["path"] for file in info["files"]]
    assert info["message_count"] == 3 == info["files"][0]["message_count"]
    assert info["duration"]["nanoseconds"] == 200_000_000 == info["files"][0]["duration"]["nanoseconds"]
    assert info["starting_time"]["nanoseconds_since_epoch"] == stamp_ns(take(1)[0])
    topic = info["topics_with_message_count"][0]["topic_metadata"]
    assert topic["serialization_format"] == "cdr" and topic["type"] == "serl_msgs/msg/Transition"
    assert topic["offered_qos_profiles"][0]["history"] == "keep_last"
    assert info["custom_data"]["task"] == "reach" and info["custom_data"]["seed"] == "7"


def test_every_topic_of_the_contract_can_be_recorded() -> None:
    names = [f"{t.type.__module__.split('.')[0]}/msg/{t.type.__name__}" for t in contract.TOPICS]
    definitions = message_definitions(names)
    for name in names:
        package, _, short = name.split("/")
        described = json.loads(Path(get_package_share_directory(package), "msg", f"{short}.json").read_text())
        hashes = {entry["type_name"]: entry["hash_string"] for entry in described["type_hashes"]}
        assert type_hash(name, definitions[name]) == hashes[name]


def test_spec_and_metadata_come_back(tmp_path: Path) -> None:
    record(tmp_path / "bag", take(2, IMAGES), IMAGES)
    assert read_spec(tmp_path / "bag") == IMAGES
    assert read_spec(tmp_path / "bag/bag_0.mcap") == IMAGES  # also without metadata.yaml
    assert read_metadata(tmp_path / "bag")["seed"] == "7"
    assert list(read_transitions(tmp_path / "bag/bag_0.mcap", IMAGES))[1].sequence == 2


def test_an_image_is_stored_once(tmp_path: Path) -> None:
    spec = make_spec(128)
    record(tmp_path / "bag", take(STEPS, spec), spec)
    frames = (tmp_path / "bag/bag_0.mcap").stat().st_size / (128 * 128 * 3)
    assert STEPS + 1 <= frames < STEPS + 1.6


def test_messages_of_all_topics_come_in_the_order_of_writing(tmp_path: Path) -> None:
    from rclpy.serialization import serialize_message
    from serl_msgs.msg import PolicyWeights

    weights = serialize_message(PolicyWeights(task="reach", version=3, data=b"\x01\x02\x03"))
    with BagWriter(tmp_path / "bag", TOPICS) as bag:
        for transition in take(3):
            bag.write("/policy", stamp_ns(transition), weights)
            bag.write(TOPIC, stamp_ns(transition), cdr(STATE, transition))
        assert bag.counts == {TOPIC: 3, "/policy": 3}
    reader = BagReader(tmp_path / "bag")
    entries = list(reader.entries())
    assert [entry.topic for entry in entries] == ["/policy", TOPIC] * 3
    assert bytes(reader.decode(entries[0]).data) == b"\x01\x02\x03"
    assert [entry.type for entry in reader.entries(["serl_msgs/msg/PolicyWeights"])] == [entries[0].type] * 3


def test_wrong_use_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="compression 'rar'"):
        BagWriter(tmp_path / "other", TOPICS, compression="rar")
    with pytest.raises(BagError, match="no definition of a/msg/B"):
        BagWriter(tmp_path / "third", {"/x": ("a/msg/B", False)}, definitions={})
    with pytest.raises(BagError, match="definition of a/msg/B cannot be read"):
        BagWriter(tmp_path / "third", {"/x": ("a/msg/B", False)}, definitions={"a/msg/B": "float32"})
    assert not (tmp_path / "third").exists()
    with pytest.raises(BagError, match="not in the ament index"):
        message_definitions(["no_such_package/msg/B"])
    with pytest.raises(BagError, match="does not exist"):
        message_definitions(["std_msgs/msg/NoSuchMessage"])
    with pytest.raises(BagError, match="package/msg/Name"):
        message_definitions(["Transition"])
    with BagWriter(tmp_path / "bag", TOPICS) as bag:
        with pytest.raises(BagError, match=r"did you mean /transition\?"):
            bag.write("/transitions", 1, b"")
        with pytest.raises(BagError, match="stamp of -1"):
            bag.write(TOPIC, -1, b"")
        with pytest.raises(BagError, match="another process"):
            BagWriter(tmp_path / "bag", TOPICS, append=True)
    bag.close()
    with pytest.raises(BagError, match="closed"):
        bag.write(TOPIC, 1, b"")
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "bag", TOPICS)
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="cannot write"):
        BagWriter(tmp_path / "file/bag", TOPICS)
