# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Threads allocate from few arenas where asked to, so that no holes are left behind in ever more of them."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ALLOCATE = """
import ctypes, threading
from serl_core.memory import share_arenas
if {shared}: share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)
def allocate():
    together.wait()
    for _ in range(200): libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
libc.fopen.restype = ctypes.c_void_p
file = libc.fopen({path!r}.encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fclose(ctypes.c_void_p(file))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_threads_share_few_arenas(tmp_path: Path) -> None:
    arenas = {}
    for shared in (False, True):
        path = tmp_path / f"{shared}.xml"
        program = ALLOCATE.format(shared=shared, path=str(path))
        subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
        arenas[shared] = path.read_text().count("<heap nr=")
    # Importing may have made some before.
    assert arenas[True] <= 4 < arenas[False]
