# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Transitions for the tests of bags, and how they write them; as a program, it writes until killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message

from serl_core import codec
from serl_core.specs import ArraySpec, EnvSpec, env_spec_to_json
from serl_core.types import Observation, Source, Transition
from serl_learner.bag import BagWriter, content_hash

TOPIC = "/transition"
TOPICS = {TOPIC: ("serl_msgs/msg/Transition", False), "/policy": ("serl_msgs/msg/PolicyWeights", True)}
STEPS = 5


def make_spec(image_size: int = 0) -> EnvSpec:
    """Return a small task's specification, with one camera if `image_size` [pixels] is given."""
    images = (ArraySpec("wrist", (image_size, image_size, 3), "uint8"),) if image_size else ()
    state = (ArraySpec("tcp_pose", (7,), unit="m"), ArraySpec("force", (3,), unit="N", scale=10.0))
    return EnvSpec("reach", state, images, 2, "unit test", ("tcp_pose", "force"), 0.1, STEPS)


STATE = make_spec()
IMAGES = make_spec(16)


def transitions(spec: EnvSpec, env_id: str = "env-a") -> Iterator[Transition]:
    """Yield an endless run of episodes of STEPS steps; the same every time."""
    for sequence in count(1):
        episode, step = divmod(sequence - 1, STEPS)
        last = step == STEPS - 1
        source = Source(sequence % 3)
        yield Transition(
            task=spec.task,
            env_id=env_id,
            sequence=sequence,
            episode_id=episode,
            step=step,
            policy_version=sequence if source == Source.POLICY else 0,
            source=source,
            source_detail="late" if source == Source.HOLD else "",
            action=np.array([0.5, -0.25], np.float32),
            reward=1.0 if last else -0.5,
            reward_source="pose",
            discount=0.0 if last else 1.0,
            last=last,
            success=last and episode % 2 == 0,
            first_observation=_observation(spec, episode, 0) if step == 0 else None,
            next_observation=_observation(spec, episode, step + 1),
        )


def take(number: int, spec: EnvSpec = STATE, env_id: str = "env-a") -> list[Transition]:
    """Return the first `number` transitions."""
    return list(islice(transitions(spec, env_id), number))


def _observation(spec: EnvSpec, episode: int, step: int) -> Observation:
    random = np.random.default_rng([episode, step])
    return Observation(
        episode_id=episode,
        step=step,
        stamp=round(0.1 * (episode * (STEPS + 1) + step), 6),
        state={array.name: random.normal(size=array.shape).astype(np.float32) for array in spec.state},
        images={array.name: random.integers(0, 256, array.shape, np.uint8) for array in spec.images},
    )


_serialised: dict[str, bytes] = {}


def cdr(spec: EnvSpec, transition: Transition) -> bytes:
    """Serialise as rclpy does, once: its padding bytes differ from call to call."""
    key = content_hash([transition])
    if key not in _serialised:
        _serialised[key] = serialize_message(codec.to_transition(spec, transition))
    return _serialised[key]


def stamp_ns(transition: Transition) -> int:
    """Return the stamp that a recorder would give [ns]."""
    return 1_700_000_000_000_000_000 + transition.sequence * 100_000_000


def record(
    path: Path, content: Iterable[Transition], spec: EnvSpec = STATE, flush_every: int = 1, **options: object
) -> Path:
    """Write transitions to a bag and close it."""
    metadata = {"env_spec": env_spec_to_json(spec), "task": spec.task, "seed": 7}
    with BagWriter(path, TOPICS, metadata, **options) as bag:
        for number, transition in enumerate(content, 1):
            bag.write(TOPIC, stamp_ns(transition), cdr(spec, transition))
            if number % flush_every == 0:
                bag.flush()
    return path


def start_program(*arguments: str) -> subprocess.Popen[bytes]:
    """Start this file as a program, with the modules of this process within its reach."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)


def test_samples_pass_the_wire_unchanged() -> None:
    from rclpy.serialization import deserialize_message
    from serl_msgs.msg import Transition as Message

    for spec in (STATE, IMAGES):
        for transition in take(2 * STEPS, spec):
            back = codec.from_transition(spec, deserialize_message(cdr(spec, transition), Message))
            assert content_hash([back]) == content_hash([transition])
            for name, array in transition.next_observation.state.items():
                assert np.array_equal(back.next_observation.state[name], array)
            for name, pixels in transition.next_observation.images.items():
                assert np.array_equal(back.next_observation.images[name], pixels)


def _write_until_killed(path: str) -> None:
    """Write and flush without end; say on standard output which sequence is flushed."""
    with BagWriter(path, TOPICS, {"env_spec": env_spec_to_json(IMAGES)}, append=True) as bag:
        for transition in transitions(IMAGES):
            bag.write(TOPIC, stamp_ns(transition), cdr(IMAGES, transition))
            if transition.sequence % 3:
                continue
            bag.flush()
            os.write(1, b"%d\n" % transition.sequence)


def _recover(path: str) -> None:
    from serl_learner.bag import recover

    os.write(1, b"go\n")
    recover(path)


def _write_to_small_disk(path: str) -> None:
    """Write below a limit of the size of files, where the kernel fails a write midway as on a full disk."""
    import resource

    from serl_core.errors import BagError

    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        _write_until_killed(path)
    except BagError as error:
        os.write(1, f"error: {error}\n".encode())


if __name__ == "__main__":
    programs = {"write": _write_until_killed, "recover": _recover, "small": _write_to_small_disk}
    programs[sys.argv[1]](sys.argv[2])
