# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Message definitions as a bag carries them, so that it can be read without the packages it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from rosbags.typesys import get_types_from_idl, get_types_from_msg
from rosbags.typesys.store import Typestore

from serl_core.errors import BagError

SEPARATOR = "=" * 80
_FIELD = re.compile(r"^\s*(?P<base>[A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*(?P<rest>.*)$")
_PRIMITIVES = frozenset(
    [
        "bool",
        "byte",
        "char",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "string",
        "wstring",
    ]
)


def message_definitions(types: Iterable[str]) -> dict[str, str]:
    """Find the definitions of message types through the ament index.

    Args:
        types: Names such as "serl_msgs/msg/Transition".

    Returns:
        For each type its .msg text followed by those of all types that it contains, each after a line of 80
        "=" and a line "MSG: package/Name" (the "ros2msg" schema encoding of MCAP). BagError where a file is
        missing.
    """
    texts: dict[str, str] = {}
    return {name: _concatenate(name, texts) for name in dict.fromkeys(types)}


def type_hash(name: str, definition: str) -> str:
    """Return the RIHS01 hash (REP 2016) of a type from its definition; BagError if that is malformed."""
    return typestore(name, definition).hash_rihs01(name)


@lru_cache(maxsize=64)
def typestore(name: str, definition: str, encoding: str = "ros2msg") -> Typestore:
    """Return a store that decodes a type from its definition alone.

    Args:
        name: Of the type.
        definition: Its text and those of the types that it contains.
        encoding: "ros2msg" as `message_definitions` writes, or "ros2idl" as rosbag2 does for .idl types.

    BagError if the definition is malformed or of another encoding.
    """
    if encoding not in ("ros2msg", "ros2idl"):
        raise BagError(f"the definition of {name} is in {encoding!r}, expected 'ros2msg' or 'ros2idl'")
    store = Typestore()
    try:
        if encoding == "ros2msg":
            store.register(get_types_from_msg(definition, name))
        else:
            found: dict = {}
            for part in definition.split(f"{SEPARATOR}\nIDL: ")[1:]:
                found.update(get_types_from_idl(part.split("\n", 1)[1]))
            store.register(found)
        store.get_msgdef(name)
    except Exception as error:  # a parser fed with whatever a file contains
        raise BagError(f"the definition of {name} cannot be read: {error or type(error).__name__}") from error
    return store


def _concatenate(name: str, texts: dict[str, str]) -> str:
    order = [name]
    for current in order:  # grows while it is walked: breadth first
        if current not in texts:
            texts[current] = _msg_file(current).read_text()
        order += [needed for needed in _dependencies(current, texts[current]) if needed not in order]
    parts = [texts[name]]
    for dependency in order[1:]:
        package, _, short = dependency.split("/")
        parts.append(f"{SEPARATOR}\nMSG: {package}/{short}\n{texts[dependency]}")
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _dependencies(name: str, text: str) -> list[str]:
    """Full names of the message types that the fields of `text` have."""
    package = name.split("/")[0]
    found = []
    for line in text.splitlines():
        match = _FIELD.match(line.split("#")[0])
        if match is None or match["base"] in _PRIMITIVES or match["rest"].lstrip().startswith("="):
            continue
        parts = match["base"].split("/")
        full = f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}"
        if full not in found:
            found.append(full)
    return found


def _msg_file(name: str) -> Path:
    from ament_index_python import PackageNotFoundError, get_package_share_directory

    parts = name.split("/")
    if len(parts) != 3 or parts[1] != "msg":
        raise BagError(f"{name!r} is not a message type; write it as package/msg/Name")
    try:
        path = Path(get_package_share_directory(parts[0]), "msg", f"{parts[2]}.msg")
    except (PackageNotFoundError, ValueError):
        raise BagError(
            f"package {parts[0]} of {name} is not in the ament index; build it and source the workspace"
        ) from None
    if not path.is_file():
        raise BagError(f"{name} has no definition: {path} does not exist")
    return path
