# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Figures 6 and 7 of HIL-SERL from a bag and a checkpoint."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learner_cases import SMALL
from rclpy.serialization import serialize_message
from vision_cases import CAMERAS, FROM_SCRATCH, SPEC_IMAGES, frozen

from serl_core import codec
from serl_core.errors import BagError, ConfigError, SchemaError
from serl_core.specs import EnvSpec, env_spec_to_json
from serl_core.testing.fakes import fake_spec, random_episode
from serl_core.types import Transition
from serl_learner import gripper, networks, weights
from serl_learner.agents import grasp, rlpd
from serl_learner.agents.config import DiffusionConfig, RLPDConfig
from serl_learner.analysis import NOISE, Critic, Visits, policy_distribution, read_visits
from serl_learner.bag import BagWriter
from serl_learner.checkpoint import save_policy
from serl_learner.learner_checkpoint import LearnerCheckpoints
from serl_learner.vision import encoder as vision
from serl_learner.vision.backbone_file import Backbone

SPEC = fake_spec()


def record(path: Path, transitions: list[Transition], spec: EnvSpec = SPEC, named: bool = True) -> Path:
    facts = {"env_spec": env_spec_to_json(spec)} if named else {}
    with BagWriter(path, {"/transition": ("serl_msgs/msg/Transition", False)}, facts) as bag:
        for stamp, transition in enumerate(transitions):
            bag.write("/transition", stamp, serialize_message(codec.to_transition(spec, transition)))
    return path


def episode(number: int, length: int = 5, success: bool = True, spec: EnvSpec = SPEC) -> list[Transition]:
    return random_episode(spec, np.random.default_rng(number), length, f"env{number}", success=success)


def random_visits(n: int) -> Visits:
    rng = np.random.default_rng(0)
    state = {each.name: rng.standard_normal((n, *each.shape)).astype(np.float32) for each in SPEC.state}
    action = rng.uniform(-0.7, 0.7, (n, SPEC.action_size)).astype(np.float32)
    count = np.zeros(n, int)
    return Visits(state, {}, action, count, count, count, np.array([True]))


def save(
    run: Path,
    state: rlpd.TrainState,
    config: RLPDConfig = SMALL,
    spec: EnvSpec = SPEC,
    backbone: Backbone | None = None,
    version: int = 7,
) -> Path:
    actor_config = config.actor_config(
        spec.policy_state_size, spec.action_size, config.vision_config(spec, backbone)
    )
    policy = weights.encode(rlpd.actor_leaves(state), spec, actor_config, version)
    checkpoints = LearnerCheckpoints(run, keep=3)
    checkpoints.save(version, state, config, policy, spec, {}, backbone)
    checkpoints.close()
    return run


def test_every_action_belongs_to_the_observation_before_it(tmp_path: Path) -> None:
    first, second = episode(0), episode(1, success=False)
    mixed = [t for pair in zip(first, second, strict=True) for t in pair]

    visits = read_visits(record(tmp_path / "bag", [*mixed, first[2]]), SPEC)  # one came twice

    assert len(visits) == 10
    for number, of_episode in enumerate((first, second)):
        mine = visits.rows(visits.episode == number)
        assert mine.step.tolist() == [0, 1, 2, 3, 4]
        before = [of_episode[0].first_observation, *(t.next_observation for t in of_episode[:-1])]
        for row, (observation, transition) in enumerate(zip(before, of_episode, strict=True)):
            np.testing.assert_array_equal(mine.state["elapsed"][row], observation.state["elapsed"])
            np.testing.assert_array_equal(mine.action[row], transition.action)
    assert visits.success.tolist() == [True, False]


def test_a_step_whose_observation_is_missing_is_left_out(tmp_path: Path) -> None:
    whole = episode(0)

    visits = read_visits(record(tmp_path / "bag", [whole[0], *whole[2:]]), SPEC)

    assert visits.step.tolist() == [0, 3, 4]  # 2 acted on what the lost transition 1 carried


def test_a_bag_without_any_observation_before_an_action_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no action with the observation"):
        read_visits(record(tmp_path / "bag", [episode(0)[2]]), SPEC)


def test_a_foreign_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say which environment"):
        read_visits(record(tmp_path / "bag", episode(0), named=False), SPEC)
    with pytest.raises(ConfigError, match="another observation or action schema"):
        read_visits(record(tmp_path / "other", episode(0)), SPEC_IMAGES)


