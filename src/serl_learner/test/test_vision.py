# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Image encoders against oracles in NumPy, and what training does and does not change in them."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learner_cases import random_batches
from vision_cases import CAMERAS, FROM_SCRATCH, SIDE, SPEC_IMAGES, backbone, frozen, image_batches

from serl_core.errors import ConfigError, SchemaError
from serl_core.specs import ArraySpec
from serl_learner import weights
from serl_learner.actor_network import ActorConfig, fingerprint
from serl_learner.agents import bc, rlpd
from serl_learner.agents.config import BCConfig
from serl_learner.vision import encoder, resnet10
from serl_learner.vision.augmentation import random_shift
from serl_learner.vision.image_actor import ImageActor


@pytest.fixture(scope="module")
def on_resnet(tmp_path_factory):
    """Settings of an agent with frozen weights; the same for all tests, so that all share what is compiled."""
    return frozen(tmp_path_factory.mktemp("weights"))


# Operation by operation, compiling takes most of a test's time.
features = jax.jit(resnet10.features)
see = jax.jit(encoder.see, static_argnums=0)
encode = jax.jit(encoder.encode, static_argnums=2)


# The ResNet against NumPy in float64.


def windows(x: np.ndarray, size: int, stride: int, before: int, after: int, fill: float) -> np.ndarray:
    """Return (height, width, channels, size, size) of one image (height, width, channels)."""
    padded = np.pad(x, ((before, after), (before, after), (0, 0)), constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    return found[::stride, ::stride]


def same(length: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def oracle_convolve(x: np.ndarray, kernel: np.ndarray, stride: int, padding=None) -> np.ndarray:
    before, after = padding or same(len(x), len(kernel), stride)
    return np.einsum("hwcij,ijco->hwo", windows(x, len(kernel), stride, before, after, 0.0), kernel)


def oracle_normalise(leaves, name: str, x: np.ndarray) -> np.ndarray:
    groups = []
    for group in np.split(x, 4, -1):
        groups.append((group - group.mean()) / np.sqrt(group.var() + 1e-5))
    return np.concatenate(groups, -1) * leaves[f"{name}/scale"] + leaves[f"{name}/bias"]


def oracle_features(leaves, image: np.ndarray) -> np.ndarray:
    x = (image / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = np.maximum(
        oracle_normalise(leaves, "norm_init", oracle_convolve(x, leaves["conv_init/kernel"], 2, (3, 3))), 0
    )
    x = windows(x, 3, 2, *same(len(x), 3, 2), -np.inf).max((-1, -2))
    for i in range(4):
        block, stride = f"ResNetBlock_{i}", 1 if i == 0 else 2
        y = oracle_convolve(x, leaves[f"{block}/Conv_0/kernel"], stride)
        y = np.maximum(oracle_normalise(leaves, f"{block}/MyGroupNorm_0", y), 0)
        y = oracle_normalise(
            leaves, f"{block}/MyGroupNorm_1", oracle_convolve(y, leaves[f"{block}/Conv_1/kernel"], 1)
        )
        if i:
            x = oracle_normalise(
                leaves, f"{block}/norm_proj", oracle_convolve(x, leaves[f"{block}/conv_proj/kernel"], stride)
            )
        x = np.maximum(x + y, 0)
    return x


@pytest.mark.parametrize("side", [64, 41])
def test_the_resnet_agrees_with_the_oracle(side):
    images = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), np.uint8)
    leaves = backbone().leaves
    found = np.asarray(features(leaves, images))
    exact = {name: leaf.astype(np.float64) for name, leaf in leaves.items()}
    expected = np.stack([oracle_features(exact, image) for image in images])
    assert found.shape == (2, 2, 2, 12) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


# Augmentation.


def test_a_shift_is_a_crop_of_the_padded_image():
    images = np.random.default_rng(0).integers(0, 256, (64, 9, 7, 3), np.uint8)
    shifted = np.asarray(random_shift(jax.random.key(0), images, 2))
    assert shifted.dtype == np.uint8 and shifted.shape == images.shape
    corners = set()
    for image, result in zip(images, shifted, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), "edge")
        found = [
            (i, j) for i in range(5) for j in range(5) if np.array_equal(padded[i : i + 9, j : j + 7], result)
        ]
        assert found
        corners.add(found[0])
    assert len(corners) > 15, "all images are shifted alike"
    assert np.array_equal(random_shift(jax.random.key(0), images, 0), images)


def test_both_observations_and_all_cameras_are_shifted_on_their_own():
    state = rlpd.init(FROM_SCRATCH, SPEC_IMAGES, 0)
    one = image_batches(1, 64)["left"][0]
    batch = {prefix + camera: one for camera in CAMERAS for prefix in ("", "next_")}
    seen = see(FROM_SCRATCH, state.encoder, None, batch, jax.random.key(0))
    views = [np.asarray(seen[name]) for name in batch]
    for i, view in enumerate(views):
        assert view.dtype == np.uint8
        assert all(not np.array_equal(view, other) for other in views[:i])


