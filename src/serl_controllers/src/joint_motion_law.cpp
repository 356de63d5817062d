// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/joint_motion_law.hpp"

#include <algorithm>
#include <cmath>

#include "serl_controllers/torque_limiter.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kPeakVelocity = 15.0 / 8.0;  // of the minimum-jerk profile, over its mean

template <typename Vector>
bool is_positive(const Vector & values) noexcept
{
  return values.allFinite() && (values.array() > 0.0).all();
}

bool is_positive(double value) noexcept
{
  return std::isfinite(value) && value > 0.0;
}

template <typename Vector>
bool is_non_negative(const Vector & values) noexcept
{
  return values.allFinite() && (values.array() >= 0.0).all();
}

}  // namespace

std::string_view JointMotionSettings::validate() const noexcept
{
  if (!is_non_negative(stiffness)) {
    return "stiffness must be finite and not negative";
  }
  if (!is_non_negative(damping)) {
    return "damping must be finite and not negative";
  }
  if (!is_non_negative((upper - lower).eval())) {
    return "position limits must be finite, lower below upper";
  }
  if (!is_positive(max_velocity)) {
    return "max_velocity must be finite and positive";
  }
  if (!is_positive(max_tracking_error)) {
    return "max_tracking_error must be finite and positive";
  }
  if (!is_positive(max_torque)) {
    return "max_torque must be finite and positive";
  }
  if (!is_positive(max_torque_rate)) {
    return "max_torque_rate must be finite and positive";
  }
  if (!is_positive(min_duration)) {
    return "min_duration must be finite and positive";
  }
  if (!is_positive(stop_time)) {
    return "stop_time must be finite and positive";
  }
  if (!is_positive(goal_tolerance)) {
    return "goal_tolerance must be finite and positive";
  }
  if (!std::isfinite(settle_time) || settle_time < 0.0) {
    return "settle_time must be finite and not negative";
  }
  return {};
}

std::string_view JointMotionSettings::check_goal(const Vector7 & goal, double duration) const noexcept
{
  if (!goal.allFinite()) {
    return "the goal has a NaN or an infinity";
  }
  if ((goal.array() < lower.array()).any() || (goal.array() > upper.array()).any()) {
    return "the goal is outside the joint limits";
  }
  if (!std::isfinite(duration) || duration < 0.0) {
    return "the duration must be finite and not negative";
  }
  return {};
}

double JointMotionSettings::duration(const Vector7 & from, const Vector7 & to, double asked) const noexcept
{
  const double needed = kPeakVelocity * (to - from).cwiseAbs().cwiseQuotient(max_velocity).maxCoeff();
  return std::max({asked, needed, min_duration});
}

std::string_view describe(Motion motion) noexcept
{
  switch (motion) {
    case Motion::kNone:
      return "holding";
    case Motion::kMoving:
      return "moving";
    case Motion::kStopping:
      return "stopping";
    case Motion::kReached:
      return "reached the goal";
    case Motion::kNotReached:
      return "the arm did not settle at the goal: is it in contact, or goal_tolerance too small?";
    case Motion::kCancelled:
      return "cancelled, and at rest";
    case Motion::kBlocked:
      return "given up at max_tracking_error: is the arm blocked, or the motion too fast?";
    case Motion::kBadState:
      return "given up: the joint state was not finite; check the hardware";
  }
  return "unknown";
}

std::string_view JointMotionLaw::set_settings(const JointMotionSettings & settings) noexcept
{
  const std::string_view reason = settings.validate();
  if (reason.empty()) {
    settings_ = settings;
  }
  return reason;
}

bool JointMotionLaw::reset(const Vector7 & q, const Vector7 & torque) noexcept
{
  if (!q.allFinite() || !torque.allFinite()) {
    return false;
  }
  output_ = JointMotionOutput{};
  output_.torque = saturate_torque(torque, settings_.max_torque);
  hold(q, Motion::kNone);
  is_reset_ = true;
  return true;
}

std::string_view JointMotionLaw::begin(const Vector7 & goal, double duration) noexcept
{
  if (!is_reset_) {
    return "the law was not reset";
  }
  if (output_.motion == Motion::kMoving || output_.motion == Motion::kStopping) {
    return "a motion is going on: cancel it first";
  }
  const std::string_view reason = settings_.check_goal(goal, duration);
  if (!reason.empty()) {
    return reason;
  }
  from_ = output_.q_reference;
  goal_ = goal;
  duration_ = settings_.duration(from_, goal_, duration);
  time_ = 0.0;
  output_.fraction = 0.0;
  output_.motion = Motion::kMoving;
  return {};
}

