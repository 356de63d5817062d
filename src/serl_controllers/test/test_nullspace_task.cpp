// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <Eigen/SVD>

#include "random_inputs.hpp"
#include "serl_controllers/nullspace_task.hpp"

namespace serl_controllers
{
namespace
{

TEST(NullspaceTask, IsTheProjectorThatTheSingularValueDecompositionGives)
{
  RandomInputs random(1);
  for (int i = 0; i < 2000; ++i) {
    Jacobian J_BE = random.state(0.0).J_BE;
    if (i % 4 == 0) {
      J_BE.row(3) = J_BE.row(0);
    }  // an exactly singular posture
    const Vector7 torque = random.vector<Vector7>(-10.0, 10.0);
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(Eigen::MatrixXd(J_BE), Eigen::ComputeFullV);
    // In the basis of right singular vectors, the share of sigma that stays is lambda / (sigma^2 + lambda).
    Eigen::VectorXd parts = svd.matrixV().transpose() * torque;
    for (int k = 0; k < 6; ++k) {
      const double sigma_squared = svd.singularValues()[k] * svd.singularValues()[k];
      parts[k] *= kNullspaceRegularisation / (sigma_squared + kNullspaceRegularisation);
    }
    const Vector7 expected = svd.matrixV() * parts;
    ASSERT_LT((project_to_nullspace(J_BE, torque) - expected).norm(), 1e-9);
  }
}

TEST(NullspaceTask, MakesAlmostNoWrenchAwayFromSingularities)
{
  Jacobian J_BE = Jacobian::Zero();
  J_BE.leftCols<6>().setIdentity();
  J_BE.col(6).setConstant(0.5);
  RandomInputs random(2);
  const Vector7 torque = project_to_nullspace(J_BE, random.vector<Vector7>(-10.0, 10.0));
  // The wrench that would hold this torque in balance, by least squares.
  const Vector6 wrench = (J_BE * J_BE.transpose()).inverse() * (J_BE * torque);
  EXPECT_LT(wrench.norm(), 10.0 * std::sqrt(7.0) * kNullspaceRegularisation);
  EXPECT_GT(torque.norm(), 0.1);
}

TEST(NullspaceTask, PullsToThePostureAndDampsTheFreeMotion)
{
  Jacobian J_BE = Jacobian::Zero();
  J_BE.leftCols<6>().setIdentity();  // the last joint does not move E at all
  Vector7 q = Vector7::Zero(), dq = Vector7::Zero(), q_desired = Vector7::Zero();
  q_desired[6] = 0.3;
  dq[6] = 0.1;
  dq[0] = 1.0;
  const Vector7 torque = nullspace_torque(J_BE, q, dq, q_desired, 10.0, 2.0);
  EXPECT_NEAR(torque[6], 10.0 * 0.3 - 2.0 * 0.1, 1e-12);
  EXPECT_NEAR(torque[0], 0.0, 2.0 * 1.0 * 1.01 * kNullspaceRegularisation);
}

}  // namespace
}  // namespace serl_controllers
