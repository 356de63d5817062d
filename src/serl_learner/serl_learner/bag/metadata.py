# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What a bag folder says about its files: metadata.yaml as rosbag2 writes it (version 9)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from serl_core.errors import BagError

FILE_NAME = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"
_VERSION = 9
_NEVER = {"sec": 9223372036, "nsec": 854775807}
_NO_START = 2**63 - 1


@dataclass
class TopicEntry:
    """One topic of a bag; `qos` is a list of profiles in rosbag2's form."""

    name: str
    type: str
    qos: list[dict[str, Any]]
    type_hash: str = ""
    count: int = 0


@dataclass(frozen=True)
class FileEntry:
    """One MCAP file of a bag; stamps in ns, both 0 where `count` is."""

    name: str
    count: int
    start_ns: int
    end_ns: int


@dataclass
class BagContents:
    """Everything that metadata.yaml tells."""

    files: list[FileEntry] = field(default_factory=list)
    topics: dict[str, TopicEntry] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)

    def add_topic(self, entry: TopicEntry) -> None:
        """Add a topic, or its messages to what is known of it."""
        if entry.name not in self.topics:
            self.topics[entry.name] = TopicEntry(entry.name, entry.type, entry.qos, entry.type_hash)
        self.topics[entry.name].count += entry.count


def offered_qos(latched: bool) -> list[dict[str, Any]]:
    """Return the profile that `ros2 bag play` offers: reliable, so that subscribers of either kind match."""
    return [
        {
            "history": "keep_last",
            "depth": 1 if latched else 100,
            "reliability": "reliable",
            "durability": "transient_local" if latched else "volatile",
            "deadline": dict(_NEVER),
            "lifespan": dict(_NEVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_NEVER),
            "avoid_ros_namespace_conventions": False,
        }
    ]


def qos_to_yaml(qos: list[dict[str, Any]]) -> str:
    """Return profiles as the channels of an MCAP file carry them."""
    return _dump(qos).rstrip("\n")


def qos_from_yaml(text: str) -> list[dict[str, Any]]:
    """Read what `qos_to_yaml` or rosbag2 wrote; [] if it is not such a text."""
    try:
        profiles = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    return profiles if isinstance(profiles, list) else []


def write(folder: Path, contents: BagContents) -> None:
    """Replace metadata.yaml as a whole, unless it says the same already; BagError if it cannot."""
    text = _dump({_ROOT: _document(contents)})
    path = folder / FILE_NAME
    temporary = folder / (FILE_NAME + ".part")
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error


def read(folder: Path) -> dict[str, Any]:
    """Return the part of metadata.yaml below its root key; {} where it is missing or damaged."""
    try:
        document = yaml.safe_load((folder / FILE_NAME).read_text(encoding="utf-8"))
        inner = document[_ROOT]
        return inner if isinstance(inner, dict) else {}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}


def custom_data(document: dict[str, Any]) -> dict[str, str]:
    """Return the custom data of a document from `read`; {} where there is none."""
    custom = document.get("custom_data")
    return {str(key): str(value) for key, value in custom.items()} if isinstance(custom, dict) else {}


def topics(document: dict[str, Any]) -> list[TopicEntry]:
    """Return the topics, without counts, of a document from `read`; what is malformed is left out."""
    found = []
    entries = document.get("topics_with_message_count")
    for entry in entries if isinstance(entries, list) else []:
        try:
            topic = entry["topic_metadata"]
            profiles = topic.get("offered_qos_profiles")
            found.append(
                TopicEntry(
                    str(topic["name"]),
                    str(topic["type"]),
                    profiles if isinstance(profiles, list) else qos_from_yaml(str(profiles or "")),
                    str(topic.get("type_description_hash", "")),
                )
            )
        except (KeyError, TypeError, AttributeError):
            continue
    return found


def write_error(path: Path, error: OSError) -> BagError:
    """Return the one line that tells a user why `path` cannot be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BagError(
            f"cannot write {path}: {os.strerror(error.errno)}; free some space and resume "
            "(everything acknowledged so far is in the bag)"
        )
    return BagError(f"cannot write {path}: {error.strerror or error}; check the folder and its permissions")


def _document(contents: BagContents) -> dict[str, Any]:
    start, end = _span(contents.files)
    return {
        "version": _VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(file.count for file in contents.files),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": topic.qos,
                    "type_description_hash": topic.type_hash,
                },
                "message_count": topic.count,
            }
            for topic in contents.topics.values()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in contents.files],
        "files": [_file(file) for file in contents.files],
        "custom_data": contents.custom or None,
        "ros_distro": os.environ.get("ROS_DISTRO", "unknown"),
    }


def _file(file: FileEntry) -> dict[str, Any]:
    start, end = _span([file])
    return {
        "path": file.name,
        "starting_time": {"nanoseconds_since_epoch": start},
        "duration": {"nanoseconds": end - start},
        "message_count": file.count,
    }


def _span(files: Iterable[FileEntry]) -> tuple[int, int]:
    filled = [file for file in files if file.count]
    if not filled:
        return _NO_START, _NO_START
    return min(file.start_ns for file in filled), max(file.end_ns for file in filled)


class _Dumper(yaml.SafeDumper):
    """Spells equal lists out, since rosbag2's parser need not follow YAML references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=2**31, allow_unicode=True)
