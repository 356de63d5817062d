// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "random_inputs.hpp"
#include "serl_controllers/feed_forward.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kDt = 1e-3;

FeedForwardLimits limits(double timeout)
{
  FeedForwardLimits limits;
  limits.timeout = timeout;
  limits.max_wrench << 20.0, 20.0, 20.0, 2.0, 2.0, 2.0;
  return limits;
}

TEST(FeedForward, IsZeroUntilSetAndAfterTheTimeOut)
{
  FeedForward feed_forward;
  const Eigen::Quaterniond R_BE = Eigen::Quaterniond::Identity();
  EXPECT_EQ(feed_forward.update(R_BE, limits(0.1), kDt), Vector6::Zero().eval());
  const Vector6 wrench = Vector6::Constant(1.5);
  feed_forward.set(wrench, false);
  for (int cycle = 1; cycle <= 200; ++cycle) {
    const Vector6 result = feed_forward.update(R_BE, limits(0.1), kDt);
    if (cycle < 100) {
      ASSERT_EQ(result, wrench);
    }
    if (cycle > 101) {
      ASSERT_EQ(result, Vector6::Zero().eval());
    }
  }
  EXPECT_FALSE(feed_forward.is_fresh());
}

TEST(FeedForward, TurnsWithTheToolWhenGivenOnItsAxes)
{
  RandomInputs random(1);
  for (int i = 0; i < 200; ++i) {
    const Eigen::Quaterniond R_BE = random.orientation();
    const Vector6 wrench = random.vector<Vector6>(-1.0, 1.0);
    FeedForward feed_forward;
    feed_forward.set(wrench, true);
    const Vector6 result = feed_forward.update(R_BE, limits(0.1), kDt);
    ASSERT_LT((result.head<3>() - R_BE.toRotationMatrix() * wrench.head<3>()).norm(), 1e-12);
    ASSERT_LT((result.tail<3>() - R_BE.toRotationMatrix() * wrench.tail<3>()).norm(), 1e-12);
    feed_forward.set(wrench, false);
    ASSERT_EQ(feed_forward.update(R_BE, limits(0.1), kDt), wrench);
  }
}

TEST(FeedForward, IsBoundedOnTheAxesItIsGivenOnAndLeavesTheOthersOut)
{
  RandomInputs random(2);
  FeedForwardLimits bounds = limits(0.1);
  bounds.max_wrench << 20.0, 0.0, 20.0, 0.0, 2.0, 0.0;  // F_x, F_z, τ_y: object flipping of HIL-SERL
  for (int i = 0; i < 200; ++i) {
    const Eigen::Quaterniond R_BE = random.orientation();
    FeedForward feed_forward;
    feed_forward.set(random.vector<Vector6>(-1e6, 1e6), true);
    const Vector6 result = feed_forward.update(R_BE, bounds, kDt);
    Vector6 on_tcp_axes;
    on_tcp_axes.head<3>() = R_BE.conjugate() * result.head<3>();
    on_tcp_axes.tail<3>() = R_BE.conjugate() * result.tail<3>();
    ASSERT_TRUE((on_tcp_axes.cwiseAbs().array() <= bounds.max_wrench.array() + 1e-9).all());
  }
}

TEST(FeedForward, OneThatIsNotFiniteIsZero)
{
  FeedForward feed_forward;
  feed_forward.set(Vector6::Ones(), false);
  Vector6 bad = Vector6::Ones();
  bad[3] = std::numeric_limits<double>::quiet_NaN();
  feed_forward.set(bad, false);
  EXPECT_EQ(feed_forward.update(Eigen::Quaterniond::Identity(), limits(0.1), kDt), Vector6::Zero().eval());
  EXPECT_FALSE(feed_forward.is_fresh());
}

}  // namespace
}  // namespace serl_controllers
