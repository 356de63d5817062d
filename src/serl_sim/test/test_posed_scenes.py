# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import numpy as np
from scipy.spatial.transform import Rotation

from serl_env_node.config import EnvConfig
from serl_env_node.frames import Pose
from serl_sim.posed_scenes import PosableArm, posed_scenes
from serl_sim.simulated_arm import SimulatedArm

CONFIG = EnvConfig(box_low=(-0.06, -0.05, -0.002), box_high=(0.06, 0.05, 0.1), box_rotation=0.35)


class Camera:
    """Remembers where it was, and pictures the number of the scene."""

    def __init__(self):
        self.goal = Pose(np.array([0.5, 0.1, 0.05]), Rotation.from_euler("xz", [np.pi, 0.3]))
        self.poses = []

    def images_at(self, X_BE):
        self.poses.append(X_BE)
        return {"wrist": np.full((4, 4, 3), len(self.poses), np.uint8)}


def test_every_scene_is_in_the_box_and_tells_where_the_goal_is():
    arm, done = Camera(), []
    images, poses = posed_scenes(arm, CONFIG, 200, 5, done.append)
    np.testing.assert_array_equal(images["wrist"][:, 0, 0, 0], np.arange(1, 201))
    assert done == list(range(1, 201))
    for X_BE, pose in zip(arm.poses, poses, strict=True):
        offset = X_BE.position - arm.goal.position
        assert (offset >= np.array(CONFIG.box_low) - 1e-12).all()
        assert (offset <= np.array(CONFIG.box_high) + 1e-12).all()
        X_EG = Pose(pose[:3].astype(float), Rotation.from_rotvec(pose[3:]))
        assert X_EG.rotation.magnitude() <= CONFIG.box_rotation + 1e-6
        np.testing.assert_allclose((X_BE * X_EG).position, arm.goal.position, atol=1e-6)
    lateral = np.linalg.norm(poses[:, :2], axis=1)
    assert np.mean(lateral < 0.01) > 0.3, "the closer to the goal, the more scenes"
    again = posed_scenes(Camera(), CONFIG, 200, 5)[1]
    np.testing.assert_array_equal(again, poses)


def test_the_simulated_arm_can_be_posed():
    assert isinstance(SimulatedArm(SimulatedArm.Config()), PosableArm)
