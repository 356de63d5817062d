# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""One scene and one host for all tests; every test starts its host afresh with `reset`."""

import pytest

from serl_controllers import ImpedanceGains
from serl_sim import LockstepHost
from serl_sim.scenes.pcb_insertion import build


@pytest.fixture(scope="session")
def scene():
    return build()


@pytest.fixture
def host(scene):
    return LockstepHost(scene, ImpedanceGains.compliant())