# Encoders.


def test_shapes_are_those_of_the_description(on_resnet):
    for agent in (FROM_SCRATCH, on_resnet):
        held = agent.backbone(SPEC_IMAGES)
        description = agent.vision_config(SPEC_IMAGES, held)
        state = rlpd.init(agent, SPEC_IMAGES, 0, held)
        assert {name: leaf.shape for name, leaf in state.encoder.items()} == description.leaf_shapes()
        config = agent.actor_config(3, 2, description)
        assert {n: leaf.shape for n, leaf in rlpd.actor_leaves(state).items()} == config.leaf_shapes()
        assert ActorConfig.from_json(config.to_json()) == config
        assert fingerprint(SPEC_IMAGES, config) != fingerprint(
            SPEC_IMAGES, dataclasses.replace(config, vision=dataclasses.replace(description, bottleneck=9))
        )


def test_a_task_without_cameras_has_no_encoder():
    blind = dataclasses.replace(SPEC_IMAGES, policy_keys=("position",))
    assert FROM_SCRATCH.vision_config(blind, None) is None
    unset = dataclasses.replace(FROM_SCRATCH, encoder="resnet10")
    assert unset.backbone(blind) is None
    with pytest.raises(ConfigError, match="fetch https"):
        unset.backbone(SPEC_IMAGES)
    assert "vision" not in FROM_SCRATCH.actor_config(3, 2).to_json()


def test_the_order_of_cameras_on_the_wire_does_not_matter():
    swapped = dataclasses.replace(SPEC_IMAGES, images=SPEC_IMAGES.images[::-1])
    assert FROM_SCRATCH.vision_config(swapped, None) == FROM_SCRATCH.vision_config(SPEC_IMAGES, None)


def test_latents_agree_with_the_oracle(on_resnet):
    agent = on_resnet
    state = rlpd.init(agent, SPEC_IMAGES, 0, agent.backbone(SPEC_IMAGES))
    views = {
        camera: np.random.default_rng(i).normal(size=(5, 1, 1, 12)).astype(np.float32)
        for i, camera in enumerate(CAMERAS)
    }
    expected = []
    for camera in CAMERAS:
        params = {
            name.removeprefix(f"image/{camera}/"): np.asarray(leaf, np.float64)
            for name, leaf in state.encoder.items()
            if f"/{camera}/" in name
        }
        weighed = (views[camera][..., None] * params["embedding/kernel"]).sum((1, 2)).reshape(5, -1)
        x = weighed @ params["bottleneck/kernel"] + params["bottleneck/bias"]
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        expected.append(np.tanh(x * params["bottleneck/scale"] + params["bottleneck/offset"]))
    np.testing.assert_allclose(
        encode(state.encoder, views), np.concatenate(expected, -1), rtol=1e-4, atol=1e-5
    )


# Updates.


def batches_of(updates: int, batch: int, seed: int = 0):
    return {**random_batches(updates, batch, seed), **image_batches(updates, batch, seed)}


def one(batches):
    return {name: array[0] for name, array in batches.items()}


def assert_same(before, after, *names):
    for name in names:
        pairs = zip(
            jax.tree.leaves(getattr(before, name)), jax.tree.leaves(getattr(after, name)), strict=True
        )
        assert all(np.array_equal(a, b) for a, b in pairs), name


@pytest.fixture(params=["small", "resnet10"])
def case(request, on_resnet):
    agent = FROM_SCRATCH if request.param == "small" else on_resnet
    held = agent.backbone(SPEC_IMAGES)
    leaves = None if held is None else jax.device_put(held.leaves)
    return agent, leaves, rlpd.init(agent, SPEC_IMAGES, 0, held)


def test_training_reaches_every_part_but_the_frozen_weights(case):
    agent, leaves, state = case
    before = jax.tree.map(np.array, state)
    fixed = None if leaves is None else {name: np.array(leaf) for name, leaf in leaves.items()}
    for seed in range(2):
        state, metrics = rlpd.update(agent, state, batches_of(3, 8, seed), leaves)
    assert int(metrics["skipped"]) == 0 and all(np.isfinite(value) for value in metrics.values())
    for part in ("encoder", "target_encoder", "actor", "critic"):
        for name, leaf in getattr(state, part).items():
            assert not np.array_equal(leaf, getattr(before, part)[name]), f"{part}: {name} did not change"
    if leaves is not None:
        assert all(np.array_equal(leaves[name], leaf) for name, leaf in fixed.items())
        assert not set(fixed) & set(rlpd.actor_leaves(state)), "frozen weights are not sent to actors"


