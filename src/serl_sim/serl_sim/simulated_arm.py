# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""The simulated arm as the environment node wants an arm (`serl_env_node.arm.Arm`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from serl_controllers import ImpedanceGains
from serl_core.errors import ConfigError, SerlError
from serl_core.parameters import parameter
from serl_core.plugins import load
from serl_env_node.arm import ArmState
from serl_env_node.frames import Pose
from serl_env_node.gripper_toggle import GripperToggle
from serl_sim.lockstep_host import CYCLE_SECONDS, LockstepHost
from serl_sim.scenes import Scene, SceneConfig


@dataclass(frozen=True)
class SimulatedArmConfig:
    """Settings of scene and controller."""

    scene: str = parameter(
        "serl_sim.scenes.pcb_insertion:build",
        "what is simulated: a function of SceneConfig, as module:function",
    )
    clearance_m: float = parameter(0.0003, "width of the opening minus that of the part [m]", 1e-5, 0.005)
    friction: float = parameter(0.3, "friction coefficient of the part on everything", 0.0, 2.0)
    gains: str = parameter("compliant", "gain set of the impedance law (papers' COMPLIANCE and PRECISION)",
                           choices=("compliant", "precise"))  # fmt: skip
    image_size: int = parameter(128, "width and height of the cameras' pictures [pixels]", 16, 480)
    crops: tuple[int, ...] = parameter((), "left, top, width, height for each camera, of a whole picture of 480 x 480"
                                       " pixels; empty: all of it", 0, 480)  # fmt: skip


class SimulatedArm:
    """MuJoCo and the control law in lockstep at 1 kHz. One thread at a time."""

    Config = SimulatedArmConfig

    def __init__(self, config: SimulatedArmConfig) -> None:
        try:
            build = load(config.scene, "scene")
            self.scene: Scene = build(SceneConfig(clearance_m=config.clearance_m, friction=config.friction))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        gains = ImpedanceGains.precise() if config.gains == "precise" else ImpedanceGains.compliant()
        self.host = LockstepHost(self.scene, gains)
        self.goal = Pose.from_arrays(self.scene.goal_position, self.scene.goal_quaternion_xyzw)
        self.cameras = tuple(self.scene.cameras)
        self.has_gripper = self.scene.has_gripper
        self._scratch = mujoco.MjData(self.scene.model)
        self._image_size, self._crops = config.image_size, config.crops
        self._renderer: Any = None
        self._elapsed = 0.0
        self.restart(0)

    @classmethod
    def from_parameters(cls, config: SimulatedArmConfig) -> SimulatedArm:
        """Build the arm from its parameters."""
        return cls(config)

    def restart(self, seed: int) -> ArmState:
        """Put the arm at its home configuration, at rest, and the part where it was; the clock goes on."""
        self._elapsed += self.host.time
        self._toggle = GripperToggle()
        self.host.reset(self.scene.q_home)
        return self.state()

    def state(self) -> ArmState:
        """Return the present state."""
        s = self.host.snapshot()
        return ArmState(
            time=self._elapsed + s.time,
            X_BE=Pose.from_arrays(s.position, s.quaternion_xyzw),
            V_BE=np.array(s.twist),
            F_E_B=np.array(s.wrench),
            gripper_width=float(s.gripper_width),
            peak_force=float(s.peak_force),
            part_offset=self._part_offset(),
        )

    def _part_offset(self) -> np.ndarray:
        self._scratch.qpos[:] = self.host.qpos
        mujoco.mj_kinematics(self.scene.model, self._scratch)
        return self.scene.part_offset(self.scene.model, self._scratch)

    def track(self, X_BT: Pose, seconds: float) -> ArmState:
        """Ask the law for a target and step for that time."""
        self.host.step(X_BT.position, X_BT.quaternion_xyzw, round(seconds / CYCLE_SECONDS))
        return self.state()

    def move(self, X_BT: Pose, seconds: float) -> ArmState:
        """Minimum-jerk motion of the target to X_BT, under the law."""
        self.host.move_to(X_BT.position, X_BT.quaternion_xyzw, seconds)
        return self.state()

    def grip(self, action: float) -> None:
        """Open (1) or close (-1) the gripper, which moves while the arm does; debounced."""
        close = self._toggle.decide(action, self._elapsed + self.host.time)
        if close is not None:
            self.host.close_gripper(close)

    def images(self) -> dict[str, np.ndarray]:
        """Render the wrist cameras; SerlError where no off-screen GL is to be had."""
        return self._render(self.host.qpos)

    def images_at(self, X_BE: Pose) -> dict[str, np.ndarray]:
        """Render the wrist cameras as if the tcp were at a pose, whatever it touches there; the arm does not move.

        SerlError where no off-screen GL is to be had or the pose is out of reach.
        """
        try:
            q = self.host.solve_ik(X_BE.position, X_BE.quaternion_xyzw, self.scene.q_home)
        except ValueError as error:
            raise SerlError(str(error)) from error
        return self._render(q)

    def _render(self, qpos: np.ndarray) -> dict[str, np.ndarray]:
        if self._renderer is None:
            from serl_sim.cameras import WristCameras  # needs off-screen GL, which state observations do not

            side = self._image_size
            self._renderer = WristCameras(self.scene.model, self.cameras, side, side, self._crops)
        return self._renderer.render(qpos)

    def trace(self) -> dict[str, np.ndarray]:
        """Return the 1 kHz log of the last `track`."""
        return self.host.trace()

    def close(self) -> None:
        """Let go of the renderer; the arm itself needs no leave."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
