# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How the C library allocates, and treats freed memory. No ROS."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_KEPT = 64 * 1024 * 1024  # bytes, several policies at once
_LARGEST_ON_HEAP = 32 * 1024 * 1024  # bytes, the most that glibc accepts


def keep_freed_memory() -> bool:
    """Let this process keep up to 64 MB of freed memory instead of giving each large block back to the system.

    A message of megabytes is copied through several blocks of its size. Given back and asked for anew, every page of
    each costs a fault, which is most of the time that a policy of 5 MB takes from one process to another.

    Returns:
        Whether the C library has such settings (glibc); elsewhere nothing changes.
    """
    return _set(_TRIM_THRESHOLD, _KEPT) and _set(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)


def share_arenas() -> bool:
    """Let all threads of this process allocate from two arenas.

    Each of the many threads of a checkpoint otherwise leaves holes in an arena of its own: a learner grew by 40 MB in
    a hundred checkpoints, and does not with two.

    Returns:
        As `keep_freed_memory`.
    """
    return _set(_ARENA_MAX, 2)


def _set(option: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).mallopt(option, value))
    except (AttributeError, OSError):
        return False