void JointMotionLaw::stop() noexcept
{
  if (output_.motion != Motion::kMoving) {
    return;
  }
  const double remaining = duration_ - time_;
  if (remaining <= 0.0) {
    output_.motion = Motion::kCancelled;
    return;
  }
  const double s = time_ / duration_;
  stop_acceleration_ = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s) / (duration_ * duration_) * (goal_ - from_);
  stop_velocity_ = output_.dq_reference;
  from_ = output_.q_reference;
  duration_ = std::min(settings_.stop_time, remaining);
  time_ = 0.0;
  output_.motion = Motion::kStopping;
}

const JointMotionOutput & JointMotionLaw::update(
  const Vector7 & q, const Vector7 & dq, const Vector7 & coriolis, double dt) noexcept
{
  if (!is_reset_ || !std::isfinite(dt) || dt <= 0.0) {
    return output_;
  }
  Vector7 torque = Vector7::Zero();
  if (q.allFinite() && dq.allFinite() && coriolis.allFinite()) {
    if (must_rest_) {
      hold(q, output_.motion);
    }
    advance(q, dt);
    const Vector7 error =
      output_.error.cwiseMax(-settings_.max_tracking_error).cwiseMin(settings_.max_tracking_error);
    torque = settings_.stiffness.cwiseProduct(error) +
             settings_.damping.cwiseProduct(output_.dq_reference - dq) + coriolis;
  } else {
    if (output_.motion == Motion::kMoving || output_.motion == Motion::kStopping) {
      output_.motion = Motion::kBadState;
    }
    must_rest_ = true;
  }
  // Finite but absurd numbers can still overflow on the way.
  if (!torque.allFinite()) {
    torque.setZero();
  }
  output_.torque = limit_torque_rate(
    saturate_torque(torque, settings_.max_torque), output_.torque, settings_.max_torque_rate, dt);
  return output_;
}

void JointMotionLaw::advance(const Vector7 & q, double dt) noexcept
{
  const bool is_moving = output_.motion == Motion::kMoving;
  const bool is_stopping = output_.motion == Motion::kStopping;
  if (is_moving || is_stopping) {
    time_ += dt;
    const double s = std::min(time_ / duration_, 1.0);
    if (is_moving) {
      const Vector7 way = goal_ - from_;
      output_.fraction = s;
      output_.q_reference = from_ + s * s * s * (10.0 + s * (6.0 * s - 15.0)) * way;
      output_.dq_reference = 30.0 * s * s * (1.0 - s) * (1.0 - s) / duration_ * way;
    } else {
      // Velocity on the cubic from (v, a) to (0, 0), and its integral.
      const Vector7 v = stop_velocity_, aT = stop_acceleration_ * duration_;
      output_.dq_reference = (1.0 + s * s * (2.0 * s - 3.0)) * v + s * (1.0 - s) * (1.0 - s) * aT;
      output_.q_reference =
        from_ +
        duration_ * s * ((1.0 + s * s * (0.5 * s - 1.0)) * v + s * (0.5 + s * (0.25 * s - 2.0 / 3.0)) * aT);
    }
  }
  output_.error = output_.q_reference - q;
  if (!is_moving && !is_stopping) {
    return;
  }
  if ((output_.error.cwiseAbs().array() > settings_.max_tracking_error.array()).any()) {
    hold(q, Motion::kBlocked);
  } else if (is_stopping && time_ >= duration_) {
    output_.motion = Motion::kCancelled;
  } else if (is_moving && time_ >= duration_) {
    if ((output_.error.cwiseAbs().array() <= settings_.goal_tolerance).all()) {
      output_.motion = Motion::kReached;
    } else if (time_ > duration_ + settings_.settle_time) {
      output_.motion = Motion::kNotReached;
    }
  }
}

void JointMotionLaw::hold(const Vector7 & q, Motion motion) noexcept
{
  output_.q_reference = q;
  output_.dq_reference.setZero();
  output_.error.setZero();
  output_.motion = motion;
  must_rest_ = false;
}

}  // namespace serl_controllers
