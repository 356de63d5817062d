# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Makes a whole bag of what a killed writer left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from serl_core.errors import BagError
from serl_learner.bag import metadata
from serl_learner.bag.mcap_file import LIBRARY, Channel, McapFile, McapWriter, ReadReport
from serl_learner.bag.metadata import BagContents, FileEntry, TopicEntry

PART = ".part"


@dataclass(frozen=True)
class Recovery:
    """What `recover` found and did.

    Attributes:
        contents: The bag as it is now.
        rewritten: Names of the files that were not finished and now are.
        skipped: How often each reason to leave something out occurred in them.
    """

    contents: BagContents
    rewritten: tuple[str, ...]
    skipped: dict[str, int]


def recover(path: str | Path) -> Recovery:
    """Finish a bag whose writer was killed, keeping every whole record; a sound bag is left as it is.

    Files are replaced as a whole, so a kill at any moment leaves a bag that can be recovered again. Where
    more was wrong than a missing end, the old file stays beside the new one as "NAME.damaged".

    Args:
        path: A bag folder.

    BagError if it is not one, if another process writes it, or if the disk is full.
    """
    folder = Path(path)
    with locked(folder):
        return recover_locked(folder)


def recover_locked(folder: Path) -> Recovery:
    """Do as `recover` does, for a caller that holds the lock."""
    names = mcap_files(folder)
    document = metadata.read(folder)
    if not names:
        raise BagError(f"{folder} is not a bag: it holds no .mcap file")
    for leftover in folder.glob("*" + PART):
        leftover.unlink(missing_ok=True)
    contents = BagContents()
    for topic in metadata.topics(document):
        contents.add_topic(topic)
    report = ReadReport()
    rewritten = []
    found: list[tuple[FileEntry, list[TopicEntry]]] = []
    for path in names:
        with McapFile(path) as file:
            if file.summary is not None and file.summary.statistics is not None:
                found.append(_from_summary(file))
            else:
                found.append(_rewrite(file, report))
                rewritten.append(path.name)
            contents.custom.update(file.read_metadata().get(LIBRARY, {}))
    for number, (entry, topics) in enumerate(found):
        if entry.count == 0 and (contents.files or number < len(found) - 1):
            (folder / entry.name).unlink()
            continue
        contents.files.append(entry)
        for topic in topics:
            contents.add_topic(topic)
    contents.custom.update(metadata.custom_data(document))
    metadata.write(folder, contents)
    return Recovery(contents, tuple(rewritten), dict(report.skipped))


def mcap_files(folder: Path) -> list[Path]:
    """Return the MCAP files of a folder in the order of their numbers."""

    def order(path: Path) -> tuple[int, str]:
        match = re.search(r"_(\d+)$", path.stem)
        return (int(match[1]) if match else -1, path.name)

    return sorted(folder.glob("*.mcap"), key=order)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a bag folder against other writers; the lock dies with the process. BagError if it is held."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BagError(f"cannot open the bag {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BagError(f"{folder} is being written by another process; stop that one first") from None
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks
                raise BagError(f"cannot lock {folder}: {error.strerror}") from error
        yield
    finally:
        os.close(handle)


def _from_summary(file: McapFile) -> tuple[FileEntry, list[TopicEntry]]:
    assert file.summary is not None and file.summary.statistics is not None
    statistics, counts = file.summary.statistics, file.summary.counts
    entry = FileEntry(
        file.path.name, statistics.message_count, statistics.message_start_time, statistics.message_end_time
    )
    return entry, [_topic(channel, counts[channel.topic]) for channel in file.channels()]


def _rewrite(file: McapFile, report: ReadReport) -> tuple[FileEntry, list[TopicEntry]]:
    """Put a finished file of everything readable in the place of one that is not finished."""
    mine = ReadReport()
    entries = file.entries(mine)
    first = next(entries, None)  # after it, the file's metadata and compression are known
    part = file.path.with_name(file.path.name + PART)
    writer = McapWriter(part, "zstd" if file.compression == "zstd" else "none", file.metadata.get(LIBRARY))
    channels: dict[str, Channel] = {}
    try:
        for entry in chain([first] if first else [], entries):
            if channels.setdefault(entry.topic, entry.channel) is entry.channel:
                writer.add_channel(entry.channel)
            elif entry.channel != channels[entry.topic]:
                mine.skipped[f"second type on topic {entry.topic}"] += 1
                continue
            writer.write(entry.topic, entry.stamp_ns, entry.cdr)
        result = replace(writer.finish(), name=file.path.name)
        if mine.skipped:
            with suppress(OSError):  # evidence only: exists already, or no hard links here
                os.link(file.path, file.path.with_name(file.path.name + ".damaged"))
        _replace(part, file.path)
    except BaseException:
        writer.abandon()
        part.unlink(missing_ok=True)
        raise
    report.skipped.update(mine.skipped)
    return result, [_topic(channel, writer.counts[topic]) for topic, channel in channels.items()]


def _replace(source: Path, target: Path) -> None:
    try:
        source.replace(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise metadata.write_error(target, error) from error


def _topic(channel: Channel, count: int) -> TopicEntry:
    return TopicEntry(
        channel.topic,
        channel.type,
        metadata.qos_from_yaml(channel.metadata.get("offered_qos_profiles", "")),
        channel.metadata.get("topic_type_hash", ""),
        count,
    )


def count_skipped(skipped: Counter[str] | dict[str, int]) -> str:
    """Return "2 x reason, 1 x other reason", or "nothing"."""
    return ", ".join(f"{count} x {reason}" for reason, count in sorted(skipped.items())) or "nothing"
