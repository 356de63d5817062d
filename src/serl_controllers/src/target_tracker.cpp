// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/target_tracker.hpp"

#include "serl_controllers/orientation.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kRounding = 1e-6;  // [m]

}  // namespace

std::string_view describe(Hold hold) noexcept
{
  switch (hold) {
    case Hold::kNone:
      return "following the target";
    case Hold::kNoTarget:
      return "no target yet: publish one to ~/target_pose";
    case Hold::kStale:
      return "no target for longer than target.timeout: is its publisher alive?";
    case Hold::kNotFinite:
      return "target has a NaN or an infinity: mend its publisher";
    case Hold::kBadQuaternion:
      return "target's quaternion is not of unit length: normalise it";
    case Hold::kWrongFrame:
      return "target is not in the base frame: set frame_id to frames.base";
    case Hold::kOldStamp:
      return "target's stamp is off by more than target.timeout: synchronise clocks, or send stamp 0";
    case Hold::kJump:
      return "target is too far from the measured pose: approach it in steps";
    case Hold::kOutsideBox:
      return "target is outside the safety box: see workspace.min and workspace.max";
  }
  return "unknown reason";
}

Hold check_target(const Pose & X_BE_target, const Pose & X_BE, const TargetLimits & limits) noexcept
{
  if (!is_finite(X_BE_target)) {
    return Hold::kNotFinite;
  }
  if (!is_unit(X_BE_target.orientation)) {
    return Hold::kBadQuaternion;
  }
  const Eigen::Array3d position = X_BE_target.position.array();
  if (
    (position < limits.box_min.array() - kRounding).any() ||
    (position > limits.box_max.array() + kRounding).any()) {
    return Hold::kOutsideBox;
  }
  const Vector6 error = pose_error(X_BE_target, X_BE);
  // Written so that a measured pose that is not finite refuses every target.
  const bool near =
    error.head<3>().norm() <= limits.max_translation && error.tail<3>().norm() <= limits.max_rotation;
  return near ? Hold::kNone : Hold::kJump;
}

void TargetTracker::reset(const Pose & X_BE) noexcept
{
  X_BE_ = X_BE;
  hold_ = Hold::kNoTarget;
  silence_ = 0.0;
}

void TargetTracker::follow(const Pose & X_BE_target) noexcept
{
  X_BE_ = X_BE_target;
  hold_ = Hold::kNone;
  silence_ = 0.0;
}

void TargetTracker::refuse(Hold reason, const Pose & X_BE_hold) noexcept
{
  if (hold_ == Hold::kNone) {
    X_BE_ = X_BE_hold;
  }
  hold_ = reason;
}

const Pose & TargetTracker::update(const Pose & X_BE_hold, double timeout, double dt) noexcept
{
  silence_ += dt;
  if (hold_ == Hold::kNone && silence_ > timeout) {
    refuse(Hold::kStale, X_BE_hold);
  }
  return X_BE_;
}

}  // namespace serl_controllers
