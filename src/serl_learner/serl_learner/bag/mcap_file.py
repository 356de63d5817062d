# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""One MCAP file: written so that a flush saves it from a kill, read as far as it is sound.

The layout is that of https://mcap.dev/spec: records of opcode, length and content; messages lie in chunks,
each with a CRC; a finished file ends with a summary and a footer.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from mcap import records as mcap_records
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC as MAGIC
from mcap.writer import CompressionType, Writer

from serl_core.errors import BagError
from serl_learner.bag.metadata import FileEntry, write_error

LIBRARY = "serl"
_COMPRESSION = {"none": CompressionType.NONE, "zstd": CompressionType.ZSTD}
_FRAME = struct.Struct("<BQ")
_FOOTER = struct.Struct("<QQI")
_FOOTER_SIZE = _FRAME.size + _FOOTER.size + len(MAGIC)
_CHUNK_SIZES = struct.Struct("<QI")
# A chunk: opcode, length below 2^48, 28 bytes of times, size and CRC, the name of its compression.
_CHUNK_START = re.compile(rb"\x06.{6}\x00\x00.{28}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd)", re.DOTALL)
_MAX_CHUNK = 2**31
_READERS: dict[int, Callable[[ReadDataStream], Any]] = {
    Opcode.HEADER: mcap_records.Header.read,
    Opcode.SCHEMA: mcap_records.Schema.read,
    Opcode.CHANNEL: mcap_records.Channel.read,
    Opcode.CHUNK: mcap_records.Chunk.read,
    Opcode.METADATA: mcap_records.Metadata.read,
    Opcode.STATISTICS: mcap_records.Statistics.read,
}


@dataclass(frozen=True)
class Channel:
    """A topic of one file, with all that is needed to decode its messages.

    Attributes:
        topic: Its name.
        type: Message type, e.g. "serl_msgs/msg/Transition".
        encoding: Of `definition`: "ros2msg", "ros2idl" or "".
        definition: Concatenated text of the type and those that it contains.
        serialization: Of the messages: "cdr".
        metadata: What rosbag2 keeps beside: "offered_qos_profiles" and "topic_type_hash".
    """

    topic: str
    type: str
    encoding: str
    definition: str
    serialization: str = "cdr"
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


class Entry(NamedTuple):
    """One message as it lies in the file; `stamp_ns` is when it was logged."""

    channel: Channel
    stamp_ns: int
    cdr: bytes

    @property
    def topic(self) -> str:
        """Name of the topic."""
        return self.channel.topic

    @property
    def type(self) -> str:
        """Message type, e.g. "serl_msgs/msg/Transition"."""
        return self.channel.type


@dataclass
class ReadReport:
    """What a reader had to leave out.

    Attributes:
        truncated: A file was not finished: its writer was killed, or its end is missing or damaged.
        skipped: How often each reason to skip something occurred.
    """

    truncated: bool = False
    skipped: Counter[str] = field(default_factory=Counter)


