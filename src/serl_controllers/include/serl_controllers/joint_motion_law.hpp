// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__JOINT_MOTION_LAW_HPP_
#define SERL_CONTROLLERS__JOINT_MOTION_LAW_HPP_

#include <cstdint>
#include <string_view>

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Everything about JointMotionLaw that may be tuned, as plain data; one number for each joint.
///
/// The defaults are for a Franka FR3; the position limits are none.
struct JointMotionSettings
{
  Vector7 stiffness =
    (Vector7() << 600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0).finished();           ///< [Nm/rad], ≥ 0
  Vector7 damping = (Vector7() << 30.0, 30.0, 30.0, 30.0, 10.0, 10.0, 5.0).finished();  ///< [Nm s/rad], ≥ 0
  Vector7 lower = Vector7::Constant(-1e3);                                              ///< least goal [rad]
  Vector7 upper = Vector7::Constant(1e3);               ///< greatest goal [rad], not below lower
  Vector7 max_velocity = Vector7::Constant(1.0);        ///< of the reference [rad/s], > 0
  Vector7 max_tracking_error = Vector7::Constant(0.1);  ///< from which a motion is given up [rad], > 0
  Vector7 max_torque = (Vector7() << 87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0).finished();  ///< [Nm], > 0
  Vector7 max_torque_rate = Vector7::Constant(1000.0);                                      ///< [Nm/s], > 0
  double min_duration = 0.5;     ///< of a motion [s], > 0
  double stop_time = 0.3;        ///< longest way from a cancelled motion to rest [s], > 0
  double goal_tolerance = 0.01;  ///< of each joint at the goal [rad], > 0
  double settle_time = 1.0;      ///< to get there after the reference has [s], ≥ 0

  /// Why these cannot be used, or an empty string when they can. The text is static.
  std::string_view validate() const noexcept;

  /// Why the goal [rad] or the duration [s] (0: as long as is needed) cannot be used; empty when they can.
  std::string_view check_goal(const Vector7 & goal, double duration) const noexcept;

  /// Duration [s] of a motion from rest to rest: what is asked for, but as long as max_velocity and
  /// min_duration need.
  double duration(const Vector7 & from, const Vector7 & to, double asked) const noexcept;
};

/// What a motion is doing, or how the last one ended.
enum class Motion : std::uint8_t
{
  kNone = 0,        ///< none since reset: holding
  kMoving = 1,      ///< on the way, or settling at the goal
  kStopping = 2,    ///< cancelled, coming to rest
  kReached = 3,     ///< ended at the goal, within goal_tolerance
  kNotReached = 4,  ///< ended at the goal, but the arm is not within goal_tolerance
  kCancelled = 5,   ///< ended at rest after a stop
  kBlocked = 6,     ///< given up: a joint was max_tracking_error away from the reference
  kBadState = 7,    ///< given up: the measured state was not finite
};

/// Cause and remedy in one line.
std::string_view describe(Motion motion) noexcept;

/// What one cycle made.
struct JointMotionOutput
{
  Vector7 torque = Vector7::Zero();        ///< to command, without gravity [Nm]
  Vector7 q_reference = Vector7::Zero();   ///< [rad]
  Vector7 dq_reference = Vector7::Zero();  ///< [rad/s]
  Vector7 error = Vector7::Zero();         ///< reference - measured [rad]
  double fraction = 0.0;                   ///< share of the motion's duration that has passed
  Motion motion = Motion::kNone;
};

/// Minimum-jerk motion in joint space (Flash and Hogan 1985), tracked by a joint impedance:
///
///   q_r(t) = q_0 + (q_g - q_0) (10 s³ - 15 s⁴ + 6 s⁵),   s = t / T
///   τ      = K e + D (q̇_r - q̇) + τ_coriolis,             e = clamp(q_r - q, ± max_tracking_error)
///   τ_cmd  = rate_limit(saturate(τ, ± max_torque), ± max_torque_rate dt)
///
/// T is as long as max_velocity needs (its peak is 15/8 of the mean). A stop brings the reference to rest on
/// the cubic in velocity that starts with its velocity and acceleration, within stop_time and never later
/// than the motion would have ended. Between motions the arm holds, with K max_tracking_error at most.
///
/// With a bad state the torque goes to zero at max_torque_rate; with the next good one it holds there.
///
/// No function allocates, locks, throws or logs. One thread at a time may use an object.
class JointMotionLaw
{
public:
  /// Returns why they were refused; empty if taken.
  [[nodiscard]] std::string_view set_settings(const JointMotionSettings & settings) noexcept;

  /// The settings in force.
  const JointMotionSettings & settings() const noexcept { return settings_; }

  /// Hold at q [rad], with torque [Nm] as the one of the cycle before. False, and nothing done, if not finite.
  bool reset(const Vector7 & q, const Vector7 & torque) noexcept;

  /// Begin a motion from the present reference. Returns why not (see check_goal); empty if begun.
  [[nodiscard]] std::string_view begin(const Vector7 & goal, double duration) noexcept;

  /// Come to rest, if in motion.
  void stop() noexcept;

  /// One control cycle of dt [s] with the measured q [rad], dq [rad/s] and Coriolis torque [Nm]. The result
  /// is valid until the next call.
  const JointMotionOutput & update(
    const Vector7 & q, const Vector7 & dq, const Vector7 & coriolis, double dt) noexcept;

  /// The result of the last cycle or reset.
  const JointMotionOutput & output() const noexcept { return output_; }

private:
  void advance(const Vector7 & q, double dt) noexcept;
  void hold(const Vector7 & q, Motion motion) noexcept;

  JointMotionSettings settings_;
  JointMotionOutput output_;
  Vector7 from_ = Vector7::Zero();               // reference where the motion or the stop began [rad]
  Vector7 goal_ = Vector7::Zero();               // [rad]
  Vector7 stop_velocity_ = Vector7::Zero();      // of the reference when the stop began [rad/s]
  Vector7 stop_acceleration_ = Vector7::Zero();  // [rad/s²]
  double duration_ = 0.0;
  double time_ = 0.0;
  bool is_reset_ = false;
  bool must_rest_ = false;  // hold at the measured q as soon as that is known again
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__JOINT_MOTION_LAW_HPP_
