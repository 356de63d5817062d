# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from serl_core.errors import ConfigError, SchemaError, SerlError
from serl_sim import cameras


@pytest.fixture(scope="module")
def wrist_cameras(scene):
    try:
        cameras.off_screen_backend()
    except SerlError as error:
        pytest.skip(str(error))
    return cameras.WristCameras(scene.model, scene.cameras)


def coloured(image, low, high):
    return ((image >= low) & (image <= high)).all(axis=-1)


def test_both_cameras_show_the_connector_and_differ(wrist_cameras, host, scene):
    host.reset(scene.q_home)
    images = wrist_cameras.render(host.qpos)
    assert list(images) == ["wrist_1", "wrist_2"]
    for image in images.values():
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8
        assert coloured(image, (120, 80, 0), (255, 210, 90)).sum() > 30  # the plug is the only yellow thing
        assert coloured(image, (0, 50, 0), (60, 160, 70)).sum() > 1000  # the board
    assert (images["wrist_1"] != images["wrist_2"]).mean() > 0.2


def test_images_follow_the_arm(wrist_cameras, host, scene):
    host.reset(scene.q_home)
    before = wrist_cameras.render(host.qpos)
    again = wrist_cameras.render(host.qpos)
    host.move_to(scene.goal_position + np.array([0.03, 0, 0.05]), scene.goal_quaternion_xyzw, 1.0)
    after = wrist_cameras.render(host.qpos)
    for name in before:
        np.testing.assert_array_equal(before[name], again[name])
        assert (before[name] != after[name]).mean() > 0.05


def test_a_crop_is_that_part_of_the_whole_picture(wrist_cameras, scene):
    whole = wrist_cameras.render(scene.q_home)
    cropped = cameras.WristCameras(
        scene.model, scene.cameras, 64, 32, crops=(120, 180, 120, 240, 30, 150, 120, 240)
    )
    images = cropped.render(scene.q_home)
    cropped.close()
    # 240 of 480 pixels down are 64 of 128, 120 across 32.
    for key, left, top in (("wrist_1", 32, 48), ("wrist_2", 8, 40)):
        same = images[key] == whole[key][top : top + 64, left : left + 32]
        assert same.all(-1).mean() > 0.99, "but for a pixel on an edge"


@pytest.mark.parametrize(
    ("crops", "told"),
    [
        ((0, 0, 480), "4 numbers"),
        ((0, 0, 480, 480, 300, 0, 200, 200), "wrist_2: crop"),
        ((0,) * 8, "wrist_1"),
    ],
)
def test_a_crop_outside_of_the_picture_is_named(scene, crops, told):
    with pytest.raises(ConfigError, match=told):
        cameras.WristCameras(scene.model, scene.cameras, crops=crops)


def test_unknown_camera_is_named(scene):
    with pytest.raises(SerlError, match="no camera 'head', only wrist_1, wrist_2"):
        cameras.WristCameras(scene.model, ["head"])


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


def test_joint_states_are_sorted_by_name_and_others_left_out(scene):
    names = ["gripper", *(f"joint{number}" for number in range(7, 0, -1))]
    qpos = cameras.joint_positions(scene.model, names, [9.0, *np.arange(7.0, 0.0, -1.0)])
    np.testing.assert_array_equal(qpos, np.arange(1.0, 8.0))


@pytest.mark.parametrize(("lost", "value"), [("joint4", None), ("joint4", np.nan), ("joint4", np.inf)])
def test_a_joint_without_a_finite_position_is_named(scene, lost, value):
    positions = {f"joint{number}": 0.1 for number in range(1, 8)} | {lost: value}
    positions = {name: position for name, position in positions.items() if position is not None}
    with pytest.raises(SchemaError, match="no finite position of joint4"):
        cameras.joint_positions(scene.model, list(positions), list(positions.values()))


def test_a_scene_that_cannot_be_read_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MuJoCo leaves its own log
    (tmp_path / "scene.mjb").write_bytes(b"not a model")
    for path in ("", str(tmp_path / "scene.mjb"), str(tmp_path / "missing.mjb")):
        with pytest.raises(ConfigError, match="serl_sim describe") as error:
            cameras.load_scene(path)
        assert "\n" not in str(error.value)
