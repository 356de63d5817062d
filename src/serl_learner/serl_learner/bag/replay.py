# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""What is in a bag, by a report that is the same on every replay."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from serl_core.specs import EnvSpec
from serl_core.types import Observation, Source, Transition
from serl_learner.bag.mcap_file import ReadReport
from serl_learner.bag.reader import BagReader, read_messages
from serl_learner.bag.recovery import count_skipped


@dataclass(frozen=True)
class ReplayReport:
    """Contents of a bag; every transition counts once, however often it was written.

    Attributes:
        path: Of the bag.
        files: Names of its files.
        size_bytes: Of all files.
        task: Of the transitions; several are joined by ", ".
        fingerprint: Of the observation schema; several are joined by ", ".
        env_ids: Runs of the environment that the transitions come from.
        episodes: Episodes with at least one transition.
        finished_episodes: Those whose last transition is there.
        successes: Episodes with a successful transition.
        transitions: Distinct by (env_id, sequence).
        sources: Transitions by whose action was executed: "policy", "human", "hold".
        reward_sum: Over all transitions.
        rewards: By reward source: number of transitions "count" and "sum".
        missing_sequences: Transitions that the numbering, from 1 for each env_id, says were lost.
        missing_steps: Steps that are missing below the highest step of their episode.
        dropped: Transitions that cannot be used for want of their predecessor, which holds their observation.
        duplicates: Transitions that were written again with the same content.
        conflicts: Transitions that were written again with other content; the first by digest counts.
        image_sizes: Height x width x channels by camera.
        state_sizes: Numbers in each state array.
        policy_versions: Lowest and highest version behind a policy's action; None where there is none.
        duration_s: From the first to the last stamp of a transition in the bag [s].
        truncated: Whether a file was not finished.
        skipped: How often each reason to leave something out occurred.
        content_hash: SHA-256 over all transitions, see `content_hash`.
    """

    path: str
    files: list[str]
    size_bytes: int
    task: str
    fingerprint: str
    env_ids: list[str]
    episodes: int
    finished_episodes: int
    successes: int
    transitions: int
    sources: dict[str, int]
    reward_sum: float
    rewards: dict[str, dict[str, float]]
    missing_sequences: int
    missing_steps: int
    dropped: int
    duplicates: int
    conflicts: int
    image_sizes: dict[str, str]
    state_sizes: dict[str, int]
    policy_versions: list[int] | None
    duration_s: float
    truncated: bool
    skipped: dict[str, int]
    content_hash: str

    def to_json(self) -> str:
        """Return the report as one JSON object, keys as the attributes are called."""
        return json.dumps(asdict(self), indent=2)


