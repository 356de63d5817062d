# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The image encoder as data, free of JAX: what weights it has and of which shape."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from serl_core.errors import ConfigError
from serl_core.parameters import parameter
from serl_core.specs import ArraySpec, EnvSpec
from serl_learner.vision.backbone_file import Backbone, load_backbone

GROUPS = 4
"""Of the ResNet's group normalisation."""
RESNET_HALVINGS = 5
"""Of an image's sides by the ResNet: its first convolution, its pooling, and every stage but the first."""


@dataclass(frozen=True)
class VisionOptions:
    """How an agent's networks read cameras; nothing of it matters to a task without."""

    encoder: str = parameter(
        "small",
        "Image encoder: small, convolutions trained from scratch; resnet10, frozen and shared by all cameras",
        choices=("small", "resnet10"),
    )
    resnet10_weights: str = parameter(
        "", "File of the ResNet-10: SERL's resnet10_params.pkl, or safetensors; empty: none"
    )
    small_filters: tuple[int, ...] = parameter(
        (32, 32, 64, 64), "Filters of the small encoder's convolutions, each of stride 2", 1, 1024
    )
    spatial_embeddings: int = parameter(8, "Learned spatial weightings of every feature channel", 1, 64)
    bottleneck_size: int = parameter(256, "Units of a camera's latent vector", 1, 8192)
    proprio_size: int = parameter(64, "Units of the state's encoding beside camera latents", 1, 8192)
    shift_padding: int = parameter(
        4, "Random shift of images in training, up to so many pixels each way; 0: none", 0, 64
    )
    feature_shifts: int = parameter(
        3,
        "Shifts of every frame whose features replay holds in place of its images, with resnet10, at most all of"
        " the (2 shift_padding + 1)^2; 0: images are held, and features computed for every sample",
        0,
        1024,
    )

    def backbone(self, spec: EnvSpec) -> Backbone | None:
        """Return the frozen weights that a policy of an environment needs, if any; see `load_backbone`."""
        if self.encoder != "resnet10" or not policy_cameras(spec):
            return None
        return load_backbone(self.resnet10_weights)

    def vision_config(self, spec: EnvSpec, backbone: Backbone | None) -> VisionConfig | None:
        """Return the shape of the image encoder for an environment, or None if its policy reads no camera.

        Args:
            spec: Environment.
            backbone: Frozen weights where `encoder` is "resnet10".
        """
        cameras = tuple(sorted((camera.name, camera.shape) for camera in policy_cameras(spec)))
        if not cameras:
            return None
        return VisionConfig(
            encoder=self.encoder,
            cameras=cameras,
            filters=self.small_filters if backbone is None else backbone.filters,
            embeddings=self.spatial_embeddings,
            bottleneck=self.bottleneck_size,
            proprio=self.proprio_size,
            backbone="" if backbone is None else backbone.digest,
        )


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of a ResNet-10's training on a task's rendered scenes."""

    filters: tuple[int, ...] = parameter(
        (16, 32, 64, 128),
        "Filters of the four stages, multiples of 4; ImageNet's has 64 to 512",
        4,
        1024,
        size=4,
    )
    scenes: int = parameter(4000, "Scenes to render, each for all cameras", 20, 10_000_000)
    updates: int = parameter(1000, "Gradient steps in all", 1, 100_000_000)
    batch_size: int = parameter(32, "Scenes of one gradient step", 1, 65536)
    learning_rate: float = parameter(2e-3, "Adam step size at its peak; falls to 0 along a cosine", 0.0, 1.0)
    shift_padding: int = parameter(4, "Random shift of images, up to so many pixels each way; 0: none", 0, 64)

    def __post_init__(self) -> None:
        if any(filters % GROUPS for filters in self.filters):
            raise ConfigError(f"filters must be multiples of {GROUPS}, got {self.filters}")


def policy_cameras(spec: EnvSpec) -> tuple[ArraySpec, ...]:
    """Return the cameras that the policy reads, in wire order."""
    return tuple(camera for camera in spec.images if camera.name in spec.policy_keys)


def halved(sides: tuple[int, ...], times: int) -> tuple[int, ...]:
    """Return the sides of a map [pixels] after layers of stride 2 that pad where a side is odd."""
    return tuple(-(-side // 2**times) for side in sides)


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the networks that turn images into latent vectors.

    Attributes:
        encoder: "small" or "resnet10".
        cameras: Names and image shapes (height, width, 3), sorted by name as their latents are.
        filters: Of the small encoder's convolutions, or of the ResNet's four stages.
        embeddings: Learned spatial weightings of every feature channel.
        bottleneck: Length of one camera's latent.
        proprio: Length of the state vector's encoding.
        backbone: Digest of the frozen weights; empty where there are none.
    """

    encoder: str
    cameras: tuple[tuple[str, tuple[int, ...]], ...]
    filters: tuple[int, ...]
    embeddings: int
    bottleneck: int
    proprio: int
    backbone: str = ""

    @property
    def latent_size(self) -> int:
        """Length of all cameras' latents together."""
        return len(self.cameras) * self.bottleneck

    def feature_shape(self, image_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the shape (height, width, channels) of the feature map of an image."""
        halvings = RESNET_HALVINGS if self.encoder == "resnet10" else len(self.filters)
        height, width = halved(image_shape[:2], halvings)
        return height, width, self.filters[-1]

    def leaf_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every trained parameter by name; those of the frozen backbone are not among."""
        shapes: dict[str, tuple[int, ...]] = {}
        for camera, image_shape in self.cameras:
            own: dict[str, tuple[int, ...]] = {}
            if self.encoder == "small":
                for i, (fan_in, filters) in enumerate(itertools.pairwise((image_shape[2], *self.filters))):
                    own[f"conv_{i}/kernel"] = (3, 3, fan_in, filters)
                    own[f"conv_{i}/bias"] = (filters,)
            height, width, channels = self.feature_shape(image_shape)
            own["embedding/kernel"] = (height, width, channels, self.embeddings)
            own["bottleneck/kernel"] = (channels * self.embeddings, self.bottleneck)
            for name in ("bias", "scale", "offset"):
                own[f"bottleneck/{name}"] = (self.bottleneck,)
            shapes.update({f"image/{camera}/{name}": shape for name, shape in own.items()})
        return shapes

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> VisionConfig:
        """Build from what JSON made of the fields; KeyError or TypeError if they are others."""
        cameras = tuple((name, tuple(shape)) for name, shape in fields["cameras"])
        return cls(**{**fields, "cameras": cameras, "filters": tuple(fields["filters"])})
