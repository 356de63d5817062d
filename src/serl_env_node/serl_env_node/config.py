# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"""Parameters of the environment node; a task's numbers are in its env.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from serl_core.parameters import parameter


@dataclass(frozen=True)
class EnvConfig:
    """Settings of an environment; names are ROS parameter names."""

    task: str = parameter("", "name of the task, written into every transition")
    arm: str = parameter("", "back end of the arm as module:Class, e.g. serl_sim.simulated_arm:SimulatedArm")
    env_id: str = parameter("", "id of a Gymnasium environment to serve instead of an arm, e.g. Pendulum-v1")
    reward: str = parameter("", "reward function as module:Class, e.g. serl_reward.pose:PoseReward")
    ground_truth: str = parameter(
        "",
        "reward function that knows the truth where `reward` is learned; what it says is recorded beside the episode's"
        " success and trains nothing",
    )
    observe_part: bool = parameter(
        False, "observe how far the part is from where it belongs, which only a simulation knows"
    )
    obs: str = parameter("state", "what the policy sees: state, or image (two cameras and proprioception)",
                         choices=("state", "image"))  # fmt: skip
    policy_keys_state: tuple[str, ...] = parameter((), "state keys that the policy reads when obs is state")
    policy_keys_image: tuple[str, ...] = parameter(
        (), "state keys and cameras that the policy reads when obs is image"
    )
    image_size: int = parameter(128, "width and height of the cameras' pictures [pixels]", 16, 480)
    rate_hz: float = parameter(10.0, "steps a second on the environment's clock [Hz]", 0.1, 100.0)
    max_steps: int = parameter(100, "steps until an episode times out", 1, 100_000)
    real_time_factor: float = parameter(
        0.0,
        "1: real time; 0: as fast as the update-to-data ratio allows; 2: twice real time; with an arm that keeps its"
        " own time: the speed of its clock",
        0.0,
        100.0,
    )
    action_timeout_s: float = parameter(
        0.05, "in real time, how long a step waits for its action before it holds [s]", 0.001, 10.0
    )
    policy: bool = parameter(True, "steps wait for a policy's action")
    operator: bool = parameter(
        False, "steps heed an operator (and, when not in real time, wait for its word)"
    )
    max_unacknowledged: int = parameter(
        20_000,
        "transitions kept for resending; the environment pauses when they are not acknowledged",
        1,
        10_000_000,
    )
    max_episodes: int = parameter(0, "episodes to run; 0: without end", 0, 10_000_000)
    max_successes: int = parameter(0, "successful episodes to run; 0: without end", 0, 10_000_000)
    seed: int = parameter(0, "seed of the resets; episodes go on from one stream", 0, 2**31 - 1)

    translation_scale: float = parameter(0.01, "displacement of the target by an action of 1 [m]", 1e-5, 0.1)
    rotation_scale: float = parameter(0.05, "rotation of the target by an action of 1 [rad]", 1e-5, 1.0)
    leash_translation: float = parameter(0.02, "farthest that the target may lead the tcp [m]", 1e-4, 0.2)
    leash_rotation: float = parameter(0.15, "farthest that the target may lead the tcp [rad]", 1e-3, 1.0)
    box_low: tuple[float, ...] = parameter(
        (-0.06, -0.06, -0.002),
        "safety box: lowest target position relative to the goal, base axes [m]",
        size=3,
    )
    box_high: tuple[float, ...] = parameter(
        (0.06, 0.06, 0.10), "safety box: highest target position relative to the goal, base axes [m]", size=3
    )
    box_rotation: float = parameter(
        0.35, "safety box: largest rotation of the target from the goal [rad]", 0.0, 3.1
    )
    gripper: bool = parameter(
        False, "actions have a seventh element for the gripper: below -0.5 closes, above 0.5 opens"
    )
    force_limit: float = parameter(60.0, "external force that ends the episode [N]", 1.0, 1000.0)

    reset_xy: float = parameter(0.05, "half width of the region of random starts, in x and y [m]", 0.0, 0.5)
    reset_height: tuple[float, ...] = parameter(
        (0.03, 0.06), "lowest and highest start above the goal [m]", size=2
    )
    reset_yaw: float = parameter(0.2, "largest random rotation about z at the start [rad]", 0.0, 3.1)
    retract_height: float = parameter(
        0.05, "height above the goal to retract to before a reset [m]", 0.0, 0.5
    )
    reset_seconds: float = parameter(1.0, "duration of each motion of the reset [s]", 0.1, 10.0)
