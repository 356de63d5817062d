# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from serl_core.errors import SerlError
from serl_sim import cameras


@pytest.fixture(scope="module")
def wrist_cameras(scene):
    try:
        cameras.off_screen_backend()
    except SerlError as error:
        pytest.skip(str(error))
    return cameras.WristCameras(scene, scene.cameras)


def coloured(image, low, high):
    return ((image >= low) & (image <= high)).all(axis=-1)


def test_both_cameras_show_the_connector_and_differ(wrist_cameras, host, scene):
    host.reset(scene.q_home)
    images = wrist_cameras.render(host)
    assert list(images) == ["wrist_1", "wrist_2"]
    for image in images.values():
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8
        assert coloured(image, (120, 80, 0), (255, 210, 90)).sum() > 30  # the plug is the only yellow thing
        assert coloured(image, (0, 50, 0), (60, 160, 70)).sum() > 1000  # the board
    assert (images["wrist_1"] != images["wrist_2"]).mean() > 0.2


def test_images_follow_the_arm(wrist_cameras, host, scene):
    host.reset(scene.q_home)
    before = wrist_cameras.render(host)
    again = wrist_cameras.render(host)
    host.move_to(scene.goal_position + np.array([0.03, 0, 0.05]), scene.goal_quaternion_xyzw, 1.0)
    after = wrist_cameras.render(host)
    for name in before:
        np.testing.assert_array_equal(before[name], again[name])
        assert (before[name] != after[name]).mean() > 0.05


def test_unknown_camera_is_named(scene):
    with pytest.raises(SerlError, match="no camera 'head', only wrist_1, wrist_2"):
        cameras.WristCameras(scene, ["head"])


def test_missing_graphics_library_is_one_line_that_names_the_cure(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(cameras, "_load", lambda name: None)
    with pytest.raises(SerlError, match="libegl1 or libosmesa6") as error:
        cameras.off_screen_backend()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_the_environment_variable_decides(monkeypatch, backend):
    monkeypatch.setenv("MUJOCO_GL", backend)
    assert cameras.off_screen_backend() == backend