def test_the_critics_alone_train_the_encoder(case):
    agent, leaves, state = case
    seen = see(agent, state.encoder, leaves, one(batches_of(1, 8)), jax.random.key(0))
    critics, _ = jax.jit(partial(rlpd.critic_update, agent))(state, seen)
    assert_same(state, critics, "actor", "actor_opt", "log_temperature")
    for name, old in state.target_encoder.items():
        expected = (1 - agent.tau) * old + agent.tau * critics.encoder[name]
        np.testing.assert_allclose(critics.target_encoder[name], expected, rtol=1e-5, atol=1e-7)
    actor, _ = jax.jit(partial(rlpd.actor_update, agent))(state, seen)
    assert_same(state, actor, "encoder", "target_encoder", "critic", "critic_opt")
    assert not np.array_equal(state.actor["proprio/kernel"], actor.actor["proprio/kernel"])


def test_the_target_reads_the_second_observation_through_the_slow_encoder():
    state = rlpd.init(FROM_SCRATCH, SPEC_IMAGES, 0)
    batch = one(batches_of(1, 8))
    target = jax.jit(partial(rlpd.critic_target, FROM_SCRATCH))
    usual = target(state, batch, jax.random.key(0))
    first = {camera: 255 - batch[camera] for camera in CAMERAS}
    assert np.array_equal(usual, target(state, {**batch, **first}, jax.random.key(0)))
    second = {f"next_{camera}": 255 - batch[f"next_{camera}"] for camera in CAMERAS}
    assert not np.allclose(usual, target(state, {**batch, **second}, jax.random.key(0)))
    flipped = jax.tree.map(lambda leaf: -leaf, state.target_encoder)
    assert not np.allclose(usual, target(state._replace(target_encoder=flipped), batch, jax.random.key(0)))


def test_feature_maps_in_place_of_images_give_the_same_update(on_resnet):
    still = dataclasses.replace(on_resnet, shift_padding=0)
    held = still.backbone(SPEC_IMAGES)
    leaves = jax.device_put(held.leaves)
    batches = batches_of(3, 8)
    maps = {
        name: np.stack([features(leaves, images) for images in batches[name]]) for name in image_batches(1, 1)
    }

    def trained(agent, batches):
        return rlpd.update(agent, rlpd.init(agent, SPEC_IMAGES, 0, held), batches, leaves)[0].encoder

    unshifted, mapped = trained(still, batches), trained(still, {**batches, **maps})
    for name, leaf in unshifted.items():
        np.testing.assert_allclose(leaf, mapped[name], rtol=1e-3, atol=1e-5)
    shifted = trained(on_resnet, batches)
    assert not np.allclose(shifted["image/left/bottleneck/kernel"], unshifted["image/left/bottleneck/kernel"])


def test_updates_are_reproducible_by_the_seed():
    batches = batches_of(3, 8)
    first, again = (
        rlpd.update(FROM_SCRATCH, rlpd.init(FROM_SCRATCH, SPEC_IMAGES, 0), batches)[0] for _ in range(2)
    )
    assert_same(first, again, "encoder", "actor", "critic", "key")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda b: b.pop("wrist"), "expected .*'wrist'"),
        (lambda b: b.pop("next_left"), "next_left"),
        (lambda b: b.update(side=b["left"]), "got .*'side'"),
        (
            lambda b: b.update(left=np.zeros((3, 8, SIDE, 2 * SIDE, 3), np.uint8)),
            r"left of shape \(3, 8, 16, 32, 3\)",
        ),
        (lambda b: b.update(left=np.zeros((3, 8, SIDE, SIDE, 1), np.uint8)), "left of shape"),
        (lambda b: b.update(left=np.zeros((3, 7, SIDE, SIDE, 3), np.uint8)), "left of shape"),
        (lambda b: b.update(left=np.zeros((3, 8, SIDE, SIDE, 3), np.float32)), "dtype float32"),
    ],
)
def test_images_that_do_not_fit_are_one_line_errors(change, cause):
    batches = batches_of(3, 8)
    change(batches)
    with pytest.raises(SchemaError, match=cause) as error:
        rlpd.update(FROM_SCRATCH, rlpd.init(FROM_SCRATCH, SPEC_IMAGES, 0), batches)
    assert "\n" not in str(error.value)


# Acting.


