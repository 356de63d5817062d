# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The methods that the papers compare with: each departs from RLPD as it says, and from nothing else."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from learner_cases import SPEC, random_batches, recording, transition

from serl_core.errors import ConfigError, SchemaError
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Source
from serl_learner import networks, weights
from serl_learner.actor_network import ActorConfig, ActorNetwork
from serl_learner.agents import bc, dapg, hg_dagger, ibrl, residual, rlpd
from serl_learner.agents.config import (
    AGENTS,
    DAPGConfig,
    HGDAggerConfig,
    IBRLConfig,
    ResidualConfig,
    RLPDConfig,
)
from serl_learner.agents.registry import agent_of
from serl_learner.training_loop import LoopConfig, TrainingLoop
from serl_learner.vision.image_actor import ImageActor

LOOP = LoopConfig(min_online=10, replay_capacity=1000, demo_capacity=1000)
SMALL = {"hidden_sizes": (16,), "ensemble_size": 2, "batch_size": 8, "utd_ratio": 2}
CLONED = {**SMALL, "bc_updates": 40}
CONFIGS = {
    "rlpd": RLPDConfig(**SMALL),
    "hg_dagger": HGDAggerConfig(**CLONED),
    "residual": ResidualConfig(**CLONED),
    "ibrl": IBRLConfig(**CLONED),
    "dapg": DAPGConfig(**CLONED, dapg_weight=0.5, dapg_decay=0.9),
}
STATES = np.random.default_rng(3).standard_normal((40, 3)).astype(np.float32)


def one(batches):
    return {name: array[0] for name, array in batches.items()}


def trees_equal(a, b) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def noisy(params, seed: int = 0):
    """Parameters of the same names and shapes, none of them zero."""
    rng = np.random.default_rng(seed)
    return {n: rng.normal(0, 0.5, leaf.shape).astype(np.float32) for n, leaf in params.items()}


def loop_with(agent, run=None, seed=0, shown=(0.5, -0.3)) -> TrainingLoop:
    """A loop with demonstrations that all do the same, and episodes of the policy."""
    loop = TrainingLoop(SPEC, LOOP, agent, run, seed)
    for t in recording(4, 10, env_id="recorded", source=Source.HUMAN):
        loop.ingest(dataclasses.replace(t, action=np.asarray(shown, np.float32)), demo=True)
    for t in recording(3, 10):
        loop.ingest(t)
    return loop


# What they have in common.


@pytest.mark.parametrize("method", [method for method in CONFIGS if method != "rlpd"])
def test_each_trains_restores_bit_equal_and_acts_from_its_weights(method, tmp_path):
    loop = loop_with(CONFIGS[method], tmp_path)
    assert np.isfinite(loop.pretrain())
    loop.warm_up()
    assert loop.ready()
    for i in range(2):
        loop.step(float(i))
    loop.save(1.0)
    packed = loop.policy_weights(1.0)
    loop.step(3.0)
    metrics, state = loop.metrics, jax.tree.map(np.array, loop._state)
    assert metrics["skipped"] == 0 and np.isfinite(list(metrics.values())).all()
    loop.close()

    again = loop_with(CONFIGS[method], seed=5)
    again.restore(tmp_path)
    assert again.policy_weights(1.0) == packed
    again.step(0.0)
    assert again.metrics == metrics and trees_equal(again._state, state)

    policy = weights.decode(packed, SPEC)
    agent, leaves = agent_of(CONFIGS[method]), policy.leaves
    mean = np.asarray(agent.mean_actions(CONFIGS[method], leaves, STATES))
    np.testing.assert_allclose(policy.mean(STATES), mean, atol=2e-6)
    np.testing.assert_allclose(policy.mean(STATES[0]), mean[0], atol=2e-6)
    draws = policy.sample(np.repeat(STATES[:1], 4000, 0), np.random.default_rng(0))
    theirs = agent.sample_actions(CONFIGS[method], leaves, np.repeat(STATES[:1], 4000, 0), jax.random.key(0))
    np.testing.assert_allclose(draws.mean(0), np.asarray(theirs).mean(0), atol=0.05)
    assert np.abs(draws).max() <= 1.0

    other = CONFIGS["ibrl" if method != "ibrl" else "rlpd"]
    with pytest.raises(SchemaError, match=f"is a checkpoint of agent {method}, not of {other.method}"):
        loop_with(other).restore(tmp_path)

    resumed = TrainingLoop(SPEC, LOOP, CONFIGS[method], None, 0)
    resumed.restore(tmp_path)
    for t in recording(3, 10):
        resumed.ingest(t)
    if method in ("hg_dagger", "dapg"):
        with pytest.raises(ConfigError, match=f"{method} needs demonstrations: name a bag in demos") as error:
            resumed.pretrain()
        assert "\n" not in str(error.value)
        with pytest.raises(SchemaError, match=f"{method} needs demonstrations"):
            resumed.step(0.0)
        resumed.ingest(transition(31, 3, 0, source=Source.HUMAN))
    assert np.isnan(resumed.pretrain()) and resumed.policy_weights(1.0) == packed, "it was cloned again"


