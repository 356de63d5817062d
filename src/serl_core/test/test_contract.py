# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Names, types and qualities of service are those of the published interface table."""

import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from serl_core import contract

# name: (type, reliable, depth or None where the table leaves it open, latched)
TABLE = {
    "env_description": ("EnvDescription", True, 1, True),
    "observation": ("Observation", True, 2, False),
    "action": ("Action", True, 1, False),
    "reward": ("Reward", True, None, False),
    "intervention": ("Intervention", False, 4, False),
    "transition": ("Transition", True, None, False),
    "transition_ack": ("TransitionAck", True, None, False),
    "policy": ("PolicyWeights", True, 1, True),
    "episode": ("EpisodeSummary", True, None, False),
    "controller_state": ("ControllerState", False, None, False),
    "learner_status": ("LearnerStatus", True, None, False),
    "/clock": ("Clock", False, 1, False),
    "target_pose": ("PoseStamped", True, 1, False),
    "state": ("ControllerState", False, None, False),
}
EVERY_TOPIC = [value for value in vars(contract).values() if isinstance(value, contract.Topic)]


def test_the_list_of_topics_is_complete_and_names_are_unique() -> None:
    assert set(EVERY_TOPIC) == set(contract.TOPICS)
    names = [topic.name for topic in contract.TOPICS]
    assert len(set(names)) == len(names)
    assert set(names) == set(TABLE)


@pytest.mark.parametrize("topic", EVERY_TOPIC, ids=lambda t: t.name)
def test_every_topic_is_as_the_table_says(topic: contract.Topic) -> None:
    kind, reliable, depth, latched = TABLE[topic.name]
    profile = contract.qos(topic)
    assert topic.type.__name__ == kind
    assert profile.history == HistoryPolicy.KEEP_LAST
    assert (profile.reliability == ReliabilityPolicy.RELIABLE) == reliable
    assert (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched
    assert profile.depth == topic.depth
    assert depth in (None, topic.depth)


def test_only_the_clock_is_absolute_so_that_a_namespace_makes_two_robots() -> None:
    assert [topic.name for topic in contract.TOPICS if topic.name.startswith("/")] == ["/clock"]


def test_a_controller_s_own_topics_lie_below_its_name() -> None:
    topic = contract.under("cartesian_impedance_controller", contract.TARGET_POSE)
    assert topic.name == "cartesian_impedance_controller/target_pose"
    assert (topic.type, topic.depth) == (contract.TARGET_POSE.type, contract.TARGET_POSE.depth)


def test_a_topic_of_each_robot_lies_in_its_namespace() -> None:
    names = [topic.name for topic in contract.of_each(["left", "right"], contract.POLICY)]
    assert names == ["left/policy", "right/policy"]
    assert contract.of_each([], contract.POLICY) == [contract.POLICY]


class RecordingNode:
    """Keeps what publishers and subscriptions were asked for."""

    def create_publisher(self, *arguments: object) -> tuple:
        return arguments

    def create_subscription(self, *arguments: object, **options: object) -> tuple:
        return (*arguments, options)


def test_both_ends_of_an_arrow_are_made_from_the_same_entry() -> None:
    node, heard = RecordingNode(), print
    kind, name, profile = contract.publisher(node, contract.POLICY)
    kind2, name2, callback, profile2, options = contract.subscription(node, contract.POLICY, heard, raw=True)
    assert (kind, name) == (kind2, name2) == (contract.POLICY.type, "policy")
    assert profile == profile2
    assert callback is heard
    assert options == {"raw": True}
