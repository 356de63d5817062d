// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/reference_filter.hpp"

#include <cmath>

#include "serl_controllers/orientation.hpp"

namespace serl_controllers
{

double smoothing_fraction(double time_constant, double dt) noexcept
{
  return time_constant > 0.0 ? -std::expm1(-dt / time_constant) : 1.0;
}

void ReferenceFilter::reset(const Pose & X_BE) noexcept
{
  X_BE_.position = X_BE.position;
  X_BE_.orientation = X_BE.orientation.normalized();
}

const Pose & ReferenceFilter::update(const Pose & X_BE_target, double time_constant, double dt) noexcept
{
  const double fraction = smoothing_fraction(time_constant, dt);
  X_BE_.position += fraction * (X_BE_target.position - X_BE_.position);
  const Eigen::Vector3d step = fraction * orientation_error(X_BE_target.orientation, X_BE_.orientation);
  // Normalised each time: the product of unit quaternions leaves the unit sphere by rounding only, but over
  // hours of 1 kHz the rounding adds up.
  X_BE_.orientation = (rotation_from_vector(step) * X_BE_.orientation).normalized();
  return X_BE_;
}

}  // namespace serl_controllers
