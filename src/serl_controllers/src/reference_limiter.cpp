// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/reference_limiter.hpp"

#include "serl_controllers/orientation.hpp"

namespace serl_controllers
{

LimitedReference limit_reference(
  const Pose & X_BE_target, const Pose & X_BE, const Vector6 & error_min, const Vector6 & error_max) noexcept
{
  LimitedReference limited;
  limited.error = pose_error(X_BE_target, X_BE);
  limited.clipped_error = limited.error.cwiseMax(error_min).cwiseMin(error_max);
  limited.clipped = limited.clipped_error != limited.error;
  limited.X_BE_clipped.position = X_BE.position + limited.clipped_error.head<3>();
  limited.X_BE_clipped.orientation = rotation_from_vector(limited.clipped_error.tail<3>()) * X_BE.orientation;
  return limited;
}

}  // namespace serl_controllers
