# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on: one line, naming the cause and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SerlError(Exception):
    """Base of every error whose message is meant for the user; shown without a traceback."""


class ConfigError(SerlError):
    """A parameter, task or file of settings is wrong."""


class SchemaError(SerlError):
    """An array, message or checkpoint does not fit the specification at hand."""


class BagError(SerlError):
    """A recording cannot be read or written."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean a, b?)" for the known names closest to `name`, or ""."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {', '.join(close)}?)" if close else ""
