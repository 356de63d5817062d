// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/cartesian_impedance_law.hpp"

#include <cmath>

#include "serl_controllers/nullspace_task.hpp"
#include "serl_controllers/reference_limiter.hpp"
#include "serl_controllers/torque_limiter.hpp"

namespace serl_controllers
{
namespace
{

bool is_good(const RobotState & state) noexcept
{
  return state.q.allFinite() && state.dq.allFinite() && state.coriolis.allFinite() &&
         state.J_BE.allFinite() && is_finite(state.X_BE) && is_unit(state.X_BE.orientation);
}

Pose normalized(const Pose & pose) noexcept
{
  Pose result;
  result.position = pose.position;
  result.orientation = pose.orientation.normalized();
  return result;
}

}  // namespace

CartesianImpedanceLaw::CartesianImpedanceLaw() noexcept : goal_(ImpedanceGains::compliant()), active_(goal_)
{
}

bool CartesianImpedanceLaw::reset(const RobotState & state) noexcept
{
  return reset(state, state.coriolis);
}

bool CartesianImpedanceLaw::reset(const RobotState & state, const Vector7 & torque) noexcept
{
  if (!is_good(state)) {
    return false;
  }
  active_ = goal_;
  filter_.reset(state.X_BE);
  integral_wrench_.setZero();
  q_nullspace_ = state.q;
  output_ = Output{};
  const Vector7 previous = torque.array().isFinite().select(torque, state.coriolis);
  output_.torque = saturate_torque(previous, active_.max_torque);
  output_.X_BE_commanded = output_.X_BE_smoothed = output_.X_BE_clipped = filter_.pose();
  is_reset_ = true;
  return true;
}

std::string_view CartesianImpedanceLaw::set_gains(const ImpedanceGains & gains) noexcept
{
  const std::string_view reason = gains.validate();
  if (reason.empty()) {
    goal_ = gains;
  }
  return reason;
}

const Output & CartesianImpedanceLaw::update(
  const RobotState & state, const Command & command, double dt) noexcept
{
  output_.flags = 0;
  if (!is_reset_) {
    output_.flags = kNotReset;
    return output_;
  }
  if (!std::isfinite(dt) || dt <= 0.0) {
    output_.flags = kBadTimeStep;
    return output_;
  }
  active_.glide_towards(goal_, smoothing_fraction(goal_.gain_time_constant, dt));
  if (!is_good(state)) {
    return relax(dt);
  }

  // Commanded target -> smoothed target.
  if (
    !is_finite(command.X_BE_target) ||
    !(command.X_BE_target.position - filter_.pose().position).allFinite()) {
    output_.flags |= kHeldNonFiniteTarget;
    output_.X_BE_commanded = filter_.pose();
  } else if (!is_unit(command.X_BE_target.orientation)) {
    output_.flags |= kHeldBadQuaternion;
    output_.X_BE_commanded = filter_.pose();
  } else {
    output_.X_BE_commanded = normalized(command.X_BE_target);
    filter_.update(output_.X_BE_commanded, active_.target_time_constant, dt);
  }
  output_.X_BE_smoothed = filter_.pose();

  // -> clipped target.
  const LimitedReference limited =
    limit_reference(output_.X_BE_smoothed, normalized(state.X_BE), active_.error_min, active_.error_max);
  output_.error = limited.error;
  output_.clipped_error = limited.clipped_error;
  output_.X_BE_clipped = limited.X_BE_clipped;
  if (limited.clipped) {
    output_.flags |= kErrorClipped;
  }

  // -> wrench.
  const Vector6 V_BE = state.J_BE * state.dq;
  const Vector6 damping_wrench = -active_.damping.cwiseProduct(V_BE);
  const Vector6 damping_bound = active_.damping.cwiseProduct(active_.error_max - active_.error_min) / dt;
  const Vector6 clamped_damping_wrench = damping_wrench.cwiseMax(-damping_bound).cwiseMin(damping_bound);
  if (clamped_damping_wrench != damping_wrench) {
    output_.flags |= kDampingClamped;
  }

  integral_wrench_ += active_.integral_gain.cwiseProduct(limited.clipped_error) * dt;
  integral_wrench_ = integral_wrench_.cwiseMax(-active_.integral_limit).cwiseMin(active_.integral_limit);
  output_.integral_wrench = integral_wrench_;

  output_.wrench =
    active_.stiffness.cwiseProduct(limited.clipped_error) + clamped_damping_wrench + integral_wrench_;
  if (command.feed_forward.allFinite()) {
    output_.wrench += command.feed_forward;
  } else {
    output_.flags |= kIgnoredFeedForward;
  }

  // -> torque.
  if (command.q_nullspace.allFinite()) {
    q_nullspace_ = command.q_nullspace;
  } else {
    output_.flags |= kHeldNullspacePosture;
  }
  output_.task_torque = state.J_BE.transpose() * output_.wrench;
  output_.nullspace_torque = nullspace_torque(
    state.J_BE, state.q, state.dq, q_nullspace_, active_.nullspace_stiffness, active_.nullspace_damping);
  const Vector7 torque = output_.task_torque + output_.nullspace_torque + state.coriolis;
  // Finite but absurd numbers can still overflow on the way.
  if (!torque.allFinite()) {
    return relax(dt);
  }

  const Vector7 saturated = saturate_torque(torque, active_.max_torque);
  if (saturated != torque) {
    output_.flags |= kTorqueSaturated;
  }
  const Vector7 limited_torque = limit_torque_rate(saturated, output_.torque, active_.max_torque_rate, dt);
  if (limited_torque != saturated) {
    output_.flags |= kTorqueRateLimited;
  }
  output_.torque = limited_torque;
  return output_;
}

const Output & CartesianImpedanceLaw::relax(double dt) noexcept
{
  output_.flags |= kBadState;
  output_.task_torque.setZero();
  output_.nullspace_torque.setZero();
  output_.wrench.setZero();
  output_.torque = limit_torque_rate(Vector7::Zero(), output_.torque, active_.max_torque_rate, dt);
  return output_;
}

}  // namespace serl_controllers
