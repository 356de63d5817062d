# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The task can be done by feel and not blindly: the expert in a bare loop, without the environment node."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serl_sim.experts import InsertionExpert, LiftExpert

SCALE = np.array([0.01] * 3 + [0.05] * 3)
LEASH_M = 0.02
SEATED_M = 0.0005


class Loop:
    """Targets and observations as the environment defines them; E tcp, T target, G goal, B base."""

    def __init__(self, host, scene):
        self.host = host
        self.p_BG, self.R_BG = scene.goal_position, Rotation.from_quat(scene.goal_quaternion_xyzw)
        self.q_home = scene.q_home

    def start(self, offset, yaw):
        self.p_BT = self.p_BG + offset
        self.R_BT = Rotation.from_rotvec([0, 0, yaw]) * self.R_BG
        q = self.host.solve_ik(self.p_BT, self.R_BT.as_quat(), self.q_home)
        return self.observe(self.host.reset(q))

    def observe(self, s):
        self.s = s
        R_EB = Rotation.from_quat(s.quaternion_xyzw).inv()

        def seen(p, R):
            return np.concatenate([R_EB.apply(p - s.position), (R_EB * R).as_rotvec()]).astype(np.float32)

        return {
            "goal_pose": seen(self.p_BG, self.R_BG),
            "target_offset": seen(self.p_BT, self.R_BT),
            "tcp_force": R_EB.apply(np.array(s.wrench[:3])).astype(np.float32),
        }

    def step(self, action):
        displacement = np.asarray(action, dtype=float) * SCALE
        self.p_BT = self.p_BT + self.R_BT.apply(displacement[:3])
        self.R_BT = self.R_BT * Rotation.from_rotvec(displacement[3:])
        lead = self.p_BT - self.s.position
        self.p_BT = self.s.position + lead * min(1.0, LEASH_M / max(float(np.linalg.norm(lead)), 1e-9))
        return self.observe(self.host.step(self.p_BT, self.R_BT.as_quat(), 100))

    @property
    def height(self):
        return self.s.position[2] - self.p_BG[2]

    @property
    def seated(self):
        return self.height < SEATED_M and np.linalg.norm((self.s.position - self.p_BG)[:2]) < SEATED_M


def test_expert_inserts_from_random_starts(host, scene):
    loop, expert, rng = Loop(host, scene), InsertionExpert(seed=11), np.random.default_rng(5)
    steps, tries = [], 20
    for _ in range(tries):
        offset = rng.uniform([-0.05, -0.05, 0.03], [0.05, 0.05, 0.06])
        observation = loop.start(offset, rng.uniform(-0.2, 0.2))
        expert.reset()
        for step in range(1, 101):
            action = expert.act(observation)
            assert action.shape == (6,) and np.abs(action).max() <= 1.0
            observation = loop.step(action)
            if loop.seated:
                steps.append(step)
                break
    assert len(steps) >= tries - 1
    assert 3.0 < 0.1 * np.mean(steps) < 10.0  # [s] a person's pace
    assert np.std(steps) > 2  # and no two alike


@pytest.mark.parametrize(("dx", "dy"), [(0.002, 0), (-0.002, 0), (0, 0.002), (0, -0.002)])
def test_pressing_straight_down_two_millimetres_off_does_not_insert(host, scene, dx, dy):
    loop = Loop(host, scene)
    loop.start(np.array([dx, dy, 0.03]), 0.0)
    for _ in range(60):
        loop.step([0, 0, 0.5, 0, 0, 0])
    assert loop.height > 0.008


def test_pressing_straight_down_on_the_centre_inserts(host, scene):
    loop = Loop(host, scene)
    loop.start(np.array([0, 0, 0.03]), 0.0)
    for _ in range(60):
        loop.step([0, 0, 0.5, 0, 0, 0])
    assert loop.seated


def test_same_seed_same_expert():
    observation = {"goal_pose": np.full(6, 0.02), "target_offset": np.zeros(6)}
    one, two, other = (InsertionExpert(seed=seed) for seed in (1, 1, 2))
    actions = [np.array([expert.act(observation) for _ in range(20)]) for expert in (one, two, other)]
    np.testing.assert_array_equal(actions[0], actions[1])
    assert not np.array_equal(actions[0], actions[2])
    assert (np.concatenate(actions) == 0).all(axis=1).any()  # it pauses


def lifting(width, goal=(0.0, 0.0, 0.0)):
    """What a lifting expert sees; the tcp is at the taught grasp."""
    return {
        "goal_pose": np.array([*goal, 0.0, 0.0, 0.0]), "target_offset": np.zeros(6), "gripper": np.array([width])
    }  # fmt: skip


def test_lifting_closes_once_waits_and_goes_up():
    expert = LiftExpert(seed=2)
    told = [expert.act(lifting(0.08)) for _ in range(4)]
    assert [action[6] for action in told] == [-1, 0, 0, 0] and not np.any([action[:6] for action in told])
    moves = np.array([expert.act(lifting(0.024)) for _ in range(30)])
    assert moves[10:, 2].mean() < -0.1, "z of the tcp points down"
    assert not moves[:, 6].any()


def test_lifting_goes_on_from_what_another_has_done():
    expert = LiftExpert(seed=2)
    assert np.mean([expert.act(lifting(0.024))[2] for _ in range(10)]) < -0.1, "what is held is lifted"
    expert.reset()
    assert expert.act(lifting(0.001))[6] == 1, "a gripper that closed on nothing is opened"
    assert expert.act(lifting(0.08, (0.0, 0.0, 0.02)))[6] == 0, "and is closed at the block only"
    assert expert.act(lifting(0.08))[6] == -1
