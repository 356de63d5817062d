# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The classifier: images of several cameras to a calibrated probability of success, and its files.

    FOLDER/classifier.safetensors   weights
    FOLDER/classifier.json          cameras, network, calibration, threshold, figures, what it was trained on
    FOLDER/backbone.safetensors     the frozen ResNet-10, where the encoder is one
    FOLDER/report.html              what training came to

One latent per camera by `serl_learner.vision`, then two dense layers (HIL-SERL, supplement B).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from serl_core.errors import ConfigError, SchemaError
from serl_learner.networks import Params, dense
from serl_learner.vision import encoder, resnet10
from serl_learner.vision.backbone_file import Backbone, backbone_bytes, load_backbone
from serl_learner.vision.config import VisionConfig
from serl_reward.classifier.calibration import Calibration

Shapes = Mapping[str, tuple[int, ...]]

BATCH = 32
"""Frames judged at once; one size, so that there is one compilation."""

REPORT = "report.html"
_WEIGHTS, _DESCRIPTION, _BACKBONE = "classifier.safetensors", "classifier.json", "backbone.safetensors"
_FILES = (_WEIGHTS, _DESCRIPTION, _BACKBONE, REPORT)
_FORMAT = 1
_LATENT_UNITS = 128
_EMBEDDINGS = 8


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of a classifier; equal ones have exchangeable weights.

    Attributes:
        vision: Encoder of the cameras, which are in alphabetical order.
        hidden_size: Units of the hidden layer.
    """

    vision: VisionConfig
    hidden_size: int

    @classmethod
    def of(
        cls, shapes: Shapes, filters: tuple[int, ...], hidden_size: int, backbone: Backbone | None = None
    ) -> NetworkConfig:
        """Return the network for cameras of given shapes (H, W, 3).

        Args:
            shapes: By camera.
            filters: Of the small encoder, which is taken where `backbone` is None.
            hidden_size: Units of the hidden layer.
            backbone: A frozen ResNet-10 instead.
        """
        vision = VisionConfig(
            encoder="small" if backbone is None else "resnet10",
            cameras=tuple(sorted((name, tuple(shape)) for name, shape in shapes.items())),
            filters=filters if backbone is None else backbone.filters,
            embeddings=_EMBEDDINGS,
            bottleneck=_LATENT_UNITS,
            proprio=1,  # no state is read
            backbone="" if backbone is None else backbone.digest,
        )
        return cls(vision, hidden_size)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """(H, W, 3) by camera."""
        return dict(self.vision.cameras)

    @property
    def fingerprint(self) -> str:
        """Short hash over cameras, sizes and network."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def leaf_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every trained parameter by name."""
        latent, hidden = self.vision.latent_size, self.hidden_size
        return {
            **self.vision.leaf_shapes(),
            "hidden/kernel": (latent, hidden),
            "hidden/bias": (hidden,),
            "verdict/kernel": (hidden, 1),
            "verdict/bias": (1,),
        }


def init(key: jax.Array, network: NetworkConfig) -> Params:
    """Return fresh parameters, named as `NetworkConfig.leaf_shapes` says."""
    encoder_key, hidden_key, verdict_key = jax.random.split(key, 3)
    params = encoder.init(encoder_key, network.vision)
    shapes = network.leaf_shapes()
    for layer, own in (("hidden", hidden_key), ("verdict", verdict_key)):
        params[f"{layer}/kernel"] = jax.nn.initializers.glorot_uniform()(own, shapes[f"{layer}/kernel"])
        params[f"{layer}/bias"] = jnp.zeros(shapes[f"{layer}/bias"])
    return params


def latents(params: Params, backbone: resnet10.Leaves | None, images: Mapping[str, jax.Array]) -> jax.Array:
    """Return latents (n, latent_size) of images (n, H, W, 3) uint8, or of feature maps, by camera."""
    views = {
        camera: resnet10.features(backbone, view) if backbone and view.dtype == jnp.uint8 else view
        for camera, view in images.items()
    }
    return encoder.encode({name: leaf for name, leaf in params.items() if name.startswith("image/")}, views)


