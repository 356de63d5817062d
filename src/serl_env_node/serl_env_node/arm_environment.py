# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""An arm and a task as an `Environment`: relative observations, tcp-frame actions, safety box, random resets."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from serl_core.errors import ConfigError, SerlError
from serl_core.interfaces import RewardFn, StepResult
from serl_core.specs import ArraySpec, EnvSpec
from serl_env_node.arm import Arm, ArmState, LiveArm
from serl_env_node.config import EnvConfig
from serl_env_node.frames import Pose, displaced, limited_rotation, twist_in_tcp

RESETS = 3
"""How often a reset is tried on an arm that faults in it, before it is a person's turn."""


def state_specs(config: EnvConfig) -> tuple[ArraySpec, ...]:
    """Return the state arrays of an arm task; E is the tcp, E0 the tcp at the episode's start, G the goal."""
    pose_scale = (0.05,) * 3 + (1.0,) * 4
    near = (0.03,) * 3 + (0.2,) * 3
    lead = (config.leash_translation,) * 3 + (config.leash_rotation,) * 3
    specs = (
        ArraySpec("tcp_pose", (7,), unit="X_BE: m, quaternion xyzw", scale=(0.5,) * 3 + (1.0,) * 4),
        ArraySpec("tcp_pose_rel", (7,), unit="X_E0E: m, quaternion xyzw (paper IV-F)", scale=pose_scale),
        ArraySpec("tcp_twist", (6,), unit="V_BE_E in tcp axes: m/s, rad/s", scale=(0.1,) * 3 + (0.5,) * 3),
        ArraySpec("tcp_force", (3,), unit="external force on the tool, tcp axes: N", scale=10.0),
        ArraySpec("tcp_torque", (3,), unit="external torque on the tool at E, tcp axes: Nm", scale=1.0),
        ArraySpec("gripper", (1,), unit="width between the fingers: m", scale=0.08),
        ArraySpec(
            "target_offset", (6,), unit="commanded target in tcp frame: m, rotation vector rad", scale=lead
        ),
        ArraySpec("goal_pose", (6,), unit="taught goal in tcp frame: m, rotation vector rad", scale=near),
    )
    part = ArraySpec("part_offset", (3,), unit="part from where it belongs, axes of its place: m", scale=0.03)
    return (*specs, part) if config.observe_part else specs