def replay(path: str | Path, spec: EnvSpec | None = None) -> ReplayReport:
    """Read all transitions of a bag and say what they are.

    Args:
        path: A bag folder or a single .mcap file, whole or damaged.
        spec: What the transitions must fit; None takes what is there.

    BagError as `read_transitions` raises it.
    """
    read_report = ReadReport()
    reader = BagReader(path, read_report)
    digests = _Digests()
    facts: dict[tuple[str, int], _Facts] = {}
    tasks: set[str] = set()
    fingerprints: set[str] = set()
    image_sizes: dict[str, set[str]] = defaultdict(set)
    state_sizes: dict[str, int] = {}
    first_ns, last_ns = None, 0
    for entry, message, transition in read_messages(reader, spec):
        first_ns = entry.stamp_ns if first_ns is None else min(first_ns, entry.stamp_ns)
        last_ns = max(last_ns, entry.stamp_ns)
        if digests.add(transition):
            facts[(transition.env_id, transition.sequence)] = _Facts.of(transition)
        tasks.add(transition.task)
        fingerprints.add(message.next_observation.schema)
        for camera, pixels in transition.next_observation.images.items():
            image_sizes[camera].add("x".join(str(n) for n in pixels.shape))
        for name, array in transition.next_observation.state.items():
            state_sizes[name] = array.size
    episodes = _by_episode(facts)
    rewards: dict[str, dict[str, float]] = {}
    for _, fact in sorted(facts.items()):  # one order of summation, whatever the order of writing
        tally = rewards.setdefault(fact.reward_source, {"count": 0, "sum": 0.0})
        tally["count"] += 1
        tally["sum"] += fact.reward
    sources = Counter(fact.source for fact in facts.values())
    versions = [fact.policy_version for fact in facts.values() if fact.source == Source.POLICY]
    return ReplayReport(
        path=str(path),
        files=[file.name for file in reader.files],
        size_bytes=sum(file.stat().st_size for file in reader.files),
        task=", ".join(sorted(tasks)),
        fingerprint=", ".join(sorted(fingerprints)),
        env_ids=sorted({env_id for env_id, _ in facts}),
        episodes=len(episodes),
        finished_episodes=sum(any(fact.last for fact in steps.values()) for steps in episodes.values()),
        successes=sum(any(fact.success for fact in steps.values()) for steps in episodes.values()),
        transitions=len(facts),
        sources={source.name.lower(): sources[source] for source in Source},
        reward_sum=sum(tally["sum"] for _, tally in sorted(rewards.items())),
        rewards=dict(sorted(rewards.items())),
        missing_sequences=_missing_sequences(facts),
        missing_steps=sum(max(steps) + 1 - len(steps) for steps in episodes.values()),
        dropped=sum(_without_predecessor(steps) for steps in episodes.values()),
        duplicates=digests.duplicates,
        conflicts=digests.conflicts,
        image_sizes={camera: ", ".join(sorted(sizes)) for camera, sizes in sorted(image_sizes.items())},
        state_sizes=dict(sorted(state_sizes.items())),
        policy_versions=[min(versions), max(versions)] if versions else None,
        duration_s=0.0 if first_ns is None else (last_ns - first_ns) * 1e-9,
        truncated=read_report.truncated,
        skipped=dict(sorted(read_report.skipped.items())),
        content_hash=digests.total(),
    )


def content_hash(transitions: Iterable[Transition]) -> str:
    """Return the SHA-256 of what transitions contain, in the order of (env_id, sequence).

    It depends on every field but not on the order of the argument nor on repeated transitions, so it is equal
    for a bag, its recovered form and a merge of its parts.
    """
    digests = _Digests()
    for transition in transitions:
        digests.add(transition)
    return digests.total()