def test_their_names_and_shapes_are_known_and_differ_on_the_wire():
    assert set(CONFIGS) == set(AGENTS)
    shapes = [config.actor_config(3, 2) for config in CONFIGS.values()]
    assert len({shape.to_json() for shape in shapes}) == 4  # DAPG's is RLPD's
    for method, config in CONFIGS.items():
        agent = agent_of(config)
        leaves = agent.actor_leaves(agent.init(config, SPEC, 0))
        shape = config.actor_config(3, 2)
        assert {name: leaf.shape for name, leaf in leaves.items()} == shape.leaf_shapes(), method
        assert ActorConfig.from_json(shape.to_json()) == shape


@pytest.mark.parametrize("method", ["hg_dagger", "residual", "ibrl", "dapg"])
def test_without_demonstrations_they_say_so_at_once(method):
    with pytest.raises(ConfigError, match="needs demonstrations"):
        TrainingLoop(SPEC, LOOP, CONFIGS[method], None, 0).pretrain()
    with pytest.raises(ConfigError, match="privileged_keys"):
        IBRLConfig(privileged_keys=("ignored",))
    with pytest.raises(ConfigError, match="raise demo_fraction"):
        DAPGConfig(demo_fraction=0.0)


@pytest.mark.parametrize("method", ["residual", "ibrl"])
def test_they_read_cameras_and_keep_grippers(method):
    spec = fake_spec(image_size=12)
    agent = dataclasses.replace(
        CONFIGS[method], bc_updates=2, gripper_indices=(1,), small_filters=(4, 4), spatial_embeddings=2,
        bottleneck_size=6, proprio_size=4, batch_size=4,
    )  # fmt: skip
    loop = TrainingLoop(spec, LOOP, agent, None, 0)
    for t in random_episode(spec, np.random.default_rng(0), 10, "recorded", source=Source.HUMAN):
        loop.ingest(t, demo=True)
    episode = random_episode(spec, np.random.default_rng(1), 12)
    for t in episode:
        loop.ingest(t)
    assert np.isfinite(loop.pretrain())
    config, leaves = weights.unpack(loop.policy_weights(0.0), spec)
    policy = ImageActor(config, leaves)
    seen = episode[3].next_observation
    action = policy.mean(spec.policy_vector(seen.state), seen.images)
    assert action.shape == (spec.action_size,) and np.abs(action).max() <= 1.0
    assert action[1] in (-1.0, 0.0, 1.0)
    base = [name for name in leaves if name.startswith("base/")]
    assert any(name.startswith("base/image/") for name in base)
    if method == "residual":
        return  # a step of one is enough: it takes long to compile
    loop.step(0.0)
    assert loop.metrics["skipped"] == 0
    _, later = weights.unpack(loop.policy_weights(0.0), spec)
    assert all(np.array_equal(leaves[name], later[name]) for name in base), "the base is not frozen"
    assert not np.array_equal(leaves["critic/value/kernel"], later["critic/value/kernel"])


# Residual RL.


def test_a_residual_of_zero_is_the_base_policy_exactly():
    loop = loop_with(CONFIGS["residual"])
    untrained = weights.decode(loop.policy_weights(0.0), SPEC)
    loop.pretrain()
    policy = weights.decode(loop.policy_weights(0.0), SPEC)
    base = {name.removeprefix("base/"): leaf for name, leaf in policy.leaves.items() if "base/" in name}
    plain = ActorNetwork(CONFIGS["rlpd"].actor_config(3, 2), base)
    shown = np.array([[e, s, 0.5] for e in range(4) for s in range(10)], np.float32)
    assert np.array_equal(policy.mean(shown), plain.mean(shown))
    wanted = np.array([0.5, -0.3])
    errors = [np.abs(each.mean(shown) - wanted).mean() for each in (untrained, policy)]
    assert errors[1] < errors[0], "the base is not the clone"
    executed = residual._execute(CONFIGS["residual"], loop._state, np.zeros((40, 2)), {"state": shown}, "")
    np.testing.assert_allclose(executed, plain.mean(shown), atol=2e-6)


