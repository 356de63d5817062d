// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "random_inputs.hpp"
#include "serl_controllers/orientation.hpp"
#include "serl_controllers/reference_filter.hpp"

namespace serl_controllers
{
namespace
{

TEST(ReferenceFilter, FollowsTheExponentialAtEveryRate)
{
  RandomInputs random(1);
  for (int i = 0; i < 100; ++i) {
    const Pose start = random.pose(1.0);
    const Pose target = random.pose(1.0);
    const double time_constant = random.uniform(0.01, 0.2);
    const double time = random.uniform(0.01, 0.5);
    const double left = std::exp(-time / time_constant);
    for (const int cycles : {1, 7, 500}) {
      ReferenceFilter filter;
      filter.reset(start);
      for (int cycle = 0; cycle < cycles; ++cycle) {
        filter.update(target, time_constant, time / cycles);
      }
      const Vector6 expected = left * pose_error(target, start);
      ASSERT_LT((pose_error(target, filter.pose()) - expected).norm(), 1e-11) << cycles << " cycles";
    }
  }
}

TEST(ReferenceFilter, WithoutTimeConstantIsTheTarget)
{
  RandomInputs random(2);
  const Pose target = random.pose(1.0);
  ReferenceFilter filter;
  filter.reset(random.pose(1.0));
  EXPECT_LT(pose_error(target, filter.update(target, 0.0, 1e-3)).norm(), 1e-14);
}

TEST(ReferenceFilter, TakesTheShortWayWhicheverTheSignOfTheQuaternion)
{
  ReferenceFilter filter;
  filter.reset(Pose{});
  Pose target{Eigen::Vector3d::Zero(), rotation_from_vector(Eigen::Vector3d(0.0, 0.0, 0.2))};
  target.orientation.coeffs() *= -1.0;
  const double half = 0.05 * std::log(2.0);
  const Pose & smoothed = filter.update(target, 0.05, half);
  const Eigen::Vector3d turned = orientation_error(smoothed.orientation, Eigen::Quaterniond::Identity());
  EXPECT_LT((turned - Eigen::Vector3d(0.0, 0.0, 0.1)).norm(), 1e-12);
}

TEST(ReferenceFilter, KeepsUnitLengthOverManyCycles)
{
  RandomInputs random(3);
  ReferenceFilter filter;
  filter.reset(random.pose(1.0));
  for (int i = 0; i < 300; ++i) {
    const Pose target = random.pose(1.0);
    for (int cycle = 0; cycle < 1000; ++cycle) {
      filter.update(target, 0.05, 1e-3);
    }
  }
  EXPECT_NEAR(filter.pose().orientation.norm(), 1.0, 4e-16);
}

}  // namespace
}  // namespace serl_controllers
