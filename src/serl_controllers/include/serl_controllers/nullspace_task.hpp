// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__NULLSPACE_TASK_HPP_
#define SERL_CONTROLLERS__NULLSPACE_TASK_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Added to the diagonal of J Jᵀ so that it can be inverted in every posture. It is the square of the
/// singular value (0.01) below which a direction of motion at E counts as lost.
constexpr double kNullspaceRegularisation = 1e-4;

/// Part of a joint torque [Nm] that makes no static wrench at E:
///
///   τ - Jᵀ (J Jᵀ + λ I)⁻¹ J τ,   λ = kNullspaceRegularisation
///
/// With λ > 0 a share λ / (σ² + λ) of the torque along each singular value σ stays in, under 1 % for σ > 0.1.
/// The projection is a static one: it does not know the mass matrix, so a joint torque that changes may
/// still accelerate E, and the impedance works against that.
Vector7 project_to_nullspace(const Jacobian & J_BE, const Vector7 & torque) noexcept;

/// Joint spring and damper [Nm] that pull the free motion of the arm to q_desired, projected as above:
/// stiffness (q_desired - q) - damping dq.
///
/// Joint positions [rad], velocities [rad/s], stiffness [Nm/rad], damping [Nm s/rad].
Vector7 nullspace_torque(
  const Jacobian & J_BE, const Vector7 & q, const Vector7 & dq, const Vector7 & q_desired, double stiffness,
  double damping) noexcept;

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__NULLSPACE_TASK_HPP_
