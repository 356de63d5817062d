// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "random_inputs.hpp"
#include "serl_controllers/torque_limiter.hpp"

namespace serl_controllers
{
namespace
{

TEST(TorqueLimiter, SaturatesEachJointAlone)
{
  Vector7 torque, max_torque, expected;
  torque << 1.0, -1.0, 5.0, -5.0, 0.0, 2.0, -2.0;
  max_torque << 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0;
  expected << 1.0, -1.0, 2.0, -2.0, 0.0, 2.0, -1.0;
  EXPECT_EQ(saturate_torque(torque, max_torque), expected);
}

TEST(TorqueLimiter, BoundsTheRateAndReachesTheTorqueInTheShortestTime)
{
  RandomInputs random(1);
  for (int i = 0; i < 1000; ++i) {
    const Vector7 wanted = random.vector<Vector7>(-50.0, 50.0);
    const Vector7 max_rate = random.vector<Vector7>(100.0, 2000.0);
    const double dt = random.uniform(1e-4, 2e-3);
    const Vector7 start = random.vector<Vector7>(-50.0, 50.0);
    Vector7 torque = start;
    const int cycles = 20;
    for (int cycle = 0; cycle < cycles; ++cycle) {
      const Vector7 next = limit_torque_rate(wanted, torque, max_rate, dt);
      ASSERT_TRUE(((next - torque).cwiseAbs().array() <= (max_rate * dt).array() + 1e-12).all());
      torque = next;
    }
    for (int joint = 0; joint < kJoints; ++joint) {
      const double distance = wanted[joint] - start[joint];
      const double covered = std::min(std::abs(distance), cycles * max_rate[joint] * dt);
      ASSERT_NEAR(torque[joint], start[joint] + std::copysign(covered, distance), 1e-10);
    }
  }
}

}  // namespace
}  // namespace serl_controllers
