# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""A diffusion policy as data and as a NumPy forward pass (Chi et al. 2024; HIL-SERL, supplement C). No JAX.

A chunk of actions is denoised step by step from pure noise, each step by a network that reads the observations, the
noisy chunk and how noisy it is. `agents.diffusion` trains it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from serl_core.errors import SchemaError
from serl_learner.actor_network import ActorConfig, check_leaves, dense, mlp

_OFFSET = 0.008  # of the cosine schedule (Nichol and Dhariwal 2021, equation 17), which keeps the first steps visible
_MOST_BETA = 0.999
_SLOWEST = 10_000.0


def signal_shares(steps: int) -> np.ndarray:
    """Return alpha-bar (steps,) of the squared cosine schedule: the chunk's share in the noisy chunk's variance.

    After diffusion step k the noisy chunk is sqrt(alpha-bar_k) * chunk + sqrt(1 - alpha-bar_k) * noise.
    """
    angle = (np.arange(steps + 1) / steps + _OFFSET) / (1.0 + _OFFSET) * np.pi / 2.0
    cumulated = np.cos(angle) ** 2
    beta = np.minimum(1.0 - cumulated[1:] / cumulated[:-1], _MOST_BETA)
    return np.cumprod(1.0 - beta)


def inference_steps(diffusion_steps: int, count: int) -> np.ndarray:
    """Return the diffusion steps (count,) that denoising visits, from the noisiest to 0."""
    return np.round(np.linspace(diffusion_steps - 1, 0, count)).astype(int)


def step_embedding(steps: np.ndarray, size: int) -> np.ndarray:
    """Return sines and cosines (..., size) of diffusion steps (...,), as of positions in a transformer."""
    frequency = np.exp(-np.log(_SLOWEST) * np.arange(size // 2) / max(1, size // 2 - 1))
    angle = np.asarray(steps)[..., None] * frequency
    return np.concatenate([np.sin(angle), np.cos(angle)], -1).astype(np.float32)


@dataclass(frozen=True)
class Denoising:
    """One step of DDIM (Song et al. 2021, equations 12 and 16); with noise it is DDPM's.

    Attributes:
        step: Diffusion step before it.
        share, next_share: alpha-bar before and after it.
        deviation: Of the noise that is added.
    """

    step: int
    share: float
    next_share: float
    deviation: float


def denoisings(diffusion_steps: int, count: int, noise: float) -> list[Denoising]:
    """Return the steps from noise to a chunk.

    Args:
        diffusion_steps: Steps of the training.
        count: Steps to do it in.
        noise: 0: deterministic (DDIM); 1: as much noise is added as DDPM adds.
    """
    shares = signal_shares(diffusion_steps)
    steps = inference_steps(diffusion_steps, count)
    after = [*shares[steps[1:]], 1.0]
    return [
        Denoising(int(k), float(a), float(b), float(noise * np.sqrt((1 - b) / (1 - a) * (1 - a / b))))
        for k, a, b in zip(steps, shares[steps], after, strict=True)
    ]


class DiffusionNetwork:
    """A diffusion policy with fixed weights.

    Args:
        config: Shape of the network, with `chunks`.
        leaves: Parameters by name; SchemaError if they do not fit `config`.
    """

    def __init__(self, config: ActorConfig, leaves: dict[str, np.ndarray]) -> None:
        if config.chunks is None:
            raise SchemaError("this policy is no diffusion policy: ActorNetwork runs it")
        check_leaves(leaves, config)
        self.config = config
        self.chunks = config.chunks
        self._leaves = {name: np.asarray(leaf, np.float32) for name, leaf in leaves.items()}
        shape = config.chunks
        self._denoisings = denoisings(shape.diffusion_steps, shape.inference_steps, shape.inference_noise)
        self._embedding = step_embedding(np.arange(shape.diffusion_steps), shape.embedding)

    @property
    def leaves(self) -> dict[str, np.ndarray]:
        """Parameters by name."""
        return dict(self._leaves)

    def plan(
        self, state: np.ndarray, rng: np.random.Generator, latent: np.ndarray | None = None
    ) -> np.ndarray:
        """Return actions float32 (..., prediction, action_size) in [-1, 1], from the present one on.

        Args:
            state: The latest `observation` state vectors one after the other (..., observation * state_size).
            rng: Source of the noise to begin with.
            latent: Latents of the cameras (..., latent_size); None for a policy that reads none.
        """
        seen = np.asarray(state, np.float32)
        if seen.shape[-1:] != (self.config.state_size,):
            raise SchemaError(f"state: expected {self.config.state_size} numbers, got shape {seen.shape}")
        if latent is not None:
            seen = np.concatenate([latent, np.tanh(dense(self._leaves, "proprio", seen))], -1)
        lead = seen.shape[:-1]
        chunk = rng.standard_normal((*lead, self.config.head_size), np.float32)
        for at in self._denoisings:
            noise = self._noise(seen, chunk, at.step)
            clean = (chunk - math.sqrt(1 - at.share) * noise) / math.sqrt(at.share)
            clean = np.clip(clean, -1.0, 1.0)
            noise = (chunk - math.sqrt(at.share) * clean) / math.sqrt(1 - at.share)
            chunk = math.sqrt(at.next_share) * clean
            chunk = chunk + math.sqrt(max(0.0, 1 - at.next_share - at.deviation**2)) * noise
            if at.deviation:
                chunk = chunk + at.deviation * rng.standard_normal(chunk.shape, np.float32)
        return chunk.reshape(*lead, self.chunks.prediction, self.config.action_size)

    def _noise(self, seen: np.ndarray, chunk: np.ndarray, step: int) -> np.ndarray:
        lead = seen.shape[:-1]
        embedding = np.broadcast_to(self._embedding[step], (*lead, self.chunks.embedding))
        hidden = mlp(self._leaves, np.concatenate([seen, chunk, embedding], -1), self.config)
        return dense(self._leaves, "noise", hidden)
