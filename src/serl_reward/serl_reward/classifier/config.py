# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Settings of the image classifier, its reward and its node; free of JAX."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of training a classifier (HIL-SERL, 3.3 and supplement B)."""

    cameras: tuple[str, ...] = parameter((), "cameras to judge by, in this order; empty: all in the bags")
    positives: int = parameter(200, "most successes taken from the first round's bags; 0: all", 0, 1_000_000)
    negatives: int = parameter(1000, "most failures taken from the first round's bags; 0: all", 0, 1_000_000)
    held_out: float = parameter(0.25, "share of the episodes held out for the figures", 0.01, 0.9)
    encoder: str = parameter(
        "small",
        "image encoder: small, trained from scratch; resnet10, frozen and pretrained",
        choices=("small", "resnet10"),
    )
    resnet10_weights: str = parameter(
        "", "file of the pretrained ResNet-10; needed where encoder is resnet10"
    )
    filters: tuple[int, ...] = parameter(
        (16, 32, 64, 64), "filters of the small encoder, each of stride 2", 1, 1024
    )
    hidden_size: int = parameter(256, "units of the hidden layer over all cameras' latents", 1, 8192)
    dropout: float = parameter(0.1, "share of latents and hidden units left out in training", 0.0, 0.9)
    updates: int = parameter(300, "gradient steps", 1, 1_000_000)
    batch_size: int = parameter(48, "frames of one step, half of them successes", 2, 4096)
    learning_rate: float = parameter(1e-3, "Adam step size at its peak; falls to 0 along a cosine", 1e-8, 1.0)
    weight_decay: float = parameter(1e-4, "decoupled weight decay", 0.0, 1.0)
    shift_pixels: int = parameter(4, "largest random shift of an image each way [pixels]", 0, 64)
    brightness: float = parameter(0.2, "largest random change of brightness, as a share", 0.0, 0.9)
    min_precision: float = parameter(
        0.98, "precision that the threshold must keep on held-out frames where it can", 0.0, 1.0
    )
    seed: int = parameter(0, "seed of draw, split, network and batches", 0, 2**31 - 1)


@dataclass(frozen=True)
class ClassifierRewardConfig:
    """Settings of a reward by classifier."""

    classifier: str = parameter("", "folder that ./serl classifier train wrote")
    classifier_threshold: float = parameter(
        0.0, "probability from which on a frame is a success; 0: as training chose", 0.0, 1.0
    )
    classifier_margin: float = parameter(
        0.2, "how far below the threshold the probability must fall to take a success back", 0.0, 1.0
    )
    classifier_steps: int = parameter(1, "steps in a row that must agree, towards success and away", 1, 1000)


@dataclass(frozen=True)
class RewardNodeConfig:
    """Settings of the reward node, beside those of its reward."""

    reward: str = parameter(
        "serl_reward.classifier.reward:ClassifierReward", "reward function as module:Class"
    )
    deadline_s: float = parameter(
        0.05, "time from observation to verdict beyond which a step counts as late [s]", 0.001, 60.0
    )