class ArmEnvironment:
    """Implements `serl_core.interfaces.Environment` over an `Arm`.

    The action is a normalised twist in the tcp frame: the commanded target T moves by action * scale along its
    own axes, is kept within a leash of the tcp (no wind-up against a contact) and inside the safety box. Holding
    leaves the target where it is. A seventh element, where the task has a gripper, opens or closes it.
    """

    def __init__(
        self, arm: Arm, reward: RewardFn, config: EnvConfig, ground_truth: RewardFn | None = None
    ) -> None:
        if config.reset_height[0] > config.reset_height[1]:
            raise ConfigError(
                f"reset_height: lowest {config.reset_height[0]} exceeds highest {config.reset_height[1]}"
            )
        region = np.array([config.reset_xy, config.reset_xy, config.reset_height[1]])
        if np.any(-region[:2] < config.box_low[:2]) or np.any(region > config.box_high):
            raise ConfigError(
                f"starts reach {region} m from the goal, outside the safety box {config.box_low} to {config.box_high}"
            )
        if config.reset_yaw > config.box_rotation:
            raise ConfigError(
                f"reset_yaw {config.reset_yaw} rad exceeds the safety box's {config.box_rotation} rad"
            )
        self.config = config
        self.live = isinstance(arm, LiveArm)
        if config.gripper and not arm.has_gripper:
            raise ConfigError(
                "gripper: the arm has none that opens and closes; set gripper_action, or the scene of one that does"
            )
        self._arm = arm
        self._reward = reward
        self._ground_truth = ground_truth
        if config.observe_part and arm.state().part_offset is None:
            raise ConfigError(f"observe_part: {type(arm).__name__} does not know where the part is")
        self._rng = np.random.default_rng(config.seed)
        self._scale = np.array([config.translation_scale] * 3 + [config.rotation_scale] * 3)
        missing = [camera for camera in reward.cameras if camera not in arm.cameras]
        if missing:
            listing = ", ".join(arm.cameras) or "none"
            raise ConfigError(f"reward {reward.name} judges by camera {missing[0]!r}; the arm has {listing}")
        side = config.image_size
        images = [c for c in arm.cameras if config.obs == "image" or c in reward.cameras]
        self.spec = EnvSpec(
            task=config.task,
            state=state_specs(config),
            images=tuple(ArraySpec(key, (side, side, 3), "uint8", "rgb") for key in images),
            action_size=7 if config.gripper else 6,
            action_unit=f"twist in tcp frame, x {config.translation_scale} m, {config.rotation_scale} rad"
            + ("; gripper, 1 opens" if config.gripper else ""),
            policy_keys=config.policy_keys_image if config.obs == "image" else config.policy_keys_state,
            step_seconds=1.0 / config.rate_hz,
            max_steps=config.max_steps,
        )
        self._X_BE0: Pose | None = None
        self._X_BT: Pose | None = None
        self._time = 0.0

    @property
    def time(self) -> float:
        """Instant of the last observation on the arm's clock [s]."""
        return self._time

    def reset(self, seed: int | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Retract, then move to a random start in the paper's region (Table II) by a scripted motion.

        Raises:
            SerlError: the arm faults, or a live one meets more than the force limit on its way to the start, in every
                one of `RESETS` attempts, or it cannot be restarted.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._reward.reset()
        if self._ground_truth is not None:
            self._ground_truth.reset()
        for _ in range(RESETS):
            first, peak_force = self._go_to_start()
            fault = self._arm.state().fault
            if not fault and self.live and peak_force > self.config.force_limit:
                fault = (
                    f"{peak_force:.0f} N on the way to the start, over force_limit: is something in the way?"
                )
                self._X_BT = None  # from home again
            if not fault:
                return first
        raise SerlError(f"the arm cannot be reset, it was tried {RESETS} times: {fault}")

    def _go_to_start(self) -> tuple[tuple[dict[str, np.ndarray], dict[str, np.ndarray]], float]:
        """Return the first observation and the largest force after the retraction, which may begin in contact [N]."""
        c, X_BG = self.config, self._arm.goal
        # What was gripped lies elsewhere now: a simulation puts it back, at a real arm somebody must.
        displaced_part = c.gripper and not self.live
        if self._X_BT is None or self._arm.state().fault or displaced_part:
            self._arm.restart(int(self._rng.integers(2**31)))
        here = self._arm.state().X_BE
        up = np.array(
            [here.position[0], here.position[1], max(here.position[2], X_BG.position[2] + c.retract_height)]
        )
        self._arm.move(Pose(up, here.rotation), c.reset_seconds)
        offset = [*self._rng.uniform(-c.reset_xy, c.reset_xy, 2), self._rng.uniform(*c.reset_height)]
        yaw = self._rng.uniform(-c.reset_yaw, c.reset_yaw)
        start = Pose(X_BG.position + offset, Rotation.from_rotvec([0.0, 0.0, yaw]) * X_BG.rotation)
        moved = self._arm.move(start, c.reset_seconds)
        state = self._arm.track(start, 0.3)
        self._X_BT = start
        self._X_BE0 = state.X_BE
        return self._observe(state), max(moved.peak_force, state.peak_force)

    def step(self, action: np.ndarray | None) -> StepResult:
        """Move the target by the action (None: leave it) and let one step's time pass."""
        if self._X_BT is None:
            raise RuntimeError("reset must come before step")
        if action is not None:
            self._X_BT = self._safe_target(
                displaced(self._X_BT, action[:6] * self._scale), self._arm.state().X_BE
            )
            if self.config.gripper:
                self._arm.grip(float(action[6]))
        state = self._arm.track(self._X_BT, self.spec.step_seconds)
        observed, images = self._observe(state)
        verdict = self._reward(observed, images)
        fault = state.fault or (self._arm.state().fault if images else "")
        end = f"fault: {fault}" if fault else ""
        if not end and state.peak_force > self.config.force_limit:
            end = "force_limit"
        return StepResult(
            state=observed,
            images=images,
            reward=verdict,
            terminated=verdict.success,
            truncated=bool(end) and not verdict.success,
            end_reason="success" if verdict.success else end,
            peak_force=state.peak_force,
            trace=self._trace(state),
            ground_truth=None if self._ground_truth is None else self._ground_truth(observed, images).success,
        )

    def figures(self) -> dict[str, Any]:
        """Return what a live arm has to tell."""
        return self._arm.figures() if isinstance(self._arm, LiveArm) else {}

    def halt(self) -> None:
        """End a motion of a live arm; it holds."""
        if isinstance(self._arm, LiveArm):
            self._arm.halt()

    def close(self) -> None:
        """Let go of the arm; it keeps holding."""
        self._arm.close()

    def _safe_target(self, X_BT: Pose, X_BE: Pose) -> Pose:
        """Return the target within its leash of the tcp and inside the safety box; the box has the last word."""
        c, X_BG = self.config, self._arm.goal
        lead = X_BT.position - X_BE.position
        distance = float(np.linalg.norm(lead))
        position = (
            X_BT.position
            if distance <= c.leash_translation
            else X_BE.position + lead * (c.leash_translation / distance)
        )
        position = X_BG.position + np.clip(position - X_BG.position, c.box_low, c.box_high)
        rotation = X_BE.rotation * limited_rotation(X_BE.rotation.inv() * X_BT.rotation, c.leash_rotation)
        rotation = X_BG.rotation * limited_rotation(X_BG.rotation.inv() * rotation, c.box_rotation)
        return Pose(position, rotation)

    def _trace(self, state: ArmState) -> dict[str, np.ndarray]:
        """The arm's log of the step, with what its last row lacks and the state knows."""
        trace = self._arm.trace()
        known = {"twist": state.V_BE[None], "peak_force": np.array([state.peak_force])}
        return {**known, **trace} if trace else {}

    def _observe(self, s: ArmState) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        assert self._X_BE0 is not None and self._X_BT is not None
        self._time = s.time
        X_EB = s.X_BE.inverse()
        X_E0E = self._X_BE0.inverse() * s.X_BE
        arrays = {
            "tcp_pose": np.concatenate([s.X_BE.position, s.X_BE.quaternion_xyzw]),
            "tcp_pose_rel": np.concatenate([X_E0E.position, X_E0E.quaternion_xyzw]),
            "tcp_twist": twist_in_tcp(s.X_BE, s.V_BE),
            "tcp_force": X_EB.rotation.apply(s.F_E_B[:3]),
            "tcp_torque": X_EB.rotation.apply(s.F_E_B[3:]),
            "gripper": np.array([s.gripper_width]),
            "target_offset": (X_EB * self._X_BT).vector(),
            "goal_pose": (X_EB * self._arm.goal).vector(),
        }
        if self.config.observe_part:
            assert s.part_offset is not None
            arrays["part_offset"] = s.part_offset
        pictures = self._arm.images() if self.spec.images else {}
        images = {camera: pictures[camera] for camera in self.spec.image_keys}
        return {name: value.astype(np.float32) for name, value in arrays.items()}, images
