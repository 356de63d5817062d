# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A picture belongs to its state, is cut where it should be, and is never older than allowed."""

from __future__ import annotations

import numpy as np
import pytest

from serl_core.errors import ConfigError
from serl_env_node.camera_stream import CameraStream


def flat(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_the_nearest_picture_is_taken_whether_before_or_after() -> None:
    cameras = CameraStream(("a",), (), 8, 0.1)
    for stamp, value in ((1.00, 10), (1.03, 20), (1.06, 30)):
        cameras.put("a", stamp, flat(value))
    for stamp, value in ((1.0, 10), (1.04, 20), (1.05, 30), (1.1, 30)):
        images, fault = cameras.at(stamp)
        assert (images["a"].max(), fault) == (value, "")


@pytest.mark.parametrize(("stamp", "where"), [(1.2, "before"), (0.8, "after")])
def test_a_picture_too_far_from_the_state_is_a_fault_on_either_side(stamp: float, where: str) -> None:
    cameras = CameraStream(("a",), (), 8, 0.1)
    cameras.put("a", 1.0, flat(10))
    assert cameras.at(1.05)[1] == ""
    fault = cameras.at(stamp)[1]
    assert f"from 0.20 s {where} the arm's state" in fault


def test_a_camera_that_never_spoke_is_named_and_the_others_are_there() -> None:
    cameras = CameraStream(("a", "b"), (), 8, 0.1)
    cameras.put("a", 1.0, flat(10))
    images, fault = cameras.at(1.0)
    assert fault == "camera b: no picture yet"
    assert (images["a"].max(), images["b"].max()) == (10, 0)


def test_the_centre_is_cut_out_and_averaged() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, 50:150] = 200
    pixels[:50, 50:150] = 100
    cameras = CameraStream(("a",), (), 2, 0.1)
    cameras.put("a", 0.0, pixels)
    np.testing.assert_array_equal(cameras.at(0.0)[0]["a"][..., 0], [[100, 100], [200, 200]])


def test_an_explicit_crop_is_left_top_width_height() -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[10:18, 20:28] = 77
    cameras = CameraStream(("a", "b"), (20, 10, 8, 8, 0, 0, 8, 8), 8, 0.1)
    for name in ("a", "b"):
        cameras.put(name, 0.0, pixels)
    images, _ = cameras.at(0.0)
    assert (images["a"] == 77).all()
    assert (images["b"] == 0).all()


@pytest.mark.parametrize("crop", [(60, 0, 8, 8), (0, 41, 8, 8), (0, 0, 0, 8)])
def test_a_crop_outside_of_the_picture_is_a_fault(crop: tuple) -> None:
    cameras = CameraStream(("a",), crop, 8, 0.1)
    cameras.put("a", 0.0, flat(1))
    assert "does not lie in its 64 x 48 pixels" in cameras.at(0.0)[1]


def test_a_crop_for_each_camera_or_for_none() -> None:
    with pytest.raises(ConfigError, match="for each of 2 cameras, got 4"):
        CameraStream(("a", "b"), (0, 0, 8, 8), 8, 0.1)


def test_forgotten_pictures_are_not_shown_again() -> None:
    cameras = CameraStream(("a",), (), 8, 10.0)
    cameras.put("a", 0.0, flat(1))
    cameras.forget()
    assert cameras.at(0.0)[1] == "camera a: no picture yet"
