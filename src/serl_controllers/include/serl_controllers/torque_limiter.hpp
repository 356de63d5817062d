// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__TORQUE_LIMITER_HPP_
#define SERL_CONTROLLERS__TORQUE_LIMITER_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Each joint's torque [Nm] brought inside ±max_torque [Nm] (≥ 0).
Vector7 saturate_torque(const Vector7 & torque, const Vector7 & max_torque) noexcept;

/// Each joint's torque [Nm] brought within max_rate [Nm/s] (≥ 0) times dt [s] (≥ 0) of the previous one.
Vector7 limit_torque_rate(
  const Vector7 & torque, const Vector7 & previous, const Vector7 & max_rate, double dt) noexcept;

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__TORQUE_LIMITER_HPP_
