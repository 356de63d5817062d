# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""An arm behind ros2_control as the environment wants an arm; what it asks of ROS is an `ArmLink`. No ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serl_core.codec import BASE_FRAME
from serl_core.errors import ConfigError, SerlError
from serl_core.parameters import parameter
from serl_env_node.arm import ArmState
from serl_env_node.arm_stream import ArmStream, minimum_jerk
from serl_env_node.camera_stream import CameraStream
from serl_env_node.controller_trace import to_trace
from serl_env_node.frames import Pose
from serl_env_node.gripper_toggle import GripperToggle

NEAR_GOAL_M = 0.15
"""Only this near the goal may something be in the way of the joints' motion home."""

LIFT_SECONDS = 2.0


@dataclass(frozen=True)
class Ros2ControlArmConfig:
    """Settings of an arm behind ros2_control; names are ROS parameter names."""

    goal_position: tuple[float, ...] = parameter(
        (), "taught goal of the tcp in the base: connector seated [m]; must be given", -2.0, 2.0
    )
    goal_quaternion_xyzw: tuple[float, ...] = parameter(
        (1.0, 0.0, 0.0, 0.0), "taught orientation of the tcp in the base, xyzw; the default points down", -1.0, 1.0,
        size=4,
    )  # fmt: skip
    home: tuple[float, ...] = parameter(
        (), "joint positions to restart from [rad]; empty: those of the reset controller", -7.0, 7.0
    )
    lift: float = parameter(
        0.05, "height above the goal to lift to, near it, before the joints move [m]; 0: never lift", 0.0, 0.3
    )
    base_frame: str = parameter(BASE_FRAME, "frame of the controller's poses")
    namespace: str = parameter("", "namespace of the arm's controllers")
    controller: str = parameter("cartesian_impedance_controller", "controller that follows targets")
    reset_controller: str = parameter("joint_reset_controller", "controller that moves the joints home")
    controller_manager: str = parameter("controller_manager", "who switches between the two")
    simulation_reset: str = parameter(
        "", "service that resets a simulation, e.g. /lockstep_system/reset; empty: none"
    )
    gains: str = parameter("compliant", "gain set of steps; empty: whatever the controller has")
    reset_gains: str = parameter("precise", "gain set of resets; empty: whatever the controller has")
    target_period_s: float = parameter(
        0.02, "targets are sent this often on the controller's clock, as a heartbeat too [s]", 0.001, 0.1
    )
    state_timeout_s: float = parameter(
        0.5,
        "states and wrenches may be missing this long on the wall clock before it is a fault [s]",
        0.02,
        10.0,
    )
    service_timeout_s: float = parameter(
        10.0, "longest wait for a service, or for the first state of a controller [s]", 0.1, 120.0
    )
    motion_timeout_s: float = parameter(60.0, "longest motion home [s]", 1.0, 600.0)
    wrench_source: str = parameter(
        "controller", "who measures the external wrench: the controller's state, a topic, or nobody (no force limit)",
        choices=("controller", "topic", "none"),
    )  # fmt: skip
    wrench_topic: str = parameter(
        "", "geometry_msgs/WrenchStamped at the tcp in its axes, for wrench_source topic"
    )
    wrench_scale: float = parameter(
        1.0,
        "1: the topic has the wrench of the world on the tool; -1: that of the tool on the world",
        -1.0,
        1.0,
    )
    cameras: tuple[str, ...] = parameter((), "names of the cameras, in order")
    image_topic: str = parameter(
        "/{camera}/color/image_raw", "topic of each camera's sensor_msgs/Image, rgb8 or bgr8"
    )
    crops: tuple[int, ...] = parameter(
        (), "left, top, width, height for each camera [pixels]; empty: the largest centred square", 0, 10_000
    )
    image_size: int = parameter(128, "width and height of the cameras' pictures [pixels]", 16, 480)
    image_max_age_s: float = parameter(
        0.15, "farthest that a picture may be from the state that it belongs to [s]", 0.001, 10.0
    )
    gripper_action: str = parameter(
        "",
        "control_msgs/action/GripperCommand of the gripper, e.g. /franka_gripper/gripper_action; empty: none",
    )
    gripper_open: float = parameter(0.04, "position of the open gripper, in its own unit", -1.0, 1.0)
    gripper_closed: float = parameter(0.0, "position of the closed gripper, in its own unit", -1.0, 1.0)
    gripper_reported_open: float = parameter(
        0.0,
        "position that the open gripper reports, where that is another than it is told; 0: gripper_open",
        -1.0,
        1.0,
    )
    gripper_effort: float = parameter(40.0, "largest effort of the gripper, in its own unit", 0.0, 1000.0)
    gripper_width_open: float = parameter(0.08, "width between the fingers of the open gripper [m]", 0.0, 0.5)
    gripper_width: float = parameter(
        0.0, "width between the fingers until the gripper tells it: of what it holds [m]", 0.0, 0.5
    )