def test_q_is_the_mean_of_the_critics_and_its_variance_that_under_action_noise(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=3)
    visits = random_visits(130)  # more than one call takes
    ensemble = jax.tree.map(jnp.array, state.critic)

    found = Critic(save(tmp_path, state)).values(visits)

    vector, action = SPEC.policy_vector(visits.state), visits.action
    expected = networks.critics(ensemble, vector, action, SMALL.activation).mean(0)
    np.testing.assert_allclose(found.q, expected, rtol=1e-5, atol=1e-6)
    noise = np.random.default_rng(1).uniform(-NOISE, NOISE, (1000, *action.shape)).astype(np.float32)
    vectors = np.broadcast_to(vector, (len(noise), *vector.shape))
    around = networks.critics(ensemble, vectors, action + noise, SMALL.activation).mean(0)
    ratio = found.variance / np.var(around, axis=0)
    assert 0.9 < ratio.mean() < 1.1, "the Monte Carlo estimate of 100 samples, over 130 states"
    assert ratio.min() > 0.4 and ratio.max() < 2.0


def test_a_critic_that_does_not_look_at_the_action_finds_no_state_critical(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=3)
    kernel = state.critic["hidden_0/kernel"].at[:, SPEC.policy_state_size :, :].set(0.0)
    state = state._replace(critic={**state.critic, "hidden_0/kernel": kernel})

    found = Critic(save(tmp_path, state)).values(random_visits(3))

    assert np.all(found.variance < 1e-12)


class ImageRun(NamedTuple):
    """A run from cameras, with what it trained and what it recorded."""

    folder: Path
    config: RLPDConfig
    backbone: Backbone | None
    state: rlpd.TrainState
    visits: Visits

    def batch(self) -> vision.Batch:
        """The visits as a batch of the agent's, not shifted."""
        raw = {
            "state": SPEC_IMAGES.policy_vector(self.visits.state),
            "privileged": self.visits.state["ignored"],
            "action": self.visits.action,
            **self.visits.images,
        }
        leaves = None if self.backbone is None else self.backbone.leaves
        still = dataclasses.replace(self.config, shift_padding=0)
        seen = vision.see(still, self.state.encoder, leaves, raw, jax.random.key(0))
        return grasp.split(self.config, seen) if self.config.gripper_indices else seen


@pytest.fixture(scope="module", params=["small", "resnet10"])
def image_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageRun:
    """A run whose critics read more than the policy; with the ResNet, one gripper; moved since it was made."""
    folder = tmp_path_factory.mktemp(request.param)
    config = dataclasses.replace(FROM_SCRATCH, privileged_keys=("ignored",))
    if request.param == "resnet10":
        shared = {"privileged_keys": ("ignored",), "gripper_indices": (0,)}
        config = dataclasses.replace(frozen(folder), **shared)
    backbone = config.backbone(SPEC_IMAGES)
    state = rlpd.init(config, SPEC_IMAGES, 3, backbone)
    # So that nothing but the encoder that the critics trained with gives their values.
    state = state._replace(target_encoder=jax.tree.map(lambda leaf: leaf + 1.0, state.target_encoder))
    moved = save(folder / "run", state, config, SPEC_IMAGES, backbone).rename(folder / "moved")
    if backbone is not None:
        Path(config.resnet10_weights).unlink()
    bag = record(moved / "bag", episode(1, 6, spec=SPEC_IMAGES), SPEC_IMAGES)
    return ImageRun(moved, config, backbone, state, read_visits(bag, SPEC_IMAGES))


def test_images_are_those_before_the_action(image_run: ImageRun) -> None:
    first, *rest = episode(1, 6, spec=SPEC_IMAGES)
    before = [first.first_observation, first.next_observation, *(t.next_observation for t in rest[:-1])]
    chosen = image_run.visits.rows(np.array([4, 2]))
    for camera in CAMERAS:
        images = np.stack([observation.images[camera] for observation in before])
        np.testing.assert_array_equal(image_run.visits.images[camera], images)
        np.testing.assert_array_equal(chosen.images[camera], images[[4, 2]])