class McapWriter:
    """Writes one file; not thread-safe. After any BagError nothing more can be written."""

    def __init__(
        self, path: Path, compression: str = "none", metadata: Mapping[str, str] | None = None
    ) -> None:
        """Create `path`, which must not exist, with `metadata` as its first record after the header.

        Args:
            path: Where to write.
            compression: "none" or "zstd", chunk by chunk; both are read by `ros2 bag`.
            metadata: Record "serl"; left out if empty.
        """
        if compression not in _COMPRESSION:
            raise BagError(f"compression {compression!r} is not one of {', '.join(_COMPRESSION)}")
        self.path = path
        self.counts: Counter[str] = Counter()
        self._channels: dict[str, tuple[int, Channel]] = {}
        self._schemas: dict[tuple[str, str], int] = {}
        self._count = self._start_ns = self._end_ns = 0
        self._failure: BagError | None = None
        with self._failing():
            self._file = open_new(path)
        with self._failing():
            self._writer = Writer(self._file, compression=_COMPRESSION[compression])
            self._writer.start("ros2", LIBRARY)
            if metadata:
                self._writer.add_metadata(LIBRARY, dict(metadata))
            self._writer.flush()

    def add_channel(self, channel: Channel) -> None:
        """Announce a topic; BagError if it was announced with another type."""
        known = self._channels.get(channel.topic)
        if known is not None:
            if known[1] != channel:
                raise BagError(f"topic {channel.topic} has two types: {known[1].type} and {channel.type}")
            return
        with self._failing():
            key = (channel.type, channel.definition)
            if key not in self._schemas:
                self._schemas[key] = self._writer.register_schema(
                    channel.type, channel.encoding, channel.definition.encode()
                )
            number = self._writer.register_channel(
                channel.topic, channel.serialization, self._schemas[key], dict(channel.metadata)
            )
        self._channels[channel.topic] = (number, channel)

    def write(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Append a message to a topic that was announced; it is safe from a kill after the next flush."""
        number, _ = self._channels[topic]
        with self._failing():
            self._writer.add_message(number, stamp_ns, cdr, stamp_ns, self.counts[topic] & 0xFFFFFFFF)
        self._start_ns = min(self._start_ns, stamp_ns) if self._count else stamp_ns
        self._end_ns = max(self._end_ns, stamp_ns) if self._count else stamp_ns
        self._count += 1
        self.counts[topic] += 1

    def flush(self) -> None:
        """Hand everything written to the operating system: from here on a killed process loses none of it."""
        with self._failing():
            self._writer.flush()

    def finish(self) -> FileEntry:
        """Write the summary, wait until the disk has it all, close the file and say what is in it."""
        with self._failing():
            self._writer.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self.entry

    @property
    def entry(self) -> FileEntry:
        """What the file contains so far."""
        return FileEntry(self.path.name, self._count, self._start_ns, self._end_ns)

    def abandon(self) -> None:
        """Close the file as it is, unfinished; never fails."""
        if hasattr(self, "_file"):
            with suppress(OSError):
                self._file.close()

    def _failing(self) -> _Failing:
        return _Failing(self)


class _Failing:
    """Turns an OSError into the BagError that later calls repeat: a half-written record must stay last."""

    def __init__(self, writer: McapWriter) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        if self._writer._failure is not None:
            raise self._writer._failure

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            self._writer._failure = write_error(self._writer.path, error)
            self._writer.abandon()
            raise self._writer._failure from error


def open_new(path: Path) -> Any:
    """Open a file that must not exist yet for writing."""
    return open(path, "xb")


@dataclass(frozen=True)
class Summary:
    """The end of a finished file: its channels by number, its statistics and where its data end."""

    schemas: Mapping[int, Any]
    channels: Mapping[int, Any]
    statistics: Any | None

    @property
    def counts(self) -> dict[str, int]:
        """Messages by topic."""
        numbers = self.statistics.channel_message_counts if self.statistics else {}
        return {channel.topic: int(numbers.get(number, 0)) for number, channel in self.channels.items()}


class _Damaged(Exception):
    """A record that cannot be read."""


class McapFile:
    """Reads one file, finished or not; keeps it open until `close`."""

    def __init__(self, path: Path) -> None:
        """Open `path`; BagError if it cannot be read or is not an MCAP file at all."""
        self.path = path
        self._map: mmap.mmap | bytes = b""
        try:
            with path.open("rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size:
                    self._map = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise BagError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        start = self._map[: len(MAGIC)]
        if start != MAGIC[: len(start)]:
            self.close()
            raise BagError(f"{path} is not an MCAP file")
        self.summary = self._read_summary()
        self.metadata: dict[str, dict[str, str]] = {}
        self.compression = ""

    @property
    def finished(self) -> bool:
        """Whether the file ends as a finished one does, with a summary whose CRC is right."""
        return self.summary is not None

    def close(self) -> None:
        """Close the file; its entries stay valid."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()

    def __enter__(self) -> McapFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def entries(self, report: ReadReport) -> Iterator[Entry]:
        """Yield every message that is sound, in the order of writing; count the rest in `report`.

        On the way `metadata` takes the metadata records and `compression` that of the last chunk.
        """
        schemas = dict(self.summary.schemas) if self.summary else {}
        channels = dict(self.summary.channels) if self.summary else {}
        known: dict[int, Channel] = {}
        count = damage = 0
        for record in self._records():
            if isinstance(record, _Damaged):
                damage += 1
                report.skipped["damaged record"] += 1
            elif isinstance(record, mcap_records.Schema):
                schemas[record.id] = record
            elif isinstance(record, mcap_records.Channel):
                channels[record.id] = record
                known.pop(record.id, None)
            elif isinstance(record, mcap_records.Metadata):
                self.metadata[record.name] = record.metadata
            elif isinstance(record, mcap_records.Message):
                count += 1
                channel = known.get(record.channel_id)
                if channel is None:
                    if record.channel_id not in channels:
                        report.skipped["message of an unknown channel"] += 1
                        continue
                    channel = known[record.channel_id] = _channel(channels[record.channel_id], schemas)
                yield Entry(channel, record.log_time, bytes(record.data))
        if not self.finished:
            report.truncated = True
        elif self.summary and self.summary.statistics:
            missing = (
                self.summary.statistics.message_count - count - damage
            )  # a damaged chunk may hold several
            if missing > 0:
                report.skipped["message missing from the file"] += missing

    def channels(self) -> list[Channel]:
        """Return the channels that the summary lists; [] for an unfinished file."""
        if self.summary is None:
            return []
        return [_channel(channel, self.summary.schemas) for channel in self.summary.channels.values()]

    def read_metadata(self) -> dict[str, dict[str, str]]:
        """Return the metadata records that lie before the first message, by name."""
        for record in self._records():
            if isinstance(record, mcap_records.Metadata):
                self.metadata[record.name] = record.metadata
            elif isinstance(record, mcap_records.Message):
                break
        return self.metadata

    def _records(self) -> Iterator[Any]:
        """Yield the records of the data section, chunks opened; a _Damaged for each place that is skipped."""
        offset = len(MAGIC)
        while offset < self.size:
            try:
                opcode, start, end = self._frame(offset)
                if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    return
                record = self._parse(opcode, start, end)
                inner = [record]
                if isinstance(record, mcap_records.Chunk):
                    inner = _open_chunk(record)
                    self.compression = record.compression
            except _Damaged as damage:
                following = self._next_chunk(offset + 1)
                if following is None:
                    if self.finished:
                        yield damage
                    return
                yield damage
                offset = following
                continue
            yield from inner
            offset = end

    def _frame(self, offset: int) -> tuple[int, int, int]:
        """Return opcode, start and end of the content of the record at `offset`."""
        start = offset + _FRAME.size
        if start > self.size:
            raise _Damaged
        opcode, length = _FRAME.unpack_from(self._map, offset)
        end = start + length
        if opcode == 0 or end > self.size:
            raise _Damaged
        if length != {Opcode.DATA_END: 4, Opcode.FOOTER: _FOOTER.size}.get(opcode, length):
            raise _Damaged
        return opcode, start, end

    def _parse(self, opcode: int, start: int, end: int) -> Any:
        """Return the record, or None for a kind of no use here; _Damaged if its parts do not fill it."""
        if opcode == Opcode.MESSAGE:
            stream = ReadDataStream(BytesIO(self._map[start:end]))
            return _sound(lambda: mcap_records.Message.read(stream, end - start), stream, end - start)
        if opcode == Opcode.MESSAGE_INDEX:
            if end - start < 6 or end - start - 6 != struct.unpack_from("<I", self._map, start + 2)[0]:
                raise _Damaged
            return None
        reader = _READERS.get(opcode)
        if reader is None:
            if opcode not in set(Opcode):
                raise _Damaged
            return None
        stream = ReadDataStream(BytesIO(self._map[start:end]))
        return _sound(lambda: reader(stream), stream, end - start)

    def _next_chunk(self, offset: int) -> int | None:
        """Return where the next sound chunk starts at or after `offset`."""
        while (match := _CHUNK_START.search(self._map, offset)) is not None:
            at = match.start()
            offset = at + 1
            with suppress(_Damaged):
                opcode, start, end = self._frame(at)
                name_length = _CHUNK_SIZES.unpack_from(self._map, start + 20)[1]
                if name_length > 4 or start + 40 + name_length > self.size:
                    continue
                (data_length,) = struct.unpack_from("<Q", self._map, start + 32 + name_length)
                if data_length != end - start - 40 - name_length:
                    continue
                chunk = self._parse(opcode, start, end)
                if chunk.uncompressed_crc:
                    _open_chunk(chunk)
                    return at
        return None

    def _read_summary(self) -> Summary | None:
        """Read the end of a finished file; None if it is missing or its CRC is wrong."""
        footer_start = self.size - _FOOTER_SIZE
        if footer_start < len(MAGIC) or self._map[-len(MAGIC) :] != MAGIC:
            return None
        if _FRAME.unpack_from(self._map, footer_start) != (Opcode.FOOTER, _FOOTER.size):
            return None
        summary_start, _, crc = _FOOTER.unpack_from(self._map, footer_start + _FRAME.size)
        if summary_start == 0:
            return Summary({}, {}, None)
        if not len(MAGIC) <= summary_start <= footer_start:
            return None
        if crc and crc != zlib.crc32(self._map[summary_start : footer_start + _FRAME.size + 16]):
            return None
        schemas, channels, statistics = {}, {}, None
        offset = summary_start
        while offset < footer_start:
            try:
                opcode, start, end = self._frame(offset)
                record = self._parse(opcode, start, end)
            except _Damaged:
                return None
            if isinstance(record, mcap_records.Schema):
                schemas[record.id] = record
            elif isinstance(record, mcap_records.Channel):
                channels[record.id] = record
            elif isinstance(record, mcap_records.Statistics):
                statistics = record
            offset = end
        return Summary(schemas, channels, statistics)


def _sound(read: Callable[[], Any], stream: ReadDataStream, length: int) -> Any:
    try:
        record = read()
    except Exception:  # whatever a parser makes of damaged bytes
        raise _Damaged from None
    if stream.count != length:
        raise _Damaged
    return record


def _open_chunk(chunk: Any) -> list[Any]:
    if chunk.uncompressed_size > _MAX_CHUNK:
        raise _Damaged
    if not chunk.compression and chunk.uncompressed_size != len(chunk.data):
        raise _Damaged
    try:
        return breakup_chunk(chunk, validate_crc=True)
    except Exception:  # decompressors and parsers each have errors of their own
        raise _Damaged from None


def _channel(channel: Any, schemas: Mapping[int, Any]) -> Channel:
    schema = schemas.get(channel.schema_id)
    return Channel(
        topic=channel.topic,
        type=schema.name if schema else "",
        encoding=schema.encoding if schema else "",
        definition=schema.data.decode(errors="replace") if schema else "",
        serialization=channel.message_encoding,
        metadata=dict(channel.metadata),
    )