def head(params: Params, latent: jax.Array, key: jax.Array | None = None, dropout: float = 0.0) -> jax.Array:
    """Return logits (n,) of latents (n, latent_size); `key` drops units out, as in training."""
    hidden = jax.nn.relu(dense(params, "hidden", _drop(latent, key, dropout, 0)))
    return dense(params, "verdict", _drop(hidden, key, dropout, 1))[:, 0]


def _drop(x: jax.Array, key: jax.Array | None, share: float, layer: int) -> jax.Array:
    if key is None or share == 0.0:
        return x
    kept = jax.random.bernoulli(jax.random.fold_in(key, layer), 1.0 - share, x.shape)
    return jnp.where(kept, x / (1.0 - share), 0.0)


@jax.jit
def _logits(params: Params, backbone: resnet10.Leaves | None, images: dict[str, jax.Array]) -> jax.Array:
    return head(params, latents(params, backbone, images))


class ImageClassifier:
    """A trained classifier; its answers do not change. May be called from any one thread at a time.

    Attributes:
        network: Its shape.
        calibration: From logits to probabilities.
        threshold: Probability from which on a frame is a success.
        facts: How it was trained and what figures it reached; fits into JSON.
    """

    def __init__(
        self,
        network: NetworkConfig,
        leaves: Mapping[str, np.ndarray],
        calibration: Calibration,
        threshold: float,
        facts: Mapping[str, Any] | None = None,
        backbone: Backbone | None = None,
    ) -> None:
        """Take weights over; SchemaError unless they are those of `network`, finite, and `backbone` its own."""
        _check_leaves(leaves, network)
        if (backbone.digest if backbone else "") != network.vision.backbone:
            raise SchemaError(
                f"the classifier was trained with another ResNet-10 ({network.vision.backbone})"
            )
        self.network = network
        self.calibration = calibration
        self.threshold = threshold
        self.facts = dict(facts or {})
        self.backbone = backbone
        self._leaves = {name: np.asarray(leaf, np.float32) for name, leaf in leaves.items()}
        self._params = jax.device_put(self._leaves)
        self._frozen = jax.device_put(backbone.leaves) if backbone else None

    @property
    def leaves(self) -> dict[str, np.ndarray]:
        """Weights by name."""
        return dict(self._leaves)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that it reads."""
        return tuple(self.network.shapes)

    def check(self, shapes: Shapes) -> None:
        """Raise SchemaError, naming the first difference, unless all cameras are there in the right size."""
        for camera, shape in self.network.shapes.items():
            if camera not in shapes:
                raise SchemaError(
                    f"the classifier judges by camera {camera!r}, there is {', '.join(sorted(shapes)) or 'none'}:"
                    " train one for these cameras (./serl classifier train)"
                )
            if tuple(shapes[camera]) != shape:
                raise SchemaError(
                    f"the classifier was trained on {camera} of {_size(shape)}, here it is"
                    f" {_size(shapes[camera])}: train one for this size (./serl classifier train)"
                )

    def logits(self, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return logits float32 (n,) of uint8 images (n, H, W, 3) by camera; SchemaError on others."""
        self.check({camera: np.shape(pixels)[1:] for camera, pixels in images.items()})
        count = len(images[self.cameras[0]])
        parts = [np.zeros(0, np.float32)]
        for start in range(0, count, BATCH):
            batch = {camera: _padded(images[camera][start : start + BATCH]) for camera in self.cameras}
            parts.append(np.asarray(_logits(self._params, self._frozen, batch)))
        return np.concatenate(parts)[:count]

    def probabilities(self, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return calibrated probabilities of success (n,) of uint8 images (n, H, W, 3) by camera."""
        return self.calibration.probability(self.logits(images))

    def probability(self, images: Mapping[str, np.ndarray]) -> float:
        """Return the calibrated probability of success of one frame: uint8 images (H, W, 3) by camera."""
        self.check({camera: np.shape(pixels) for camera, pixels in images.items()})
        frame = {camera: np.asarray(images[camera], np.uint8)[None] for camera in self.cameras}
        return float(self.calibration.probability(np.asarray(_logits(self._params, self._frozen, frame))[0]))

    def warm_up(self) -> None:
        """Compile `probability`, so that no step waits for it."""
        self.probability({camera: np.zeros(shape, np.uint8) for camera, shape in self.network.shapes.items()})

    def save(self, folder: str | Path, report: str = "") -> Path:
        """Write the classifier, replacing one that is there at once; return the folder.

        Args:
            folder: Made where it is missing; ConfigError as `room_for_classifier` has it.
            report: Text of report.html.
        """
        folder = room_for_classifier(folder)
        weights = safetensors.numpy.save(self._leaves)
        description = {
            "serl_classifier": _FORMAT,
            "network": dataclasses.asdict(self.network),
            "fingerprint": self.network.fingerprint,
            "checksum": hashlib.sha256(weights).hexdigest(),
            "calibration": dataclasses.asdict(self.calibration),
            "threshold": self.threshold,
            "facts": self.facts,
        }
        files = {_WEIGHTS: weights, _DESCRIPTION: json.dumps(description, indent=1).encode()}
        if self.backbone is not None:
            files[_BACKBONE] = backbone_bytes(self.backbone)
        if report:
            files[REPORT] = report.encode()
        partial, old = (folder.with_name(f"{folder.name}.{end}") for end in ("partial", "old"))
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, data in files.items():
            (partial / name).write_bytes(data)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            os.rename(folder, old)
        os.rename(partial, folder)
        shutil.rmtree(old, ignore_errors=True)
        return folder


def room_for_classifier(folder: str | Path) -> Path:
    """Return the absolute path of a folder that a classifier can be written to, in the place of one that is there.

    ConfigError if it holds anything else, which would be lost, or cannot be written.
    """
    folder = Path(folder).absolute()
    if folder.exists():
        if not is_classifier(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} exists and is no classifier; choose another folder")
        others = sorted(entry.name for entry in folder.iterdir() if entry.name not in _FILES)
        if others:
            raise ConfigError(
                f"{folder} holds {others[0]} beside the classifier, which is replaced whole: move that elsewhere"
            )
    above = next(place for place in folder.parents if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{folder} cannot be written; choose another folder")
    return folder


def is_classifier(folder: str | Path) -> bool:
    """Return whether a folder holds a classifier, sound or not."""
    return (Path(folder) / _DESCRIPTION).is_file()


def load_classifier(folder: str | Path) -> ImageClassifier:
    """Read a classifier; ConfigError if there is none, SchemaError if it is damaged."""
    folder = Path(folder)
    try:
        description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        weights = (folder / _WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no classifier: make one with ./serl classifier train") from error
    except (OSError, ValueError) as error:
        raise SchemaError(f"{folder} is no readable classifier: {error}") from error
    try:
        if description["serl_classifier"] != _FORMAT:
            raise SchemaError(f"its format is {description['serl_classifier']}, expected {_FORMAT}")
        fields = description["network"]
        network = NetworkConfig(VisionConfig.from_fields(fields["vision"]), int(fields["hidden_size"]))
        if hashlib.sha256(weights).hexdigest() != description["checksum"]:
            raise SchemaError("the checksum of its weights differs")
        return ImageClassifier(
            network,
            safetensors.numpy.load(weights),
            Calibration(**description["calibration"]),
            float(description["threshold"]),
            description["facts"],
            load_backbone(folder / _BACKBONE) if network.vision.backbone else None,
        )
    except (KeyError, TypeError, ValueError, SafetensorError, SchemaError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SchemaError(f"{folder} is no readable classifier: {reason}") from error


def _check_leaves(leaves: Mapping[str, np.ndarray], network: NetworkConfig) -> None:
    expected = network.leaf_shapes()
    for name in sorted(set(expected) ^ set(leaves)):
        raise SchemaError(f"classifier weight {name} is {'missing' if name in expected else 'unknown'}")
    for name, shape in expected.items():
        if leaves[name].shape != shape:
            raise SchemaError(f"classifier weight {name}: expected shape {shape}, got {leaves[name].shape}")
        if not np.isfinite(leaves[name]).all():
            raise SchemaError(f"classifier weight {name} contains NaN or infinity")


def _padded(pixels: np.ndarray) -> np.ndarray:
    missing = BATCH - len(pixels)
    return np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
