# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The log of record: rosbag2 folders of MCAP files, written, recovered and replayed without ROS."""

from serl_learner.bag.definitions import message_definitions
from serl_learner.bag.mcap_file import Entry, ReadReport
from serl_learner.bag.reader import BagReader, read_metadata, read_spec, read_transitions
from serl_learner.bag.recovery import Recovery, recover
from serl_learner.bag.replay import ReplayReport, content_hash, render, replay
from serl_learner.bag.writer import BagWriter

__all__ = [
    "BagReader", "BagWriter", "Entry", "ReadReport", "Recovery", "ReplayReport", "content_hash",
    "message_definitions", "read_metadata", "read_spec", "read_transitions", "recover", "render", "replay",
]  # fmt: skip
