# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Grippers among the elements of an action: each is told to close (-1), stay (0) or open (1). No JAX.

A choice for all grippers is one number: the sum over grippers i of 3^i times (command + 1), so 0 to 2 for one gripper
and 0 to 8 for two (HIL-SERL, section 3.3).
"""

from __future__ import annotations

import numpy as np

COMMANDS = 3


def choices(grippers: tuple[int, ...]) -> int:
    """Return how many choices there are for the grippers at these places of an action."""
    return COMMANDS ** len(grippers)


def others(action_size: int, grippers: tuple[int, ...]) -> list[int]:
    """Return the places of an action that are continuous."""
    return [place for place in range(action_size) if place not in grippers]


def insert(continuous: np.ndarray, choice: np.ndarray, grippers: tuple[int, ...]) -> np.ndarray:
    """Return whole actions float32 (..., action_size).

    Args:
        continuous: The other elements (..., action_size - len(grippers)), in order.
        choice: For the grippers (...,).
        grippers: Their places in the action.
    """
    action_size = continuous.shape[-1] + len(grippers)
    action = np.empty((*continuous.shape[:-1], action_size), np.float32)
    action[..., others(action_size, grippers)] = continuous
    for i, place in enumerate(grippers):
        action[..., place] = np.asarray(choice) // COMMANDS**i % COMMANDS - 1
    return action
