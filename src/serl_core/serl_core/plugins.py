# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parts chosen by name in a task's YAML, so that lower packages need not import higher ones."""

from __future__ import annotations

import importlib
from typing import Any

from serl_core.errors import ConfigError, suggest


def load(name: str, what: str) -> Any:
    """Return the object called "module:attribute".

    Args:
        name: E.g. "serl_reward.pose:PoseReward".
        what: What it is for, for the error message, e.g. "reward".
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{what} must be given as module:Class, got {name!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what} {name!r}: no module {error.name!r}") from error
    if not hasattr(module, attribute):
        raise ConfigError(
            f"{what} {name!r}: {module_name} has no {attribute}{suggest(attribute, dir(module))}"
        )
    return getattr(module, attribute)
