// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "random_inputs.hpp"
#include "serl_controllers/impedance_gains.hpp"

namespace serl_controllers
{
namespace
{

static_assert(std::is_standard_layout<ImpedanceGains>::value, "gains are plain data");
static_assert(std::is_trivially_destructible<ImpedanceGains>::value, "gains own nothing");

TEST(ImpedanceGains, PresetsAreValidAndBoundTheForceAsDocumented)
{
  const ImpedanceGains compliant = ImpedanceGains::compliant();
  const ImpedanceGains precise = ImpedanceGains::precise();
  EXPECT_EQ(compliant.validate(), "");
  EXPECT_EQ(precise.validate(), "");
  EXPECT_NEAR(compliant.stiffness[2] * compliant.error_max[2], 20.0, 1e-12);
  EXPECT_NEAR(compliant.stiffness[5] * compliant.error_max[5], 7.5, 1e-12);
  EXPECT_NEAR(precise.stiffness[2] * precise.error_max[2], 100.0, 1e-12);
}

TEST(ImpedanceGains, DefaultsAreRefused)
{
  EXPECT_EQ(ImpedanceGains{}.validate(), "max_torque must be finite and positive");
}

TEST(ImpedanceGains, RandomGoodOnesAreValid)
{
  RandomInputs random(1);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(random.gains().validate(), "");
  }
}

TEST(ImpedanceGains, EveryFieldIsChecked)
{
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  using Set = void (*)(ImpedanceGains &, double);
  struct Field
  {
    const char * name;
    Set set;
    std::vector<double> bad;
  };
  const std::vector<double> bad{-1e-9, nan, infinity};
  const std::vector<Field> fields{
    {"stiffness", [](ImpedanceGains & g, double x) { g.stiffness[5] = x; }, bad},
    {"damping", [](ImpedanceGains & g, double x) { g.damping[0] = x; }, bad},
    {"error_min", [](ImpedanceGains & g, double x) { g.error_min[3] = x; }, {1e-9, nan, -infinity}},
    {"error_max", [](ImpedanceGains & g, double x) { g.error_max[3] = x; }, bad},
    {"integral_gain", [](ImpedanceGains & g, double x) { g.integral_gain[1] = x; }, bad},
    {"integral_limit", [](ImpedanceGains & g, double x) { g.integral_limit[2] = x; }, bad},
    {"nullspace_stiffness", [](ImpedanceGains & g, double x) { g.nullspace_stiffness = x; }, bad},
    {"nullspace_damping", [](ImpedanceGains & g, double x) { g.nullspace_damping = x; }, bad},
    {"target_time_constant", [](ImpedanceGains & g, double x) { g.target_time_constant = x; }, bad},
    {"gain_time_constant", [](ImpedanceGains & g, double x) { g.gain_time_constant = x; }, bad},
    {"max_torque", [](ImpedanceGains & g, double x) { g.max_torque[6] = x; }, {0.0, -1.0, nan, infinity}},
    {"max_torque_rate",
     [](ImpedanceGains & g, double x) { g.max_torque_rate[0] = x; },
     {0.0, -1.0, nan, infinity}},
  };
  for (const Field & field : fields) {
    for (const double value : field.bad) {
      ImpedanceGains gains = ImpedanceGains::compliant();
      field.set(gains, value);
      const std::string reason(gains.validate());
      EXPECT_EQ(reason.substr(0, reason.find(' ')), field.name) << value;
    }
  }
}

TEST(ImpedanceGains, GlideTowardsAGoal)
{
  RandomInputs random(2);
  const ImpedanceGains start = random.gains();
  const ImpedanceGains goal = random.gains();
  ImpedanceGains gains = start;
  gains.glide_towards(goal, 0.25);
  EXPECT_LT((gains.stiffness - (0.75 * start.stiffness + 0.25 * goal.stiffness)).norm(), 1e-10);
  EXPECT_LT((gains.damping - (0.75 * start.damping + 0.25 * goal.damping)).norm(), 1e-12);
  EXPECT_LT((gains.error_min - (0.75 * start.error_min + 0.25 * goal.error_min)).norm(), 1e-15);
  EXPECT_LT((gains.error_max - (0.75 * start.error_max + 0.25 * goal.error_max)).norm(), 1e-15);
  EXPECT_LT((gains.integral_gain - (0.75 * start.integral_gain + 0.25 * goal.integral_gain)).norm(), 1e-11);
  EXPECT_LT(
    (gains.integral_limit - (0.75 * start.integral_limit + 0.25 * goal.integral_limit)).norm(), 1e-13);
  EXPECT_NEAR(
    gains.nullspace_stiffness, 0.75 * start.nullspace_stiffness + 0.25 * goal.nullspace_stiffness, 1e-13);
  EXPECT_NEAR(gains.nullspace_damping, 0.75 * start.nullspace_damping + 0.25 * goal.nullspace_damping, 1e-13);
  EXPECT_EQ(gains.target_time_constant, goal.target_time_constant);
  EXPECT_EQ(gains.gain_time_constant, goal.gain_time_constant);
  EXPECT_EQ(gains.max_torque, goal.max_torque);
  EXPECT_EQ(gains.max_torque_rate, goal.max_torque_rate);
}

TEST(ImpedanceGains, WithoutSpringPushesWithTheCommandedWrenchAlone)
{
  RandomInputs random(3);
  for (int run = 0; run < 100; ++run) {
    const Vector6 damping = random.vector<Vector6>(0.0, 10.0);
    const ImpedanceGains gains = random.gains().without_spring(damping);
    ASSERT_EQ(gains.validate(), "");
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(gains), "");
    const RobotState state = random.state(0.5);
    ASSERT_TRUE(law.reset(state));
    Command command = random.command();
    command.X_BE_target = state.X_BE;
    const Output & output = law.update(state, command, 1e-3);
    if ((output.flags & kDampingClamped) != 0) {
      continue;
    }
    const Vector6 expected = command.feed_forward - damping.cwiseProduct(state.J_BE * state.dq);
    ASSERT_LT((output.wrench - expected).norm(), 1e-9);
  }
}

}  // namespace
}  // namespace serl_controllers
