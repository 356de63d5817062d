# Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
import numpy as np
from numpy.typing import ArrayLike, NDArray

# A vector may be set from any array-like of its size; what comes back is read-only.
_Array = NDArray[np.float64]

FLAGS: dict[str, int]

class Pose:
    position: _Array
    orientation_xyzw: _Array
    def __init__(self, position: ArrayLike = ..., orientation_xyzw: ArrayLike = ...) -> None: ...

class ImpedanceGains:
    stiffness: _Array
    damping: _Array
    error_min: _Array
    error_max: _Array
    integral_gain: _Array
    integral_limit: _Array
    nullspace_stiffness: float
    nullspace_damping: float
    target_time_constant: float
    gain_time_constant: float
    max_torque: _Array
    max_torque_rate: _Array
    def __init__(self, other: ImpedanceGains = ...) -> None: ...
    @staticmethod
    def compliant() -> ImpedanceGains: ...
    @staticmethod
    def precise() -> ImpedanceGains: ...
    def validate(self) -> str: ...

class RobotState:
    q: _Array
    dq: _Array
    coriolis: _Array
    X_BE: Pose
    J_BE: _Array

class Command:
    X_BE_target: Pose
    feed_forward: _Array
    q_nullspace: _Array

class Output:
    @property
    def torque(self) -> _Array: ...
    @property
    def task_torque(self) -> _Array: ...
    @property
    def nullspace_torque(self) -> _Array: ...
    @property
    def X_BE_commanded(self) -> Pose: ...
    @property
    def X_BE_smoothed(self) -> Pose: ...
    @property
    def X_BE_clipped(self) -> Pose: ...
    @property
    def error(self) -> _Array: ...
    @property
    def clipped_error(self) -> _Array: ...
    @property
    def integral_wrench(self) -> _Array: ...
    @property
    def wrench(self) -> _Array: ...
    @property
    def flags(self) -> int: ...

class CartesianImpedanceLaw:
    def __init__(self, gains: ImpedanceGains = ...) -> None: ...
    def reset(self, state: RobotState, torque: ArrayLike | None = None) -> bool: ...
    def set_gains(self, gains: ImpedanceGains) -> None: ...
    @property
    def gains(self) -> ImpedanceGains: ...
    @property
    def active_gains(self) -> ImpedanceGains: ...
    @property
    def output(self) -> Output: ...
    def update(self, state: RobotState, command: Command, dt: float) -> Output: ...

def orientation_error(to_xyzw: ArrayLike, from_xyzw: ArrayLike) -> _Array: ...
def time_updates(iterations: int, repeats: int) -> list[float]: ...
