// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/orientation.hpp"

#include <cmath>

namespace serl_controllers
{

Eigen::Vector3d orientation_error(const Eigen::Quaterniond & to, const Eigen::Quaterniond & from) noexcept
{
  const Eigen::Quaterniond delta = to * from.conjugate();
  const double sine = delta.vec().norm();
  // atan2 is exact at both ends of [0, pi], where acos and asin lose half of their digits. Of delta and
  // -delta, which are the same rotation, the one with a positive scalar part is the short way round.
  const double angle = 2.0 * std::atan2(sine, std::abs(delta.w()));
  const double sign = delta.w() < 0.0 ? -1.0 : 1.0;
  // Below this the quotient angle / sine has reached its limit of 2 to the last digit.
  const double scale = sine > 1e-10 ? angle / sine : 2.0;
  return sign * scale * delta.vec();
}

Eigen::Quaterniond rotation_from_vector(const Eigen::Vector3d & rotation_vector) noexcept
{
  const double angle = rotation_vector.norm();
  const double scale = angle > 1e-10 ? std::sin(0.5 * angle) / angle : 0.5;
  Eigen::Quaterniond rotation;
  rotation.w() = std::cos(0.5 * angle);
  rotation.vec() = scale * rotation_vector;
  return rotation;
}

Vector6 pose_error(const Pose & X_BE_target, const Pose & X_BE) noexcept
{
  Vector6 error;
  error.head<3>() = X_BE_target.position - X_BE.position;
  error.tail<3>() = orientation_error(X_BE_target.orientation, X_BE.orientation);
  return error;
}

}  // namespace serl_controllers