def test_the_actor_off_the_learner_acts_as_the_learner_would(case):
    agent, leaves, state = case
    held = agent.backbone(SPEC_IMAGES)
    config = agent.actor_config(3, 2, agent.vision_config(SPEC_IMAGES, held))
    packed = weights.encode(rlpd.actor_leaves(state), SPEC_IMAGES, config, 3)
    actor = ImageActor(*weights.unpack(packed, SPEC_IMAGES), held)
    images = {name: array[0] for name, array in one(image_batches(1, 4)).items() if name in CAMERAS}
    vector = np.array([0.3, -0.5, 1.0], np.float32)
    views = {camera: image[None] for camera, image in images.items()}
    if leaves is not None:
        views = {camera: features(leaves, view) for camera, view in views.items()}
    expected = rlpd.mean_actions(agent, state.actor, vector[None], encode(state.encoder, views))[0]
    found = actor.mean(vector, images)
    assert found.dtype == np.float32 and found.shape == (2,)
    np.testing.assert_allclose(found, expected, atol=3e-3)  # group variances over so few pixels lose digits
    draws = np.stack([actor.sample(vector, images, np.random.default_rng(seed)) for seed in range(50)])
    assert np.abs(draws).max() <= 1.0 and draws.std(0).min() > 0.05
    again = actor.sample(vector, images, np.random.default_rng(0))
    assert np.array_equal(again, draws[0])
    changed = {**images, "wrist": 255 - images["wrist"]}
    assert not np.allclose(actor.mean(vector, changed), found)


def test_images_that_an_actor_cannot_read_are_named(on_resnet):
    agent = on_resnet
    held = agent.backbone(SPEC_IMAGES)
    leaves = rlpd.actor_leaves(rlpd.init(agent, SPEC_IMAGES, 0, held))
    config = agent.actor_config(3, 2, agent.vision_config(SPEC_IMAGES, held))
    for other in (None, backbone(1)):
        with pytest.raises(SchemaError, match="set resnet10_weights to the learner's file"):
            ImageActor(config, leaves, other)
    with pytest.raises(SchemaError, match="missing"):
        ImageActor(config, {n: leaf for n, leaf in leaves.items() if "wrist" not in n}, held)
    actor = ImageActor(config, leaves, held)
    good = {camera: np.zeros((SIDE, SIDE, 3), np.uint8) for camera in CAMERAS}
    for images, cause in [
        ({"left": good["left"]}, "wrist: expected an image uint8 .*, got nothing"),
        ({**good, "left": good["left"][:-1]}, r"left: .*got uint8 \(15, 16, 3\)"),
        ({**good, "left": good["left"].astype(np.float32)}, "left: .*got float32"),
    ]:
        with pytest.raises(SchemaError, match=cause):
            actor.mean(np.zeros(3, np.float32), images)
    with pytest.raises(SchemaError, match="expected 3 numbers"):
        actor.mean(np.zeros(4, np.float32), good)


# Cloning.


def test_cloning_finds_what_only_the_camera_shows():
    """A dot in an image tells the action; the state says nothing."""
    rng = np.random.default_rng(0)
    updates, batch, side = 250, 32, 8
    config = BCConfig(
        updates=updates,
        batch_size=batch,
        hidden_sizes=(32,),
        learning_rate=3e-3,
        weight_decay=0.0,
        shift_padding=0,
        small_filters=(8, 8),
        bottleneck_size=16,
        proprio_size=4,
    )
    spec = dataclasses.replace(
        SPEC_IMAGES, images=(ArraySpec("wrist", (side, side, 3), "uint8"),), policy_keys=("position", "wrist")
    )
    places = rng.integers(0, side, (updates, batch, 2))
    images = np.zeros((updates, batch, side, side, 3), np.uint8)
    u, b = np.indices((updates, batch))
    images[u, b, places[..., 0], places[..., 1]] = 255
    actions = (0.8 * (places / (side - 1) * 2 - 1)).astype(np.float32)
    batches = {"state": np.zeros((updates, batch, 3), np.float32), "action": actions, "wrist": images}
    state, _ = bc.update(config, bc.init(config, spec, 0), batches)
    actor = ImageActor(config.actor_config(3, 2, config.vision_config(spec, None)), bc.actor_leaves(state))
    found = [actor.mean(np.zeros(3, np.float32), {"wrist": images[0, i]}) for i in range(batch)]
    error = np.abs(np.array(found) - actions[0]).mean()
    assert error < 0.1, error
    assert jnp.isfinite(error)


@pytest.mark.parametrize("sides", [(8, 8), (7, 10), (5, 9), (1, 3)])
def test_product_of_patches_is_the_strided_convolution(sides):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *sides, 4)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 4, 6)).astype(np.float32)

    def of(operation):
        return jax.jit(jax.value_and_grad(lambda x, kernel: jnp.sum(operation(x, kernel) ** 2), (0, 1)))

    value, gradients = of(encoder._halving_product)(x, kernel)
    expected, by_convolution = of(encoder._halving_convolution)(x, kernel)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for ours, theirs in zip(gradients, by_convolution, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
