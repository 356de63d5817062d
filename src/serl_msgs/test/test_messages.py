# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The message files are the documentation of the wire: every field says what it means."""

from pathlib import Path

import pytest

MESSAGES = sorted((Path(__file__).parents[1] / "msg").glob("*.msg"))
SELF_EXPLANATORY = {
    "header",
    "task",
    "env_id",
    "episode_id",
    "success",
    "entropy",
    "target_entropy",
    "temperature",
    "critic_loss",
    "actor_updates",
}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda p: p.stem)
def test_every_field_is_commented(path: Path) -> None:
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#") or "=" in line.split("#")[0]:
            continue
        declaration, _, comment = line.partition("#")
        name = declaration.split()[1]
        assert comment.strip() or name in SELF_EXPLANATORY, f"{path.name}: {name} has no comment"


def test_messages_are_importable_and_default_to_empty() -> None:
    from serl_msgs.msg import Observation, Transition

    transition = Transition()
    assert len(transition.first_observation) == 0
    assert isinstance(transition.next_observation, Observation)
    assert (Transition.SOURCE_POLICY, Transition.SOURCE_HUMAN, Transition.SOURCE_HOLD) == (0, 1, 2)


def test_first_observation_is_bounded_to_one() -> None:
    from serl_msgs.msg import Transition

    fields = Transition.get_fields_and_field_types()
    assert fields["first_observation"] == "sequence<serl_msgs/Observation, 1>"
