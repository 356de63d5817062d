# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Large blocks are taken from memory that was freed before."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from serl_core.memory import keep_freed_memory
assert sys.argv[1] == "as it is" or keep_freed_memory()
def copies():
    held = [bytearray(5_000_000) for _ in range(4)]
for _ in range(5):
    copies()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    copies()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS, kept], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_blocks_of_megabytes_cost_no_page_faults_where_freed_memory_is_kept():
    assert faults("kept") < 1000 < faults("as it is")