def test_critics_see_images_and_privileged_state_as_in_training(image_run: ImageRun) -> None:
    config, state, batch = image_run.config, image_run.state, image_run.batch()
    latent = vision.encode(state.encoder, batch)

    found = Critic(image_run.folder).values(image_run.visits)

    seen = np.concatenate([batch["state"], batch["privileged"]], -1)
    q = networks.critics(state.critic, seen, batch["action"], config.activation, latent).mean(0)
    assert found.q.shape == found.variance.shape == (6,) and np.std(q) > 0.01
    np.testing.assert_allclose(found.q, q, rtol=1e-4, atol=1e-5)
    assert np.all(found.variance > 1e-6)


def test_a_gripper_s_command_is_no_action_of_the_critics(image_run: ImageRun) -> None:
    grippers = list(image_run.config.gripper_indices)
    action = image_run.visits.action.copy()
    action[:, 0] *= -1.0
    turned = dataclasses.replace(image_run.visits, action=action)
    critic = Critic(image_run.folder)
    same = critic.values(turned).q == critic.values(image_run.visits).q
    assert same.all() if grippers else not same.any()


def test_the_policy_sees_images_and_its_grippers_do_not_spread(image_run: ImageRun) -> None:
    config, state, batch = image_run.config, image_run.state, image_run.batch()
    latent = vision.encode(state.encoder, batch)

    mean, deviation = policy_distribution(image_run.folder, image_run.visits)

    shape = config.actor_config(SPEC_IMAGES.policy_state_size, SPEC_IMAGES.action_size)
    raw, spread = networks.actor(state.actor, batch["state"], shape, latent)
    expected, grippers = np.tanh(raw), list(config.gripper_indices)
    if grippers:
        choice = networks.grasp_values(state.grasp, batch["state"], config.activation, latent).argmax(-1)
        expected = gripper.insert(expected, np.asarray(choice), config.gripper_indices)
    assert mean.shape == deviation.shape == (6, SPEC_IMAGES.action_size)
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.delete(deviation, grippers, 1), spread, rtol=1e-4)
    assert np.all(deviation[:, grippers] == 0.0)


def test_a_clone_has_no_critics(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=0)
    policy = weights.encode(
        rlpd.actor_leaves(state), SPEC, SMALL.actor_config(SPEC.policy_state_size, SPEC.action_size), 1
    )
    save_policy(tmp_path, 1, policy, SPEC, {"method": "bc"})
    with pytest.raises(ConfigError, match="policy of bc, which learns no critics"):
        Critic(tmp_path)


def test_a_diffusion_policy_has_neither_q_nor_a_deviation(tmp_path: Path) -> None:
    config = DiffusionConfig(hidden_sizes=(8,)).actor_config(SPEC.policy_state_size, SPEC.action_size)
    leaves = {name: np.zeros(shape, np.float32) for name, shape in config.leaf_shapes().items()}
    save_policy(tmp_path, 1, weights.encode(leaves, SPEC, config, 1), SPEC, {"method": "diffusion"})
    with pytest.raises(ConfigError, match="policy of diffusion, which learns no critics"):
        Critic(tmp_path)
    with pytest.raises(ConfigError, match="diffusion policy, which has no mean"):
        policy_distribution(tmp_path, random_visits(2))


def test_a_policy_without_what_the_learner_had_beside_is_refused(tmp_path: Path) -> None:
    state = rlpd.init(SMALL, SPEC, seed=0)
    shutil.rmtree(next((save(tmp_path, state) / "checkpoints").glob("*/learner")))
    with pytest.raises(SchemaError, match="policy only"):
        Critic(tmp_path)


def test_the_policy_s_deviation_is_that_of_the_network(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, std_min=0.3, std_max=0.3)
    state = rlpd.init(config, SPEC, seed=0)
    policy = weights.encode(
        rlpd.actor_leaves(state), SPEC, config.actor_config(SPEC.policy_state_size, SPEC.action_size), 1
    )
    save_policy(tmp_path, 1, policy, SPEC, {})
    visits = random_visits(6)

    mean, deviation = policy_distribution(tmp_path, visits)

    np.testing.assert_allclose(deviation, 0.3, rtol=1e-5)
    np.testing.assert_allclose(
        mean, rlpd.mean_actions(config, state.actor, SPEC.policy_vector(visits.state)), atol=1e-5
    )
