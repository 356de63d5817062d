// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/impedance_gains.hpp"

#include <cmath>

namespace serl_controllers
{
namespace
{

/// The same value for the three linear axes and another for the three angular ones.
Vector6 linear_angular(double linear, double angular) noexcept
{
  Vector6 values;
  values << linear, linear, linear, angular, angular, angular;
  return values;
}

template <typename Vector>
bool is_non_negative(const Vector & values) noexcept
{
  return values.allFinite() && (values.array() >= 0.0).all();
}

bool is_non_negative(double value) noexcept
{
  return std::isfinite(value) && value >= 0.0;
}

}  // namespace

ImpedanceGains ImpedanceGains::compliant() noexcept
{
  ImpedanceGains gains;
  gains.stiffness = linear_angular(2000.0, 150.0);
  gains.damping = linear_angular(89.0, 7.0);
  gains.error_max = linear_angular(0.01, 0.05);
  gains.error_min = -gains.error_max;
  gains.nullspace_stiffness = 5.0;
  gains.nullspace_damping = 2.0;
  gains.target_time_constant = 0.05;
  gains.gain_time_constant = 0.1;
  gains.max_torque << 87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0;
  gains.max_torque_rate.setConstant(1000.0);
  return gains;
}

ImpedanceGains ImpedanceGains::precise() noexcept
{
  ImpedanceGains gains = compliant();
  gains.stiffness = linear_angular(2000.0, 250.0);
  gains.damping = linear_angular(89.0, 9.0);
  gains.error_max = linear_angular(0.05, 0.1);
  gains.error_min = -gains.error_max;
  return gains;
}

ImpedanceGains ImpedanceGains::without_spring(const Vector6 & new_damping) const noexcept
{
  ImpedanceGains gains = *this;
  gains.stiffness.setZero();
  gains.damping = new_damping;
  gains.integral_gain.setZero();
  gains.integral_limit.setZero();
  gains.target_time_constant = 0.0;
  return gains;
}

std::string_view ImpedanceGains::validate() const noexcept
{
  if (!is_non_negative(stiffness)) {
    return "stiffness must be finite and not negative";
  }
  if (!is_non_negative(damping)) {
    return "damping must be finite and not negative";
  }
  if (!is_non_negative((-error_min).eval())) {
    return "error_min must be finite and not positive";
  }
  if (!is_non_negative(error_max)) {
    return "error_max must be finite and not negative";
  }
  if (!is_non_negative(integral_gain)) {
    return "integral_gain must be finite and not negative";
  }
  if (!is_non_negative(integral_limit)) {
    return "integral_limit must be finite and not negative";
  }
  if (!is_non_negative(nullspace_stiffness)) {
    return "nullspace_stiffness must be finite and not negative";
  }
  if (!is_non_negative(nullspace_damping)) {
    return "nullspace_damping must be finite and not negative";
  }
  if (!is_non_negative(target_time_constant)) {
    return "target_time_constant must be finite and not negative";
  }
  if (!is_non_negative(gain_time_constant)) {
    return "gain_time_constant must be finite and not negative";
  }
  if (!max_torque.allFinite() || (max_torque.array() <= 0.0).any()) {
    return "max_torque must be finite and positive";
  }
  if (!max_torque_rate.allFinite() || (max_torque_rate.array() <= 0.0).any()) {
    return "max_torque_rate must be finite and positive";
  }
  return {};
}

void ImpedanceGains::glide_towards(const ImpedanceGains & goal, double fraction) noexcept
{
  stiffness += fraction * (goal.stiffness - stiffness);
  damping += fraction * (goal.damping - damping);
  error_min += fraction * (goal.error_min - error_min);
  error_max += fraction * (goal.error_max - error_max);
  integral_gain += fraction * (goal.integral_gain - integral_gain);
  integral_limit += fraction * (goal.integral_limit - integral_limit);
  nullspace_stiffness += fraction * (goal.nullspace_stiffness - nullspace_stiffness);
  nullspace_damping += fraction * (goal.nullspace_damping - nullspace_damping);
  target_time_constant = goal.target_time_constant;
  gain_time_constant = goal.gain_time_constant;
  max_torque = goal.max_torque;
  max_torque_rate = goal.max_torque_rate;
}

}  // namespace serl_controllers
