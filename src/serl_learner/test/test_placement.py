# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Several devices do together what one does, to rounding, and take up each other's checkpoints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from learner_cases import SPEC, recording

from serl_core.errors import ConfigError
from serl_learner.agents.config import RLPDConfig
from serl_learner.placement import Placement
from serl_learner.training_loop import LoopConfig, TrainingLoop

AGENT = RLPDConfig(hidden_sizes=(16,), ensemble_size=2, batch_size=8, utd_ratio=2)
CONFIG = LoopConfig(min_online=10, replay_capacity=1000, demo_capacity=1000)


def trained(run: Path, seed: int = 0, steps: int = 3, go_on: bool = False) -> list[np.ndarray]:
    """Train, or go on, on the devices that there are; save; return all parameters."""
    loop = TrainingLoop(SPEC, CONFIG, AGENT, run, seed)
    for each in recording(4, 10):
        loop.ingest(each)
    if go_on:
        loop.restore(run)
    loop.warm_up()
    for i in range(steps):
        loop.step(float(i))
    assert loop._placement.devices == len(jax.local_devices())
    for leaf in jax.tree.leaves(loop._state):
        assert leaf.is_fully_replicated and len(leaf.devices()) == loop._placement.devices
    loop.save(0.0)
    leaves = [np.array(leaf) for leaf in jax.tree.leaves(loop._state)]
    loop.close()
    return leaves


def test_two_devices_agree_with_one_and_take_up_each_others_checkpoints(tmp_path):
    here, there = tmp_path / "one", tmp_path / "two"
    one = trained(here)
    code = (
        "import jax, sys; from pathlib import Path\n"
        "jax.config.update('jax_disable_most_optimizations', True)\n"
        "assert len(jax.local_devices()) == 2\n"
        "import test_placement as t, numpy as np\n"
        "t.trained(Path(sys.argv[2]))\n"
        "np.savez(sys.argv[3], *t.trained(Path(sys.argv[1]), 7, 1, go_on=True))\n"
    )
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    arguments = [sys.executable, "-c", code, str(here), str(there), str(tmp_path / "leaves.npz")]
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    two = trained(there, seed=5, steps=0, go_on=True)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
    # One device's checkpoint, one step further on two devices: as one device goes on.
    further = np.load(tmp_path / "leaves.npz")
    alone = trained(tmp_path / "alone", steps=4)
    for a, name in zip(alone, further.files, strict=True):
        np.testing.assert_allclose(a, further[name], rtol=2e-4, atol=2e-6)


def test_devices_that_are_not_there_or_cannot_share_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match="devices is 1000, but there are"):
        Placement(1000, 8)
    monkeypatch.setattr(jax, "local_devices", lambda: [jax.devices()[0]] * 3)
    with pytest.raises(ConfigError, match="batch_size 8 cannot be shared equally by 3"):
        Placement(0, 8)
