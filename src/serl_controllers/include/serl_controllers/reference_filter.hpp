// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__REFERENCE_FILTER_HPP_
#define SERL_CONTROLLERS__REFERENCE_FILTER_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Fraction of the way to its input that a first-order lag covers in dt [s]: 1 - exp(-dt / time_constant).
///
/// Exact for an input that is constant over dt, so the response does not depend on the control rate. A time
/// constant of zero (or below) is no lag at all: 1.
double smoothing_fraction(double time_constant, double dt) noexcept;

/// First-order smoothing of a pose: straight line for the position, great arc (slerp) for the orientation.
///
/// It makes the smoothed target of the paper's Fig. 5 out of the commanded one.
class ReferenceFilter
{
public:
  /// Put the smoothed pose at X_BE.
  void reset(const Pose & X_BE) noexcept;

  /// Move the smoothed pose towards X_BE_target (finite, unit quaternion) for dt [s] and return it.
  const Pose & update(const Pose & X_BE_target, double time_constant, double dt) noexcept;

  /// The smoothed pose.
  const Pose & pose() const noexcept { return X_BE_; }

private:
  Pose X_BE_;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__REFERENCE_FILTER_HPP_
