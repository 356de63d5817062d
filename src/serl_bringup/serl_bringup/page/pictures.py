# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How a page names the picture that it asks for."""

from __future__ import annotations

from serl_learner.bag.labels import FrameKey


def frame_and_camera(path: str) -> tuple[FrameKey, str] | None:
    """Return what "env/episode/step/camera" names, None if it is no such path."""
    try:
        frame, camera = path.rsplit("/", 1)
        env, episode, step = frame.rsplit("/", 2)
        return FrameKey(env, int(episode), int(step)), camera
    except ValueError:
        return None
