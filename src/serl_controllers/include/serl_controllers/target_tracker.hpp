// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__TARGET_TRACKER_HPP_
#define SERL_CONTROLLERS__TARGET_TRACKER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Why the arm holds instead of following the target last sent. The numbers are those of HOLD_* in
/// serl_msgs/ControllerState.
enum class Hold : std::uint8_t
{
  kNone = 0,           ///< it follows
  kNoTarget = 1,       ///< none came since activation
  kStale = 2,          ///< none came for longer than the time-out
  kNotFinite = 3,      ///< it had a NaN or an infinity
  kBadQuaternion = 4,  ///< its quaternion was not of unit length
  kWrongFrame = 5,     ///< it was not given in the base frame
  kOldStamp = 6,       ///< its stamp was further from now than the time-out
  kJump = 7,           ///< it was too far from the measured pose
  kOutsideBox = 8,     ///< its position was outside the safety box
};

/// Number of values of Hold.
constexpr std::size_t kHolds = 9;

/// Cause and remedy in one line, for logs and diagnostics.
std::string_view describe(Hold hold) noexcept;

/// What a target must keep to.
struct TargetLimits
{
  double timeout = 0.5;          ///< oldest that a target may be [s], > 0
  double max_translation = 0.3;  ///< farthest from the measured position [m], > 0
  double max_rotation = 1.0;     ///< farthest from the measured orientation [rad], > 0
  Eigen::Vector3d box_min = Eigen::Vector3d::Constant(-10.0);  ///< safety box of E in base axes [m]
  Eigen::Vector3d box_max = Eigen::Vector3d::Constant(10.0);   ///< [m], not below box_min
};

/// Hold::kNone if E, now at X_BE, may be sent to X_BE_target; otherwise what is wrong with the target.
///
/// A target on the face of the box is inside it, up to the rounding (1 µm) of whoever clipped it there.
Hold check_target(const Pose & X_BE_target, const Pose & X_BE, const TargetLimits & limits) noexcept;

/// What the impedance is to pull to in each cycle: the last good target, or, after silence or a bad one, the
/// pose that it was last pulling to.
///
/// It holds where the *clipped* target was, not where the target was: an arm in free motion stops within
/// the error limits, and one in contact goes on pressing as it did, and no harder.
class TargetTracker
{
public:
  /// Hold at a pose until the first target.
  void reset(const Pose & X_BE) noexcept;

  /// A target that passed check_target.
  void follow(const Pose & X_BE_target) noexcept;

  /// A target did not pass: hold at X_BE_hold, or where it holds already.
  void refuse(Hold reason, const Pose & X_BE_hold) noexcept;

  /// The pose to pull to in this cycle of dt [s]; X_BE_hold is where to hold if `timeout` [s] has passed.
  const Pose & update(const Pose & X_BE_hold, double timeout, double dt) noexcept;

  /// Why it holds.
  Hold hold() const noexcept { return hold_; }

  /// Time since the last good target, or since reset [s].
  double silence() const noexcept { return silence_; }

private:
  Pose X_BE_;
  Hold hold_ = Hold::kNoTarget;
  double silence_ = 0.0;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__TARGET_TRACKER_HPP_
