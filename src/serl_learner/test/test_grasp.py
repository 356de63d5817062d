# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Grippers: their choices as numbers, the double DQN against an oracle, and whole actions off the learner."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from learner_cases import SMALL, SPEC, random_batches, recording
from vision_cases import FROM_SCRATCH, SPEC_IMAGES, image_batches

from serl_core.errors import ConfigError, SchemaError
from serl_learner import gripper, networks, weights
from serl_learner.agents import grasp, rlpd
from serl_learner.agents.config import RLPDConfig
from serl_learner.training_loop import LoopConfig, TrainingLoop
from serl_learner.vision.image_actor import ImageActor

FEW = dataclasses.replace(SMALL, hidden_sizes=(16,), ensemble_size=2)
ONE = dataclasses.replace(FEW, gripper_indices=(1,), gripper_penalty=0.1)
TWO = dataclasses.replace(FEW, gripper_indices=(3, 1))
SPEC_TWO = dataclasses.replace(SPEC, action_size=4)


def batches_of(updates: int, batch: int, action_size: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (updates, batch, action_size)).astype(np.float32)
    return {**random_batches(updates, batch, seed), "action": action}


def one(batches):
    return {name: array[0] for name, array in batches.items()}


def test_choices_are_numbers_and_back():
    continuous = np.array([[0.2, -0.4]], np.float32)
    seen = set()
    for left in (-1.0, 0.0, 1.0):
        for right in (-1.0, 0.0, 1.0):
            action = np.array([[0.2, left, -0.4, right]], np.float32)
            parts = grasp.split(TWO, {"action": action})
            assert np.array_equal(parts["action"], continuous)
            choice = np.asarray(parts["grasp"])
            assert np.array_equal(gripper.insert(continuous, choice, TWO.gripper_indices), action)
            seen.add(int(choice[0]))
    assert seen == set(range(9)) and gripper.choices(TWO.gripper_indices) == 9
    for command, choice in [(-1.0, 0), (-0.6, 0), (-0.4, 1), (0.0, 1), (0.4, 1), (0.6, 2), (1.0, 2)]:
        assert int(grasp.split(ONE, {"action": np.array([0.0, command], np.float32)})["grasp"]) == choice


def moved_apart(params, seed):
    rng = np.random.default_rng(seed)
    return {name: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32) for name, leaf in params.items()}


