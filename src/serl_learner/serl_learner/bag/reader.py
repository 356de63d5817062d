# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reads bags, whole or damaged, own or foreign, without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader as RosbagReader
from rosbags.typesys.store import Typestore

from serl_core.errors import BagError, SchemaError
from serl_core.specs import EnvSpec, env_spec_from_json
from serl_core.types import Transition
from serl_learner.bag import metadata
from serl_learner.bag.definitions import typestore
from serl_learner.bag.mcap_file import LIBRARY, Channel, Entry, McapFile, ReadReport
from serl_learner.bag.recovery import count_skipped, mcap_files
from serl_learner.bag.writer import ENV_SPEC

TRANSITION = "serl_msgs/msg/Transition"
_ENCODINGS = {MessageDefinitionFormat.MSG: "ros2msg", MessageDefinitionFormat.IDL: "ros2idl"}


class BagReader:
    """Iterates over the messages of a bag.

    MCAP files are read as far as they are sound: what is missing or damaged is left out and counted in
    `report`. Bags of another storage or with rosbag2's own compression are read by `rosbags`, which needs
    them whole.

    Attributes:
        path: Of the bag.
        files: Its files, in order.
        report: What was left out, so far.
    """

    def __init__(self, path: str | Path, report: ReadReport | None = None) -> None:
        """Open a bag.

        Args:
            path: A bag folder or a single .mcap or .db3 file.
            report: Where to count what is left out; None makes a new one.

        BagError if it is no bag.
        """
        self.path = Path(path)
        self.report = ReadReport() if report is None else report
        self._document: dict[str, Any] = {}
        self._seen: dict[str, str] = {}
        self._stores: dict[Channel, Typestore | BagError] = {}
        self._plain = True
        if self.path.is_dir():
            self._open_folder()
        elif self.path.is_file():
            self.files = [self.path]
            self._plain = self.path.suffix == ".mcap"
            if self.path.suffix not in (".mcap", ".db3"):
                raise BagError(f"{self.path} is not a bag: expected a bag folder or an .mcap file")
        else:
            raise BagError(f"{self.path} does not exist")

    def entries(self, types: Collection[str] | None = None) -> Iterator[Entry]:
        """Yield messages of all types or of some, undecoded and in the order of writing."""
        for entry in self._plain_entries() if self._plain else self._foreign_entries():
            self._seen[entry.topic] = entry.type
            if types is None or entry.type in types:
                yield entry

    def decode(self, entry: Entry) -> Any:
        """Return an object with the message's fields, by the bag's own definition; BagError if it cannot."""
        channel = entry.channel
        if channel not in self._stores:
            try:
                self._stores[channel] = _typestore(channel)
            except BagError as error:
                self._stores[channel] = error
        store = self._stores[channel]
        if isinstance(store, BagError):
            raise store
        try:
            return store.deserialize_cdr(entry.cdr, channel.type)
        except Exception as error:  # generated code fed with whatever a file contains
            raise BagError(f"a message of type {channel.type} does not fit its definition") from error

    def topics(self) -> dict[str, str]:
        """Return types by topic, as known from metadata, from summaries and from what was read so far."""
        found = {topic.name: topic.type for topic in metadata.topics(self._document)}
        if self._plain:
            for path in self.files:
                with McapFile(path) as file:
                    found.update({channel.topic: channel.type for channel in file.channels()})
        return {**found, **self._seen}

    def metadata(self) -> dict[str, str]:
        """Return what the writer said about the recording; {} for a foreign bag."""
        found = metadata.custom_data(self._document)
        if self._plain and not found:
            for path in self.files:
                with McapFile(path) as file:
                    found.update(file.read_metadata().get(LIBRARY, {}))
        return found

    def _open_folder(self) -> None:
        self._document = metadata.read(self.path)
        self.files = mcap_files(self.path)
        storage = self._document.get("storage_identifier", "mcap")
        if storage != "mcap" or self._document.get("compression_mode"):
            self._plain = False
            names = self._document.get("relative_file_paths") or []
            self.files = [self.path / Path(str(name)).name for name in names]
        elif not self.files:
            hint = f"; did you mean {self.path / 'bag'}?" if (self.path / "bag").is_dir() else ""
            raise BagError(f"{self.path} is not a bag: it holds no .mcap file{hint}")

    def _plain_entries(self) -> Iterator[Entry]:
        for path in self.files:
            with McapFile(path) as file:
                yield from file.entries(self.report)

    def _foreign_entries(self) -> Iterator[Entry]:
        channels: dict[tuple[str, str], Channel] = {}
        try:
            with RosbagReader(self.path) as reader:
                for connection, stamp_ns, cdr in reader.messages():
                    key = (connection.topic, connection.msgtype)
                    if key not in channels:
                        encoding = _ENCODINGS.get(connection.msgdef.format, "")
                        channels[key] = Channel(*key, encoding, connection.msgdef.data)
                    yield Entry(channels[key], stamp_ns, bytes(cdr))
        except Exception as error:  # each storage has errors of its own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BagError(f"cannot read {self.path}: {reason}") from error


def read_transitions(
    path: str | Path, spec: EnvSpec | None = None, report: ReadReport | None = None
) -> Iterator[Transition]:
    """Yield the transitions of a bag as they were written; the same one may come twice after a resend.

    Args:
        path: A bag folder or a single .mcap file.
        spec: What they must fit; None takes what is there.
        report: Where to count what is left out, by reason.

    BagError if it is no bag, has no topic of transitions, or if there are some but none is usable.
    """
    for _, _, transition in read_messages(BagReader(path, report), spec):
        yield transition


def read_messages(reader: BagReader, spec: EnvSpec | None = None) -> Iterator[tuple[Entry, Any, Transition]]:
    """Yield each transition of a bag with its entry and its message; see `read_transitions`."""
    from serl_core import codec

    usable = unusable = 0
    for entry in reader.entries([TRANSITION]):
        try:
            message = reader.decode(entry)
            transition = codec.from_transition(spec, message)
        except (BagError, SchemaError) as error:
            reason = str(error)
        except (AttributeError, TypeError, ValueError) as error:
            reason = f"not a {TRANSITION} of this version: {error}"
        else:
            usable += 1
            yield entry, message, transition
            continue
        unusable += 1
        reader.report.skipped[reason] += 1
    if usable:
        return
    if unusable:
        raise BagError(f"{reader.path}: no transition can be used ({count_skipped(reader.report.skipped)})")
    topics = reader.topics()
    if TRANSITION not in topics.values():
        listing = ", ".join(f"{name} ({kind})" for name, kind in sorted(topics.items()))
        raise BagError(
            f"{reader.path}: no {TRANSITION} topic: "
            + (f"topics are {listing}" if listing else "it holds no readable message")
        )


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what the writer said about the recording; {} for a foreign bag, BagError if it is no bag."""
    return BagReader(path).metadata()


def read_spec(path: str | Path) -> EnvSpec | None:
    """Return the environment's specification; None where the bag holds none, BagError if it is no bag."""
    text = read_metadata(path).get(ENV_SPEC)
    if text is None:
        return None
    try:
        return env_spec_from_json(text)
    except SchemaError as error:
        raise BagError(f"{path}: {error}") from error


def _typestore(channel: Channel) -> Typestore:
    if channel.serialization != "cdr":
        raise BagError(f"{channel.topic} is serialised as {channel.serialization!r}, expected 'cdr'")
    if not channel.definition:
        raise BagError(f"the bag holds no definition of {channel.type}")
    return typestore(channel.type, channel.definition, channel.encoding)
