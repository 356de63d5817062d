# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The log of record: a rosbag2 folder that holds whatever was flushed, however its writer ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from serl_core.errors import BagError, suggest
from serl_learner.bag import metadata as bag_metadata
from serl_learner.bag.definitions import message_definitions, type_hash
from serl_learner.bag.mcap_file import Channel, McapWriter
from serl_learner.bag.metadata import BagContents, TopicEntry
from serl_learner.bag.recovery import locked, mcap_files, recover_locked

ENV_SPEC = "env_spec"


class BagWriter:
    """Writes messages, as CDR bytes, to a bag folder.

    Use it from one thread. `write` fills a chunk in memory; `flush` hands the chunk to the operating system,
    after which a kill -9 of this process loses nothing written before (a power cut may: only `close` waits
    for the disk). After a full disk it accepts nothing more: free space, then open the bag with `append`.
    """

    def __init__(
        self,
        path: str | Path,
        topics: Mapping[str, tuple[str, bool]],
        metadata: Mapping[str, Any] | None = None,
        *,
        definitions: Mapping[str, str] | None = None,
        append: bool = False,
        compression: str = "none",
    ) -> None:
        """Create the bag, or with `append` recover it and go on in a new file of it.

        Args:
            path: The bag folder. Without `append` it must not exist or be empty.
            topics: By name, as `ros2 bag` shall publish it: message type and whether it is latched.
            metadata: About the recording: "env_spec" (the text of `env_spec_to_json`), "task", "seed", ...
                What is no string is stored as JSON. With `append`, it is added to what is there.
            definitions: By type, its text as `message_definitions` returns it; None looks it up.
            append: Whether to continue a bag that exists; one that does not exist is created.
            compression: "none" or "zstd".

        BagError if the bag exists, is being written, lacks a definition or cannot be written.
        """
        self.path = Path(path)
        self._closed = False
        types = [kind for kind, _ in topics.values()]
        definitions = message_definitions(types) if definitions is None else definitions
        missing = [kind for kind in types if kind not in definitions]
        if missing:
            raise BagError(f"no definition of {', '.join(sorted(set(missing)))} is given")
        custom = {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in (metadata or {}).items()
        }
        hashes = {kind: type_hash(kind, definitions[kind]) for kind in dict.fromkeys(types)}
        with ExitStack() as stack:
            self._prepare_folder(append)
            stack.enter_context(locked(self.path))
            self._earlier = recover_locked(self.path).contents if mcap_files(self.path) else BagContents()
            self._custom = {**self._earlier.custom, **custom}
            self._topics: dict[str, TopicEntry] = {}
            self._file = McapWriter(self.path / self._next_name(), compression, self._custom)
            stack.callback(self._file.abandon)
            for name, (kind, latched) in topics.items():
                qos = bag_metadata.offered_qos(latched)
                details = {
                    "offered_qos_profiles": bag_metadata.qos_to_yaml(qos),
                    "topic_type_hash": hashes[kind],
                }
                self._file.add_channel(Channel(name, kind, "ros2msg", definitions[kind], metadata=details))
                self._topics[name] = TopicEntry(name, kind, qos, hashes[kind])
            bag_metadata.write(self.path, self._contents())
            self._resources = stack.pop_all()

    def write(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Append one message.

        Args:
            topic: One of the topics given at the start.
            stamp_ns: When it was received [ns], 0 or more.
            cdr: The serialised message, with its 4 bytes of encapsulation.

        BagError for an unknown topic, a bag that is closed, or a disk that is full.
        """
        if topic not in self._topics:
            raise BagError(f"topic {topic!r} is not one of this bag's{suggest(topic, self._topics)}")
        if not 0 <= stamp_ns < 2**63:
            raise BagError(f"{topic}: a stamp of {stamp_ns} ns cannot be recorded")
        self._check_open()
        self._file.write(topic, stamp_ns, cdr)

    def flush(self) -> None:
        """Make everything written so far survive a kill of this process; BagError if the disk is full."""
        self._check_open()
        self._file.flush()

    def close(self) -> None:
        """Finish the bag; again, it does nothing. BagError if the disk is full: what was flushed stays."""
        if self._closed:
            return
        self._closed = True
        with self._resources:
            self._file.finish()
            bag_metadata.write(self.path, self._contents())

    @property
    def counts(self) -> dict[str, int]:
        """Messages written by this writer, by topic."""
        return {name: self._file.counts[name] for name in self._topics}

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _prepare_folder(self, append: bool) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            occupied = any(self.path.iterdir())
        except OSError as error:
            raise bag_metadata.write_error(self.path, error) from error
        if occupied and not append:
            raise BagError(f"{self.path} exists already; choose another folder or continue it (append)")

    def _next_name(self) -> str:
        matches = [re.search(r"_(\d+)$", path.stem) for path in mcap_files(self.path)]
        numbers = [int(match[1]) for match in matches if match]
        return f"{self.path.resolve().name}_{max(numbers, default=-1) + 1}.mcap"

    def _contents(self) -> BagContents:
        contents = BagContents([*self._earlier.files, self._file.entry], {}, self._custom)
        for topic in self._earlier.topics.values():
            contents.add_topic(topic)
        for name, topic in self._topics.items():
            contents.add_topic(replace(topic, count=self._file.counts[name]))
        return contents

    def _check_open(self) -> None:
        if self._closed:
            raise BagError(f"{self.path} is closed already")
