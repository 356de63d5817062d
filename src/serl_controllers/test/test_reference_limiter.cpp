// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "random_inputs.hpp"
#include "serl_controllers/orientation.hpp"
#include "serl_controllers/reference_limiter.hpp"

namespace serl_controllers
{
namespace
{

TEST(ReferenceLimiter, KeepsEachAxisInItsOwnLimits)
{
  RandomInputs random(1);
  for (int i = 0; i < 10000; ++i) {
    const Pose target = random.pose(0.1);
    const Pose measured = random.pose(0.1);
    const Vector6 error_min = random.vector<Vector6>(-0.1, 0.0);
    const Vector6 error_max = random.vector<Vector6>(0.0, 0.1);
    const LimitedReference limited = limit_reference(target, measured, error_min, error_max);
    ASSERT_LT((limited.error - pose_error(target, measured)).norm(), 1e-15);
    for (int axis = 0; axis < 6; ++axis) {
      ASSERT_GE(limited.clipped_error[axis], error_min[axis]);
      ASSERT_LE(limited.clipped_error[axis], error_max[axis]);
      const bool inside = limited.error[axis] >= error_min[axis] && limited.error[axis] <= error_max[axis];
      if (inside) {
        ASSERT_EQ(limited.clipped_error[axis], limited.error[axis]);
      } else {
        ASSERT_EQ(limited.clipped_error[axis], limited.error[axis] > 0.0 ? error_max[axis] : error_min[axis]);
        ASSERT_TRUE(limited.clipped);
      }
    }
    // The clipped target is the one whose error is the clipped error.
    ASSERT_LT((pose_error(limited.X_BE_clipped, measured) - limited.clipped_error).norm(), 1e-12);
  }
}

TEST(ReferenceLimiter, LeavesATargetInsideTheLimitsAlone)
{
  RandomInputs random(2);
  for (int i = 0; i < 1000; ++i) {
    const Pose measured = random.pose(1.0);
    Pose target = measured;
    target.position += random.vector<Eigen::Vector3d>(-0.01, 0.01);
    target.orientation =
      rotation_from_vector(random.vector<Eigen::Vector3d>(-0.05, 0.05)) * measured.orientation;
    const Vector6 limit = Vector6::Constant(0.051);
    const LimitedReference limited = limit_reference(target, measured, -limit, limit);
    ASSERT_FALSE(limited.clipped);
    ASSERT_LT(pose_error(limited.X_BE_clipped, target).norm(), 1e-14);
  }
}

TEST(ReferenceLimiter, WithZeroLimitsIsTheMeasuredPose)
{
  RandomInputs random(3);
  const Pose measured = random.pose(1.0);
  const LimitedReference limited =
    limit_reference(random.pose(1.0), measured, Vector6::Zero(), Vector6::Zero());
  EXPECT_TRUE(limited.clipped);
  EXPECT_EQ(limited.clipped_error, Vector6::Zero().eval());
  EXPECT_LT(pose_error(limited.X_BE_clipped, measured).norm(), 1e-15);
}

}  // namespace
}  // namespace serl_controllers
