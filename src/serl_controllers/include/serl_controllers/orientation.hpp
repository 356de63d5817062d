// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__ORIENTATION_HPP_
#define SERL_CONTROLLERS__ORIENTATION_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Rotation vector [rad] that turns `from` into `to`, on the axes of the common parent frame.
///
///   φ = log(R_to R_fromᵀ),  exp(φ) R_from = R_to,  |φ| in [0, π]
///
/// q and -q give the same answer. At exactly π two answers are equally short; one of them is returned, with
/// magnitude π. Both quaternions must be finite and of unit length (rounding is harmless).
Eigen::Vector3d orientation_error(const Eigen::Quaterniond & to, const Eigen::Quaterniond & from) noexcept;

/// Unit quaternion of a rotation vector [rad]: the inverse of orientation_error.
Eigen::Quaterniond rotation_from_vector(const Eigen::Vector3d & rotation_vector) noexcept;

/// Pose error of E in base B, rows of Vector6, base axes [m, rad]: zero at the target and pointing to it.
Vector6 pose_error(const Pose & X_BE_target, const Pose & X_BE) noexcept;

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__ORIENTATION_HPP_