def render(report: ReplayReport) -> str:
    """Return the report as plain text, one fact a line."""
    sources = ", ".join(f"{count} {name}" for name, count in report.sources.items())
    versions = "none" if report.policy_versions is None else "{} to {}".format(*report.policy_versions)
    rewards = ", ".join(
        f"{name or '(unnamed)'} {tally['sum']:g} over {tally['count']}"
        for name, tally in report.rewards.items()
    )
    lines = [
        ("bag", f"{report.path} ({len(report.files)} file(s), {report.size_bytes / 1e6:.1f} MB)"),
        ("task", f"{report.task or 'none'} (schema {report.fingerprint or 'none'})"),
        ("runs", ", ".join(report.env_ids) or "none"),
        (
            "episodes",
            f"{report.episodes} ({report.finished_episodes} finished, {report.successes} successful)",
        ),
        ("transitions", f"{report.transitions} ({sources})"),
        ("duration", f"{report.duration_s:.1f} s"),
        ("rewards", f"{report.reward_sum:g} ({rewards})" if rewards else "none"),
        ("policy versions", versions),
        ("images", ", ".join(f"{name} {size}" for name, size in report.image_sizes.items()) or "none"),
        ("state", ", ".join(f"{name} {size}" for name, size in report.state_sizes.items()) or "none"),
        ("gaps", f"{report.missing_sequences} transitions missing, {report.missing_steps} steps missing"),
        ("unusable", f"{report.dropped} without their predecessor"),
        ("repeated", f"{report.duplicates} alike, {report.conflicts} with other content"),
        ("left out", count_skipped(report.skipped)),
        ("end", "not finished: the writer was killed or the file cut" if report.truncated else "finished"),
        ("content hash", report.content_hash),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


@dataclass(frozen=True)
class _Facts:
    """What the report needs of a transition, without its arrays."""

    episode_id: int
    step: int
    source: Source
    policy_version: int
    reward: float
    reward_source: str
    last: bool
    success: bool
    starts: bool

    @classmethod
    def of(cls, transition: Transition) -> _Facts:
        return cls(
            transition.episode_id,
            transition.step,
            transition.source,
            transition.policy_version,
            transition.reward,
            transition.reward_source,
            transition.last,
            transition.success,
            transition.first_observation is not None,
        )


@dataclass
class _Digests:
    """Digests of transitions by (env_id, sequence)."""

    known: dict[tuple[str, int], bytes] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: int = 0

    def add(self, transition: Transition) -> bool:
        """Take a transition in; return whether it is the one that counts for its number."""
        key = (transition.env_id, transition.sequence)
        digest = _digest(transition)
        known = self.known.setdefault(key, digest)
        if known is digest:
            return True
        if known == digest:
            self.duplicates += 1
            return False
        self.conflicts += 1
        self.known[key] = min(known, digest)
        return digest < known

    def total(self) -> str:
        """Return the hash over all."""
        total = hashlib.sha256()
        for key in sorted(self.known):
            total.update(self.known[key])
        return total.hexdigest()


def _digest(transition: Transition) -> bytes:
    """SHA-256 of one transition: every field, each with its length, so that no two contents look alike."""
    hasher = hashlib.sha256()
    for text in (transition.task, transition.env_id, transition.source_detail, transition.reward_source):
        _add(hasher, text.encode())
    hasher.update(
        struct.pack(
            "<QQQQB??ff",
            transition.sequence,
            transition.episode_id,
            transition.step,
            transition.policy_version,
            int(transition.source),
            transition.last,
            transition.success,
            transition.reward,
            transition.discount,
        )
    )
    _add(hasher, np.ascontiguousarray(transition.action, "<f4").tobytes())
    for observation in (transition.first_observation, transition.next_observation):
        if observation is None:
            hasher.update(b"-")
        else:
            hasher.update(b"+")
            _add_observation(hasher, observation)
    return hasher.digest()


def _add_observation(hasher: hashlib._Hash, observation: Observation) -> None:
    stamp_ns = round(observation.stamp * 1e9)
    hasher.update(struct.pack("<QQq", observation.episode_id, observation.step, stamp_ns))
    for arrays, dtype in ((observation.state, "<f4"), (observation.images, "u1")):
        hasher.update(struct.pack("<Q", len(arrays)))
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name], dtype)
            _add(hasher, name.encode())
            hasher.update(struct.pack(f"<{array.ndim + 1}Q", array.ndim, *array.shape))
            hasher.update(array.tobytes())


def _add(hasher: hashlib._Hash, data: bytes) -> None:
    hasher.update(struct.pack("<Q", len(data)))
    hasher.update(data)


def _by_episode(facts: dict[tuple[str, int], _Facts]) -> dict[tuple[str, int], dict[int, _Facts]]:
    """Group by (env_id, episode_id), then by step."""
    episodes: dict[tuple[str, int], dict[int, _Facts]] = defaultdict(dict)
    for (env_id, _), fact in sorted(facts.items()):
        episodes[(env_id, fact.episode_id)][fact.step] = fact
    return episodes


def _missing_sequences(facts: dict[tuple[str, int], _Facts]) -> int:
    sequences: dict[str, list[int]] = defaultdict(list)
    for env_id, sequence in facts:
        sequences[env_id].append(sequence)
    return sum(max(found) - sum(number >= 1 for number in found) for found in sequences.values())


def _without_predecessor(steps: dict[int, _Facts]) -> int:
    return sum(not fact.starts and step - 1 not in steps for step, fact in steps.items())