def test_the_target_is_a_double_dqns():
    state = rlpd.init(ONE, SPEC, 0)
    params, slow = moved_apart(state.grasp, 1), moved_apart(state.grasp, 2)
    batch = grasp.split(ONE, one(batches_of(1, 40)))
    values, valued = (
        np.asarray(networks.grasp_values(p, batch["next_state"], ONE.activation)) for p in (params, slow)
    )
    assert values.shape == (40, 3) and len(set(values.argmax(1))) > 1
    assert (values.argmax(1) != valued.argmax(1)).any(), "the case does not tell who chooses"
    next_value = valued[np.arange(40), values.argmax(1)]
    penalty = 0.1 * (np.asarray(batch["grasp"]) != 1)
    expected = batch["reward"] - penalty + ONE.discount * batch["discount"] * next_value
    found = grasp.target(ONE, params, slow, batch, None, None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    loss = grasp.loss(ONE, params, batch, None, found)
    taken = np.asarray(networks.grasp_values(params, batch["state"], ONE.activation))[
        np.arange(40), np.asarray(batch["grasp"])
    ]
    assert float(loss) == pytest.approx(np.mean((taken - expected) ** 2), rel=1e-4)


def test_each_gripper_that_moves_is_paid_for():
    config = dataclasses.replace(TWO, gripper_penalty=0.1)
    state = rlpd.init(config, SPEC_TWO, 0)
    commands = np.array([[0, 0], [1, 0], [0, -1], [1, 1], [-1, 1]], np.float32)
    action = np.zeros((5, 4), np.float32)
    action[:, [1, 3]] = commands
    zero = np.zeros(5, np.float32)
    batch = {"next_state": np.zeros((5, 3), np.float32), "reward": zero, "discount": zero, "action": action}
    found = grasp.target(config, state.grasp, state.grasp, grasp.split(config, batch), None, None)
    np.testing.assert_allclose(found, [0.0, -0.1, -0.1, -0.2, -0.2], atol=1e-7)


def test_grippers_and_motion_are_learned_apart():
    state = rlpd.init(ONE, SPEC, 0)
    assert state.critic["hidden_0/kernel"].shape[1] == 3 + 1 and state.actor["mean/bias"].shape == (1,)
    batches = batches_of(3, 8)
    other = {**batches, "action": batches["action"] * np.array([1.0, -1.0], np.float32)}
    a, of_a = rlpd.update(ONE, rlpd.init(ONE, SPEC, 0), batches)
    b, of_b = rlpd.update(ONE, rlpd.init(ONE, SPEC, 0), other)
    for part in ("actor", "critic", "target_critic", "log_temperature", "key"):
        for x, y in zip(jax.tree.leaves(getattr(a, part)), jax.tree.leaves(getattr(b, part)), strict=True):
            assert np.array_equal(x, y), part
    assert of_a["critic_loss"] == of_b["critic_loss"] and of_a["grasp_loss"] != of_b["grasp_loss"]
    for name, leaf in state.grasp.items():
        assert not np.array_equal(leaf, a.grasp[name]), name
        assert not np.array_equal(leaf, a.target_grasp[name]), name
    assert of_a["entropy"] == pytest.approx(float(of_b["entropy"])) and int(of_a["skipped"]) == 0


def test_the_slow_critic_follows_by_tau_and_a_bad_gradient_is_skipped():
    state = rlpd.init(ONE, SPEC, 0)
    step = jax.jit(partial(rlpd.grasp_update, ONE))
    batch = grasp.split(ONE, one(batches_of(1, 8)))
    new, _ = step(state, batch)
    for name, slow in state.target_grasp.items():
        expected = (1 - ONE.tau) * slow + ONE.tau * new.grasp[name]
        np.testing.assert_allclose(new.target_grasp[name], expected, rtol=1e-5, atol=1e-7)
    for name in ("actor", "critic", "encoder", "key", "critic_updates"):
        for x, y in zip(
            jax.tree.leaves(getattr(state, name)), jax.tree.leaves(getattr(new, name)), strict=True
        ):
            assert np.array_equal(x, y), name
    kept, _ = step(state, {**batch, "reward": np.full(8, np.nan, np.float32)})
    assert int(kept.skipped) == 1
    assert all(np.array_equal(kept.grasp[name], leaf) for name, leaf in state.grasp.items())


def test_the_gripper_learns_what_pays():
    """Opening pays where the first number is positive, closing where it is negative: nothing else tells."""
    config = dataclasses.replace(
        ONE, critic_lr=3e-3, gripper_penalty=0.02, utd_ratio=40, batch_size=64, ensemble_size=2
    )
    state = rlpd.init(config, SPEC, 0)
    for seed in range(8):
        batches = batches_of(40, 64, seed=seed)
        commands = np.round(batches["action"][..., 1])
        batches["reward"] = (commands == np.sign(batches["state"][..., 0])).astype(np.float32)
        batches["discount"][:] = 0.0
        state, _ = rlpd.update(config, state, batches)
    packed = weights.encode(rlpd.actor_leaves(state), SPEC, config.actor_config(3, 2), 1)
    policy = weights.decode(packed, SPEC)
    states = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    states = states[np.abs(states[:, 0]) > 0.2]
    assert np.mean(policy.mean(states)[:, 1] == np.sign(states[:, 0])) > 0.95


@pytest.mark.parametrize(("config", "spec"), [(ONE, SPEC), (TWO, SPEC_TWO)])
def test_the_actor_off_the_learner_does_what_the_grasp_critic_values_most(config, spec):
    state = rlpd.init(config, spec, 0)
    state = state._replace(grasp=moved_apart(state.grasp, 3))
    actor_config = config.actor_config(3, spec.action_size)
    leaves = rlpd.actor_leaves(state)
    assert {name: leaf.shape for name, leaf in leaves.items()} == actor_config.leaf_shapes()
    policy = weights.decode(weights.encode(leaves, spec, actor_config, 1), spec)
    states = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    choice = np.asarray(networks.grasp_values(state.grasp, states, config.activation)).argmax(-1)
    continuous = np.asarray(rlpd.mean_actions(config, state.actor, states))
    expected = gripper.insert(continuous, choice, config.gripper_indices)
    assert len(set(choice)) > 1
    np.testing.assert_allclose(policy.mean(states), expected, atol=1e-5)
    np.testing.assert_allclose(policy.mean(states[0]), expected[0], atol=1e-5)
    drawn = policy.sample(states, np.random.default_rng(0))
    places = list(config.gripper_indices)
    assert np.array_equal(drawn[:, places], expected[:, places]) and drawn.dtype == np.float32


def test_grippers_with_cameras():
    config = dataclasses.replace(FROM_SCRATCH, gripper_indices=(0,))
    state, metrics = rlpd.update(
        config, rlpd.init(config, SPEC_IMAGES, 0), {**batches_of(3, 8), **image_batches(3, 8)}
    )
    assert np.isfinite(metrics["grasp_loss"]) and int(metrics["skipped"]) == 0
    actor_config = config.actor_config(3, 2, config.vision_config(SPEC_IMAGES, None))
    packed = weights.encode(rlpd.actor_leaves(state), SPEC_IMAGES, actor_config, 1)
    actor = ImageActor(*weights.unpack(packed, SPEC_IMAGES))
    images = {name: array[0, 0] for name, array in image_batches(1, 1).items()}
    action = actor.sample(np.zeros(3, np.float32), images, np.random.default_rng(0))
    assert action.shape == (2,) and action[0] in (-1.0, 0.0, 1.0) and action[1] not in (-1.0, 0.0, 1.0)


def test_a_loop_with_grippers_trains_and_goes_on(tmp_path):
    agent = RLPDConfig(
        hidden_sizes=(16,), ensemble_size=2, batch_size=8, utd_ratio=2, gripper_indices=(1,), bc_updates=4
    )
    config = LoopConfig(min_online=10, replay_capacity=100, demo_capacity=100)
    loop = TrainingLoop(SPEC, config, agent, tmp_path, 0)
    for transition in recording(1, 10, env_id="recorded"):
        loop.ingest(transition, demo=True)
    for transition in recording(3, 10):
        loop.ingest(transition)
    assert np.isfinite(loop.pretrain())
    loop.step(0.0)
    assert loop.status("training", 1.0).target_entropy == -0.5
    loop.save(0.0)
    loop.close()
    with pytest.raises(SchemaError, match="gripper_indices"):
        TrainingLoop(SPEC, config, dataclasses.replace(agent, gripper_indices=()), None, 0).restore(tmp_path)
    again = TrainingLoop(SPEC, config, agent, None, 1)
    again.restore(tmp_path)
    assert again.policy_weights(0.0).checksum == loop.policy_weights(0.0).checksum


@pytest.mark.parametrize(
    ("indices", "cause"),
    [((2,), "exceed an action of 2"), ((0, 1), "leave the policy no element"), ((1, 1), "two different"),
     ((0, 1, 2), "up to two")],
)  # fmt: skip
def test_places_that_are_none_are_refused(indices, cause):
    with pytest.raises(ConfigError, match=cause):
        rlpd.init(dataclasses.replace(SMALL, gripper_indices=indices), SPEC, 0)
