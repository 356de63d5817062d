# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Reads dictionaries of arrays out of a pickle without executing it.

A pickle is a program for a stack machine, and loading it runs whatever it names. This reader steps through the
same opcodes but calls nothing: the few names by which NumPy, JAX and Flax describe arrays and dictionaries stand
for rules written here, and any other name or opcode is an error.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serl_core.errors import SchemaError

_MARK = object()
_NUMBERS = "biuf"
"""Kinds of dtypes that are plain numbers."""


@dataclass(frozen=True)
class _Name:
    """A global that the pickle refers to; never looked up."""

    text: str


@dataclass
class _DType:
    dtype: np.dtype


@dataclass
class _Array:
    """An array that gets its content by a later opcode."""

    value: np.ndarray | None = None


def read_arrays(data: bytes) -> dict[str, Any]:
    """Return the nested dictionary of arrays that a pickle describes.

    Args:
        data: A pickle of protocol 2 or later.

    Returns:
        Dictionaries with text keys, down to arrays of numbers. SchemaError if the pickle is damaged or holds
        anything else.
    """
    try:
        return _plain(_Machine().run(data))
    except SchemaError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise SchemaError(f"is damaged ({type(error).__name__})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(entry) for key, entry in value.items()}
    raise SchemaError(f"holds a {type(value).__name__.strip('_')} where arrays by name were expected")


class _Machine:
    """The stack machine; one run each."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in _LITERALS:
                self._stack.append(argument)
            elif opcode.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[opcode.name]())
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "FRAME"):
                raise SchemaError(f"uses the opcode {opcode.name}, which plain arrays do not need")
        raise SchemaError("is damaged: it has no end")

    def _marked(self) -> list[Any]:
        """Remove and return what lies above the last mark."""
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def _last(self, count: int) -> tuple[Any, ...]:
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        return items

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise SchemaError("sets items of something that is no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise SchemaError("appends to something that is no list")
        target.extend(items)

    def _call(self) -> None:
        name, arguments = self._last(2)
        rule = _CALLS.get(name.text) if isinstance(name, _Name) else None
        if rule is None:
            raise SchemaError(f"calls {getattr(name, 'text', name)!r}, which is refused")
        self._stack.append(rule(*arguments))

    def _build(self) -> None:
        target, state = self._last(2)
        if isinstance(target, _DType):
            target.dtype = target.dtype.newbyteorder(state[1])
        elif isinstance(target, _Array):
            _, shape, dtype, fortran, content = state
            target.value = _array(content, dtype, shape, "F" if fortran else "C")
        else:
            raise SchemaError("sets the state of something that is no array")
        self._stack.append(target)

    def _name(self, text: str) -> None:
        self._stack.append(_Name(text.replace(" ", ".").replace("numpy._core.", "numpy.core.")))

    def _stack_name(self) -> None:
        module, name = self._last(2)
        self._name(f"{module} {name}")


def _array(content: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
    if not isinstance(dtype, _DType) or not isinstance(content, (bytes, bytearray)):
        raise SchemaError("describes an array by other than numbers")
    if len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise SchemaError(f"describes an array of shape {shape} by {len(content)} bytes")
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _dtype(text: str, *_: Any) -> _DType:
    dtype = np.dtype(text)
    if dtype.kind not in _NUMBERS:
        raise SchemaError(f"holds an array of dtype {text!r}, which is no number")
    return _DType(dtype)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise SchemaError(f"encodes bytes as {encoding!r}")
    return text.encode("latin1")


def _jax_array(_function: Any, _arguments: Any, state: Any, _aval: Any) -> _Array:
    _, shape, dtype, fortran, content = state
    return _Array(_array(content, dtype, shape, "F" if fortran else "C"))


_CALLS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda: b"",  # how protocol 2 writes no bytes
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.numeric._frombuffer": lambda content, dtype, shape, order: _Array(
        _array(content, dtype, shape, order)
    ),
    "jax._src.array._reconstruct_array": _jax_array,
    "flax.core.frozen_dict.FrozenDict": lambda content: content,
    "collections.OrderedDict": dict,
}

_LITERALS = {
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
}  # fmt: skip

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}

_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "TUPLE": lambda m, _: m._stack.append(tuple(m._marked())),
    "TUPLE1": lambda m, _: m._stack.append(m._last(1)),
    "TUPLE2": lambda m, _: m._stack.append(m._last(2)),
    "TUPLE3": lambda m, _: m._stack.append(m._last(3)),
    "SETITEM": lambda m, _: m._set_items(list(m._last(2))),
    "SETITEMS": lambda m, _: m._set_items(m._marked()),
    "APPEND": lambda m, _: m._extend(list(m._last(1))),
    "APPENDS": lambda m, _: m._extend(m._marked()),
    "GLOBAL": lambda m, text: m._name(text),
    "STACK_GLOBAL": lambda m, _: m._stack_name(),
    "REDUCE": lambda m, _: m._call(),
    "BUILD": lambda m, _: m._build(),
    "MEMOIZE": lambda m, _: m._memo.__setitem__(len(m._memo), m._stack[-1]),
    "BINPUT": lambda m, place: m._memo.__setitem__(place, m._stack[-1]),
    "LONG_BINPUT": lambda m, place: m._memo.__setitem__(place, m._stack[-1]),
    "BINGET": lambda m, place: m._stack.append(m._memo[place]),
    "LONG_BINGET": lambda m, place: m._stack.append(m._memo[place]),
}