def test_the_critics_value_base_and_residual_together():
    config = dataclasses.replace(CONFIGS["residual"], residual_scale=0.7)  # both critics are in the target
    state = residual.init(config, SPEC, 0)
    state = state._replace(actor=noisy(state.actor, 1), base=noisy(state.base, 2))
    batch, key = one(random_batches(1, 8)), jax.random.key(4)
    target = jax.jit(partial(rlpd.critic_target, config, rule=residual._RULE))(state, batch, key)

    action_key, _ = jax.random.split(key)
    shape = config.actor_config(3, 2)
    drawn, _ = networks.sample(state.actor, batch["next_state"], action_key, shape)
    network = ActorNetwork(shape, residual.actor_leaves(state))
    executed = np.clip(network.base_mean(batch["next_state"]) + 0.7 * np.asarray(drawn), -1, 1)
    assert np.abs(executed).max() == 1.0, "the bound is not reached"
    values = networks.critics(state.target_critic, batch["next_state"], executed, config.activation)
    expected = batch["reward"] + config.discount * batch["discount"] * np.min(values, 0)
    np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)


# IBRL.


def test_the_more_valuable_action_counts_in_the_target():
    config = CONFIGS["ibrl"]  # both critics are in the target
    state = ibrl.init(config, SPEC, 0)
    state = state._replace(
        actor=noisy(state.actor, 1), base=noisy(state.base, 2), target_critic=noisy(state.critic, 3)
    )
    batch, key = one(random_batches(1, 64)), jax.random.key(4)
    plain, target = (
        np.asarray(jax.jit(partial(rlpd.critic_target, config, rule=rule))(state, batch, key))
        for rule in (rlpd.PLAIN, ibrl._RULE)
    )

    network = ActorNetwork(config.actor_config(3, 2), ibrl.actor_leaves(state))
    ensemble = state.target_critic
    base = network.base_mean(batch["next_state"])
    of_base = np.min(networks.critics(ensemble, batch["next_state"], base, config.activation), 0)
    rival = batch["reward"] + config.discount * batch["discount"] * of_base
    np.testing.assert_allclose(target, np.maximum(plain, rival), rtol=1e-5, atol=1e-6)
    live = batch["discount"] > 0
    more = (target - plain)[live] > 1e-4
    assert more.any() and not more.all(), "one of the two never counts"


def test_the_policy_picks_what_its_critics_value_most():
    config = CONFIGS["ibrl"]
    state = ibrl.init(config, SPEC, 0)
    state = state._replace(
        actor=noisy(state.actor, 1), base=noisy(state.base, 2), critic=noisy(state.critic, 3)
    )
    shape, leaves = config.actor_config(3, 2), ibrl.actor_leaves(state)
    policy = ActorNetwork(shape, leaves)
    plain = CONFIGS["rlpd"].actor_config(3, 2)
    own = ActorNetwork(
        plain, {n: leaf for n, leaf in leaves.items() if "base" not in n and "critic" not in n}
    )
    proposals = np.stack([own.mean(STATES), policy.base_mean(STATES)])
    ensemble = jax.tree.map(lambda leaf: leaf[:2], state.critic)
    values = np.stack(
        [np.min(networks.critics(ensemble, STATES, a, config.activation), 0) for a in proposals]
    )
    np.testing.assert_allclose(
        values, np.stack([policy.critic_values(STATES, a).min(0) for a in proposals]), atol=1e-5
    )
    picked = values.argmax(0)
    assert 0 < picked.sum() < len(STATES)
    assert np.array_equal(policy.mean(STATES), proposals[picked, np.arange(len(STATES))])


# DAPG.


def test_the_likelihood_of_demonstrations_is_added_with_a_weight_that_decays():
    config, batches = CONFIGS["dapg"], random_batches(2, 8)
    state = dapg.init(config, SPEC, 0)
    actor = jax.tree.map(np.array, state.actor)
    for i, weight in enumerate([0.5, 0.45, 0.405]):
        state, metrics = dapg.update(config, state, batches)
        assert float(metrics["demo_weight"]) == pytest.approx(weight, rel=1e-5)
        if i == 0:
            _, plain = rlpd.update(CONFIGS["rlpd"], rlpd.init(CONFIGS["rlpd"], SPEC, 0), batches)
            demos = {name: array[-1][-4:] for name, array in batches.items()}  # half of a batch, its end
            shape = config.actor_config(3, 2)
            nll = bc.negative_log_likelihood(shape, actor, demos["state"], demos["action"])
            assert metrics["critic_loss"] == plain["critic_loss"]
            assert float(metrics["actor_loss"] - plain["actor_loss"]) == pytest.approx(0.5 * float(nll), 1e-4)


