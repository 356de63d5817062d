// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/torque_limiter.hpp"

namespace serl_controllers
{

Vector7 saturate_torque(const Vector7 & torque, const Vector7 & max_torque) noexcept
{
  return torque.cwiseMax(-max_torque).cwiseMin(max_torque);
}

Vector7 limit_torque_rate(
  const Vector7 & torque, const Vector7 & previous, const Vector7 & max_rate, double dt) noexcept
{
  const Vector7 max_step = max_rate * dt;
  return torque.cwiseMax(previous - max_step).cwiseMin(previous + max_step);
}

}  // namespace serl_controllers
