# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""From a task's parameters to its reward, alone or made of parts."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping
from typing import Any

from serl_core.errors import ConfigError
from serl_core.interfaces import RewardFn
from serl_core.parameters import from_mapping
from serl_core.plugins import load
from serl_reward.awaited import AwaitedReward

Read = Callable[[type], Any]
"""Returns a config class filled from a node's parameters; `ShellNode.config` is one."""


def make_reward(name: str, read: Read) -> RewardFn:
    """Build a reward and, if it combines others, its parts.

    Args:
        name: "module:Class", or "prefix=module:Class" to have its parameters called prefix_*, so that one class
            can serve twice.
        read: Reads each config class.

    ConfigError for a class that is not there, a parameter that is wrong, a combination of itself or of a verdict that
    another process gives.
    """
    kind, scope = _load(name)
    config = _unscoped(kind.Config, scope, read)
    if not _combines(kind):
        return kind.from_parameters(config)

    def within(part: type) -> Any:
        return _unscoped(part, scope, read)

    return kind.from_parts([make_reward(part, within) for part in _parts(config, name)], config)


def config_classes(name: str, values: Mapping[str, Any]) -> tuple[type, ...]:
    """Return the config classes that `make_reward` would read.

    Args:
        name: As for `make_reward`.
        values: The node's parameters as far as they are given; `reward_parts` is looked up there.
    """
    kind, scope = _load(name)
    classes = [_scoped(kind.Config, scope)]
    if _combines(kind):
        parts = {"reward_parts": values.get(f"{scope}reward_parts", ())}
        given = from_mapping(kind.Config, parts, f"reward {name!r}")
        inner = {key.removeprefix(scope): value for key, value in values.items() if key.startswith(scope)}
        for part in _parts(given, name):
            classes += [_scoped(cls, scope) for cls in config_classes(part, inner)]
    return tuple(dict.fromkeys(classes))


def _load(name: str) -> tuple[Any, str]:
    prefix, equals, target = name.rpartition("=")
    if equals and not prefix.isidentifier():
        raise ConfigError(
            f"reward {name!r}: {prefix!r} before '=' must be a plain name, as in near=module:Class"
        )
    kind = load(target, "reward")
    if not hasattr(kind, "Config"):
        raise ConfigError(f"reward {target!r} is no reward: it has no Config")
    return kind, f"{prefix}_" if equals else ""


def _combines(kind: Any) -> bool:
    return hasattr(kind, "from_parts")


def _parts(config: Any, name: str) -> tuple[str, ...]:
    if name.rpartition("=")[2] in [part for part in config.reward_parts if "=" not in part]:
        raise ConfigError(f"reward {name!r} is among its own reward_parts; give the inner one a name=")
    for part in config.reward_parts:
        kind, _ = _load(part)
        if isinstance(kind, type) and issubclass(kind, AwaitedReward):
            raise ConfigError(
                f"reward {name!r}: {part!r} cannot be among its reward_parts, as only a whole verdict is awaited;"
                " combine in the reward node"
            )
    return config.reward_parts


def _unscoped(config: type, scope: str, read: Read) -> Any:
    values = vars(read(_scoped(config, scope)))
    return config(**{name.removeprefix(scope): value for name, value in values.items()})


@functools.cache  # one class for equal arguments, so that classes can be compared
def _scoped(config: type, scope: str) -> type:
    """Return a config class with the same settings under names that begin with `scope`."""
    if not scope:
        return config
    hints = typing.get_type_hints(config)
    fields = [
        (scope + f.name, hints[f.name], dataclasses.field(default=f.default, metadata=f.metadata))
        for f in dataclasses.fields(config)
    ]
    return dataclasses.make_dataclass(f"{scope}{config.__name__}", fields, frozen=True)
