// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/nullspace_task.hpp"

#include <Eigen/Cholesky>

namespace serl_controllers
{

Vector7 project_to_nullspace(const Jacobian & J_BE, const Vector7 & torque) noexcept
{
  using Matrix6 = Eigen::Matrix<double, 6, 6>;
  Matrix6 gram = kNullspaceRegularisation * Matrix6::Identity();
  gram.noalias() += J_BE.lazyProduct(J_BE.transpose());
  // Positive definite by the added diagonal, so a Cholesky factor of fixed size always exists.
  const Eigen::LLT<Matrix6> factor(gram);
  Vector6 wrench = J_BE * torque;
  factor.solveInPlace(wrench);
  return torque - J_BE.transpose() * wrench;
}

Vector7 nullspace_torque(
  const Jacobian & J_BE, const Vector7 & q, const Vector7 & dq, const Vector7 & q_desired, double stiffness,
  double damping) noexcept
{
  return project_to_nullspace(J_BE, stiffness * (q_desired - q) - damping * dq);
}

}  // namespace serl_controllers