def test_without_weight_it_is_rlpd_bit_for_bit():
    config = dataclasses.replace(CONFIGS["dapg"], dapg_weight=0.0)
    assert CONFIGS["dapg"].needs_demonstrations and not config.needs_demonstrations
    ours, theirs = dapg.init(config, SPEC, 0), rlpd.init(CONFIGS["rlpd"], SPEC, 0)
    for i in range(2):
        ours, _ = dapg.update(config, ours, random_batches(2, 8, i))
        theirs, _ = rlpd.update(CONFIGS["rlpd"], theirs, random_batches(2, 8, i))
    assert trees_equal(ours, theirs)


def test_demonstrations_are_the_end_of_a_batch():
    loop = loop_with(CONFIGS["dapg"])
    batch = loop._sample()
    shown = np.all(batch["action"] == np.array([0.5, -0.3], np.float32), -1)
    assert shown[:, 4:].all() and not shown[:, :4].any()


# HG-DAgger.


def test_it_clones_grippers_as_numbers():
    config = dataclasses.replace(CONFIGS["hg_dagger"], gripper_indices=(1,))
    shape = config.actor_config(3, 2)
    assert shape.action_size == 2 and not shape.grippers
    leaves = hg_dagger.actor_leaves(hg_dagger.init(config, SPEC, 0))
    policy = ActorNetwork(shape, leaves)
    np.testing.assert_allclose(hg_dagger.mean_actions(config, leaves, STATES), policy.mean(STATES), atol=2e-6)
    drawn = hg_dagger.sample_actions(config, leaves, STATES, jax.random.key(0))
    assert drawn.shape == (40, 2)
    np.testing.assert_allclose(drawn, policy.mean(STATES), atol=1e-3)  # a sample of it is its mean


def test_it_learns_from_people_only():
    """What the policy did changes nothing, what a person did during the run does."""
    states = {}
    for name, of_policy, of_person in (("a", 0.9, -0.5), ("b", -0.9, -0.5), ("c", 0.9, 0.5)):
        loop = loop_with(CONFIGS["hg_dagger"])
        for step in range(10):
            by_person = step >= 6
            action = np.full(2, of_person if by_person else of_policy, np.float32)
            source = Source.HUMAN if by_person else Source.POLICY
            t = transition(31 + step, 3, step, last=step == 9, source=source)
            loop.ingest(dataclasses.replace(t, action=action))
        loop.pretrain()
        loop.step(0.0)
        states[name] = jax.tree.map(np.array, loop._state)
    assert trees_equal(states["a"], states["b"])
    assert not trees_equal(states["a"], states["c"])


def test_corrections_move_it_where_they_were_given():
    agent = dataclasses.replace(CONFIGS["hg_dagger"], bc_updates=300, batch_size=64, actor_lr=3e-3)
    loop = loop_with(agent)
    loop.pretrain()
    there = np.array([[3, s, 0.5] for s in range(20, 30)], np.float32)
    before = weights.decode(loop.policy_weights(0.0), SPEC).mean(there)
    for i, step in enumerate(range(20, 31)):
        t = transition(31 + i, 3, step, last=step == 30, source=Source.HUMAN if i else Source.POLICY)
        loop.ingest(dataclasses.replace(t, action=np.array([-0.6, 0.6], np.float32)))
    for i in range(200):
        loop.step(float(i))
    after = weights.decode(loop.policy_weights(0.0), SPEC)
    wanted = np.array([-0.6, 0.6])
    assert np.abs(before - wanted).mean() > 0.5
    assert np.abs(after.mean(there) - wanted).mean() < 0.15
    np.testing.assert_allclose(after.sample(there, np.random.default_rng(0)), after.mean(there), atol=1e-3)


def test_it_waits_for_people_and_shows_no_critic():
    loop = TrainingLoop(SPEC, LOOP, CONFIGS["hg_dagger"], None, 0)
    for t in recording(3, 10):
        loop.ingest(t)
    assert not loop.ready()
    with pytest.raises(SchemaError, match="needs demonstrations, and there are none yet"):
        loop.step(0.0)
    status = loop_with(CONFIGS["hg_dagger"]).status("training", 0.0)
    assert status.critic_updates == 0 and np.isnan(status.q_mean)


def test_a_gradient_that_is_not_finite_is_skipped():
    config = CONFIGS["hg_dagger"]
    state = hg_dagger.init(config, SPEC, 0)
    before = jax.tree.map(np.array, state.actor)
    batches = random_batches(2, 8)
    batches["state"][:, 0, 0] = np.nan
    state, metrics = hg_dagger.update(config, state, batches)
    assert trees_equal(state.actor, before) and metrics["skipped"] == 2 and state.updates == 2