class ArmLink(Protocol):
    """What `StreamedArm` asks of the outside. Each call may block and raises a SerlError where it fails."""

    def send_target(self, X_BT: Pose, stamp: float) -> None:
        """Send a target, stamped with the controller's clock [s]; does not block."""

    def use_gains(self, name: str) -> None:
        """Let the controller glide to a set of gains."""

    def active_controllers(self) -> set[str]:
        """Return the names of the active controllers."""

    def switch(self, activate: Sequence[str], deactivate: Sequence[str]) -> None:
        """Activate and deactivate controllers within one cycle."""

    def reset_simulation(self, seed: int) -> None:
        """Put a simulation at its start."""

    def move_joints(self, positions: Sequence[float]) -> None:
        """Move the joints by minimum jerk and wait [rad]; ends early, holding, after `close` or `halt`."""

    def command_gripper(self, position: float, effort: float) -> None:
        """Send a gripper somewhere; does not block."""

    def halt(self) -> None:
        """End `move_joints`; may be called from another thread."""

    def close(self) -> None:
        """Disconnect."""


class StreamedArm:
    """Implements `serl_env_node.arm.LiveArm` over an `ArmLink` and what it delivers to `stream` and `frames`.

    The controller keeps its reference within the leash of the measured pose, holds when targets stop coming, and
    refuses those that are wrong: this class says so as `ArmState.fault`, which stays until `restart`.
    """

    def __init__(self, config: Ros2ControlArmConfig, link: ArmLink) -> None:
        if len(config.goal_position) != 3:
            raise ConfigError("goal_position must have 3 elements: teach the goal and write it into the task")
        if abs(np.linalg.norm(config.goal_quaternion_xyzw) - 1.0) > 1e-3:
            raise ConfigError(f"goal_quaternion_xyzw {config.goal_quaternion_xyzw} has not unit length")
        if config.wrench_source == "topic" and not config.wrench_topic:
            raise ConfigError("wrench_source is topic: name the wrench_topic")
        self._reported_open = config.gripper_reported_open or config.gripper_open
        for name, opened in (("open", config.gripper_open), ("reported_open", self._reported_open)):
            if opened == config.gripper_closed:
                raise ConfigError(f"gripper_{name} and gripper_closed are both {opened}")
        if "{camera}" not in config.image_topic and len(config.cameras) > 1:
            raise ConfigError(f"image_topic {config.image_topic!r} needs {{camera}} for several cameras")
        self.goal = Pose.from_arrays(np.array(config.goal_position), np.array(config.goal_quaternion_xyzw))
        self.cameras = config.cameras
        self.stream = ArmStream(
            link.send_target, config.target_period_s, config.state_timeout_s, config.base_frame
        )
        self.frames = CameraStream(config.cameras, config.crops, config.image_size, config.image_max_age_s)
        self._config = config
        self._link = link
        self._toggle = GripperToggle()
        self.has_gripper = bool(config.gripper_action)
        self._width = config.gripper_width
        self._gains = ""
        self._due: float | None = None
        self._trace: dict[str, np.ndarray] = {}
        self._late_steps = 0
        self._restarts = 0
        self._refused = 0
        self._rate_from: tuple[int, float] = (0, 0.0)

    # What the link delivers, from its own thread.

    def put_gripper(self, position: float) -> None:
        """Take in the position that the gripper reports, in its own unit."""
        c = self._config
        opening = (position - c.gripper_closed) / (self._reported_open - c.gripper_closed)
        self._width = float(np.clip(opening, 0.0, 1.0)) * c.gripper_width_open

    # What the environment asks.

    def restart(self, seed: int) -> ArmState:
        """Lift out of contact if near the goal, move the joints home, and let the impedance controller hold there.

        Raises:
            SerlError: it cannot be done; says what did not answer or what refused.
        """
        c, link = self._config, self._link
        self._restarts += 1
        self._lift()
        if c.simulation_reset:
            self._switch(off=(c.controller, c.reset_controller))
            link.reset_simulation(seed)
        self._switch(on=c.reset_controller, off=(c.controller,))
        link.move_joints(c.home)
        self.stream.heed_halt()
        self.stream.forget()
        self.frames.forget()
        self._switch(on=c.controller, off=(c.reset_controller,))
        self._gains, self._due = "", None
        state = self.stream.latest(c.service_timeout_s)
        if c.wrench_source == "controller" and not np.isfinite(state.external_wrench).all():
            raise ConfigError(
                "the controller measures no external wrench: set wrench_source to topic, or to none to do without a"
                " force limit"
            )
        return self.state()

    def state(self) -> ArmState:
        """Return the latest state; its peak force goes on being gathered."""
        return self._arm_state(take_peak=False)

    def track(self, X_BT: Pose, seconds: float) -> ArmState:
        """Send a target until its period is over; see `LiveArm`."""
        self._use_gains(self._config.gains)
        now = self.stream.latest().stamp
        began = now if self._due is None else self._due
        if now > began + seconds:
            self._late_steps += 1
            began = now
        self._due = began + seconds
        self.stream.follow(lambda _: X_BT, self._due)
        self._trace = to_trace(self.stream.take_log())
        return self._arm_state(take_peak=True)

    def move(self, X_BT: Pose, seconds: float) -> ArmState:
        """Follow a minimum-jerk motion of the target, from where the controller's reference is to X_BT."""
        self._use_gains(self._config.reset_gains)
        self._go(X_BT, seconds)
        return self._arm_state(take_peak=True)

    def images(self) -> dict[str, np.ndarray]:
        """Return the pictures nearest to the state that was returned last; a missing one is a fault."""
        pictures, fault = self.frames.at(self.stream.latest().stamp if self._due is None else self._due)
        self.stream.fault = self.stream.fault or fault
        return pictures

    def trace(self) -> dict[str, np.ndarray]:
        """Return the states that came during the last `track`, and since the one before it."""
        return self._trace

    def grip(self, action: float) -> None:
        """Open (1) or close (-1) the gripper; debounced, and not waited for."""
        c = self._config
        close = self._toggle.decide(action, self.stream.latest().stamp)
        if close is not None:
            self._link.command_gripper(c.gripper_closed if close else c.gripper_open, c.gripper_effort)

    def figures(self) -> dict[str, Any]:
        """Return rates, ages and counts."""
        stream = self.stream
        received, since = self._rate_from
        state = stream.last
        stamp = state.stamp if state is not None else since
        rate = (stream.received - received) / (stamp - since) if stamp > since else 0.0
        self._rate_from = (stream.received, stamp)
        return {
            "late_steps": self._late_steps,
            "arm_restarts": self._restarts,
            "arm_fault": stream.fault,
            "state_rate_hz": round(rate, 1),
            "state_age_ms": round(1e3 * stream.age, 1) if state is not None else "none yet",
            "refused_targets": state.refused_targets if state is not None else 0,
            "gains": self._gains,
            **{f"{name}_age_ms": round(1e3 * age, 1) for name, age in self.frames.ages.items()},
        }

    def halt(self) -> None:
        """End a motion under way; the controller holds."""
        self.stream.halt()
        self._link.halt()

    def close(self) -> None:
        """Disconnect; the controller holds."""
        self._link.close()

    # Inside.

    def _arm_state(self, take_peak: bool) -> ArmState:
        c, s = self._config, self.stream.latest()
        fault = self.stream.check()
        X_BE = Pose.from_arrays(s.measured[:3], s.measured[3:])
        wrench = np.zeros(6)
        if c.wrench_source == "controller":
            wrench = s.external_wrench
        elif c.wrench_source == "topic":
            F_E_E = self.stream.wrench
            if F_E_E is None:
                self.stream.fault = fault = fault or f"no wrench on {c.wrench_topic}"
            else:
                wrench = np.concatenate([X_BE.rotation.apply(F_E_E[:3]), X_BE.rotation.apply(F_E_E[3:])])
        if not np.isfinite(wrench).all():
            self.stream.fault = fault = fault or "the external wrench is not finite"
            wrench = np.zeros(6)
        return ArmState(
            time=s.stamp,
            X_BE=X_BE,
            V_BE=s.twist,
            F_E_B=wrench,
            gripper_width=self._width,
            peak_force=0.0 if c.wrench_source == "none" else self.stream.peak(take_peak),
            fault=fault,
        )

    def _go(self, X_BT: Pose, seconds: float) -> None:
        state = self.stream.latest()
        here = Pose.from_arrays(state.smoothed[:3], state.smoothed[3:])
        self._due = state.stamp + seconds
        self.stream.follow(minimum_jerk(here, X_BT, state.stamp, seconds), self._due, motion=True)

    def _lift(self) -> None:
        """Move straight up under impedance if the tool may be in contact and the controller still follows."""
        c = self._config
        self.stream.forgive()  # a refused target or a silent sensor is no reason to stay in contact, silence is
        if c.controller not in self._link.active_controllers():
            return
        try:
            measured = self.stream.latest(c.state_timeout_s).measured
        except SerlError:
            self.stream.heed_halt()
            return
        if self.stream.check():
            return
        offset = measured[:3] - self.goal.position
        rise = c.lift - offset[2]
        if np.hypot(offset[0], offset[1]) < NEAR_GOAL_M and 0.0 < rise < c.lift + NEAR_GOAL_M:
            up = Pose.from_arrays(measured[:3] + np.array([0.0, 0.0, rise]), measured[3:])
            self._go(up, LIFT_SECONDS)

    def _switch(self, on: str = "", off: Sequence[str] = ()) -> None:
        """Ask only for what is not so already: a strict switch refuses the rest."""
        active = self._link.active_controllers()
        activate = [on] if on and on not in active else []
        deactivate = [name for name in off if name in active]
        if activate or deactivate:
            self._link.switch(activate, deactivate)

    def _use_gains(self, name: str) -> None:
        if name and name != self._gains:
            self._link.use_gains(name)
            self._gains = name
