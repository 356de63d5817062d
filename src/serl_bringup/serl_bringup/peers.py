# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Others' software that is measured beside ours, in a Python environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType

from serl_core.errors import SerlError

PYTHON = "SERL_BENCH_PEER_PYTHON"
"""Environment variable that names the Python of an environment with the peers; they pin other versions than we."""

GYM_HIL = """
import time, gymnasium, gym_hil
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0")
env.reset(seed=0)
action = env.action_space.sample() * 0
for _ in range(10):
    env.step(action)
n, began = 0, time.process_time()
while time.process_time() - began < 5.0:
    *_, terminated, truncated, _ = env.step(action)
    n += 1
    if terminated or truncated:
        env.reset()
print(n / (time.process_time() - began))
"""

# SERL's agents with the settings of its launcher. What they import beside, for logs and videos, is left out;
# frozen weights stay random, which costs the same. Each line on standard input is one update.
SERL = """
import importlib, json, sys, time
from unittest import mock
facts = json.loads(sys.argv[1])
left_out = []
for name in ("tensorflow", "wandb", "requests", "imageio", "tqdm"):
    try:
        importlib.import_module(name)
    except ImportError:
        sys.modules[name] = mock.MagicMock()
        left_out.append(name)
import jax, numpy as np
from flax.core import frozen_dict
from serl_launcher.agents.continuous.drq import DrQAgent
from serl_launcher.agents.continuous.sac import SACAgent
from serl_launcher.utils import train_utils
train_utils.load_resnet10_params = lambda agent, *rest: agent
for name in left_out:  # libraries that are asked for tensors of each kind must not find these
    del sys.modules[name]
rng = np.random.default_rng(0)
cameras, rows = facts["cameras"], facts["batch_size"] * facts["utd_ratio"]

def observed(*lead):
    state = rng.standard_normal((*lead, facts["state_size"])).astype(np.float32)
    if not cameras:
        return state
    side = (*lead, 1, facts["side"], facts["side"], 3)
    images = {name: rng.integers(0, 256, side, np.uint8) for name in cameras}
    return {"state": state[..., None, :], **images}

layers = {"activations": jax.nn.tanh, "use_layer_norm": True, "hidden_dims": [256, 256]}
squashed = {"tanh_squash_distribution": True, "std_parameterization": "exp", "std_min": 1e-5, "std_max": 5}
settings = dict(policy_kwargs=squashed, critic_network_kwargs=dict(layers), policy_network_kwargs=dict(layers),
                temperature_init=1e-2, discount=0.97, backup_entropy=False,
                critic_ensemble_size=10, critic_subsample_size=2)
given = (jax.random.PRNGKey(0), observed(), np.zeros(facts["action_size"], np.float32))
if cameras:
    agent = DrQAgent.create_drq(*given, encoder_type="resnet-pretrained", use_proprio=True, image_keys=cameras,
                                **settings)
else:
    agent = SACAgent.create_states(*given, **settings)
batch = frozen_dict.freeze({
    "observations": observed(rows), "next_observations": observed(rows),
    "actions": np.tanh(rng.standard_normal((rows, facts["action_size"]))).astype(np.float32),
    "rewards": rng.standard_normal(rows).astype(np.float32), "masks": np.ones(rows, np.float32)})

def update():
    global agent
    agent, _ = jax.block_until_ready(agent.update_high_utd(batch, utd_ratio=facts["utd_ratio"]))

for _ in range(2):  # what the first update returns has other types than what it was given: it compiles twice
    update()
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter(), time.process_time()
    update()
    print(time.perf_counter() - began[0], time.process_time() - began[1], flush=True)
"""

WHERE = (
    "not found: https://github.com/rail-berkeley/serl, install serl_launcher elsewhere, name its python in "
    + PYTHON
)


def python() -> str:
    """Return the Python that has the peers, or our own."""
    return os.environ.get(PYTHON, sys.executable)


class SerlAgent:
    """SERL's own agent in a process of its own, updated on demand; use as a context.

    Args:
        batch_size, utd_ratio, state_size, action_size: As in `serl_learner.bench`.
        cameras: Names of cameras; none for the agent that reads states.
        side: Of their square images [pixels].

    Attributes:
        missing: Why there is no agent, where there is none.
    """

    def __init__(
        self,
        batch_size: int,
        utd_ratio: int,
        state_size: int,
        action_size: int,
        cameras: tuple[str, ...] = (),
        side: int = 128,
    ) -> None:
        self._facts = json.dumps(
            {
                "batch_size": batch_size,
                "utd_ratio": utd_ratio,
                "state_size": state_size,
                "action_size": action_size,
                "cameras": cameras,
                "side": side,
            }
        )
        self._process: subprocess.Popen[str] | None = None
        self.missing = WHERE

    def __enter__(self) -> SerlAgent | None:
        """Return the agent, compiled, or None where SERL is not installed."""
        if os.environ.get(PYTHON) is None:
            return None
        with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads would hold the agent up
            self._process = subprocess.Popen(
                [python(), "-c", SERL, self._facts],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if line.strip() == "ready":
                    return self
            said.seek(0)
            lines = said.read().split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        self.missing = f"SERL's agent in {python()} did not start: {last.strip()}"
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def update(self) -> tuple[float, float]:
        """Do one call of SERL's update and return the time it took by the wall clock and of processors [s]."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        line = process.stdout.readline().split()
        if len(line) != 2:
            raise SerlError(f"SERL's agent in {python()} ended while it was measured")
        return float(line[0]), float(line[1])
