# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""How the C library treats freed memory. No ROS."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT = 64 * 1024 * 1024  # bytes, several policies at once
_LARGEST_ON_HEAP = 32 * 1024 * 1024  # bytes, the most that glibc accepts


def keep_freed_memory() -> bool:
    """Let this process keep up to 64 MB of freed memory instead of giving each large block back to the system.

    A message of megabytes is copied through several blocks of its size. Given back and asked for anew, every page of
    each costs a fault, which is most of the time that a policy of 5 MB takes from one process to another.

    Returns:
        Whether the C library has such settings (glibc); elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP))
