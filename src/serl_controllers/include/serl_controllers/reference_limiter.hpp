// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__REFERENCE_LIMITER_HPP_
#define SERL_CONTROLLERS__REFERENCE_LIMITER_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// What reference limiting made of a target.
struct LimitedReference
{
  Vector6 error;          ///< target - measured, before clipping; base axes [m, rad]
  Vector6 clipped_error;  ///< the same with each axis inside its limits [m, rad]
  Pose X_BE_clipped;      ///< the target that clipped_error belongs to: measured pose moved by it
  bool clipped;           ///< true if any axis was outside its limits
};

/// Reference limiting (SERL IV-E): draw the target so near to the measured pose that no axis of the error
/// leaves [error_min, error_max].
///
/// X_BE_target and X_BE are finite poses with unit quaternions; error_min ≤ 0 ≤ error_max, base axes,
/// [m, rad]. The three rotational axes clip the components of the rotation vector.
LimitedReference limit_reference(
  const Pose & X_BE_target, const Pose & X_BE, const Vector6 & error_min, const Vector6 & error_max) noexcept;

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__REFERENCE_LIMITER_HPP_
