// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// The free-space claim of SERL IV-E: limiting the reference to |D| in each control cycle does not slow an action of
// up to M |D| in a block of M cycles.
#include <gtest/gtest.h>

#include <functional>

#include "random_inputs.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_controllers/reference_limiter.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kDt = 1e-3;
constexpr int kBlock = 100;  // M: cycles of one action at 10 Hz

/// Three linear axes of a body of unit mass, each with a joint of its own, under the law.
class UnitMass
{
public:
  explicit UnitMass(const ImpedanceGains & gains)
  {
    state_.J_BE.leftCols<6>().setIdentity();
    EXPECT_EQ(law_.set_gains(gains), "");
    EXPECT_TRUE(law_.reset(state_));
  }

  /// Run for some cycles towards target(cycle) [m].
  void run(int cycles, const std::function<Eigen::Vector3d(int)> & target)
  {
    Command command;
    for (int cycle = 0; cycle < cycles; ++cycle) {
      command.X_BE_target.position = target(cycle);
      const Output & output = law_.update(state_, command, kDt);
      clipped_cycles_ += (output.flags & kErrorClipped) != 0;
      state_.dq.head<3>() += kDt * output.torque.head<3>();
      state_.q.head<3>() += kDt * state_.dq.head<3>();
      state_.X_BE.position = state_.q.head<3>();
    }
  }

  Eigen::Vector3d position() const { return state_.X_BE.position; }
  Eigen::Vector3d velocity() const { return state_.dq.head<3>(); }
  int clipped_cycles() const { return clipped_cycles_; }

private:
  CartesianImpedanceLaw law_;
  RobotState state_;
  int clipped_cycles_ = 0;
};

/// Gains that bring a unit mass to its target, and to rest, within a cycle, with no limit but the error's.
ImpedanceGains one_cycle_gains(const Eigen::Vector3d & limit)
{
  ImpedanceGains gains = ImpedanceGains::compliant();
  gains.stiffness.head<3>().setConstant(1.0 / (kDt * kDt));
  gains.damping.head<3>().setConstant(1.0 / kDt);
  gains.error_max.head<3>() = limit;
  gains.error_min.head<3>() = -limit;
  gains.nullspace_damping = gains.nullspace_stiffness = 0.0;
  gains.target_time_constant = 0.0;
  gains.max_torque.setConstant(1e9);
  gains.max_torque_rate.setConstant(1e15);
  return gains;
}

ImpedanceGains without_limits(ImpedanceGains gains)
{
  gains.error_max.setConstant(1e3);
  gains.error_min = -gains.error_max;
  return gains;
}

TEST(FreeSpace, AClippedTargetLeadsByTheLimitInEachCycle)
{
  RandomInputs random(1);
  for (int i = 0; i < 100; ++i) {
    const Vector6 error_max = random.vector<Vector6>(0.001, 0.01);
    const Vector6 error_min = -random.vector<Vector6>(0.001, 0.01);
    Pose farthest, measured;
    farthest.position = kBlock * (i % 2 == 0 ? error_max : error_min).head<3>();
    for (int cycle = 0; cycle < kBlock; ++cycle) {
      measured = limit_reference(farthest, measured, error_min, error_max).X_BE_clipped;
    }
    ASSERT_LT((measured.position - farthest.position).norm(), 1e-12);
  }
}

TEST(FreeSpace, AnActionOfMTimesTheLimitIsReachedInABlock)
{
  const Eigen::Vector3d limit(0.01, 0.008, 0.005);
  for (const double share : {0.2, 0.7, 1.0}) {
    const Eigen::Vector3d action = share * kBlock * limit;
    UnitMass limited(one_cycle_gains(limit));
    UnitMass unlimited(without_limits(one_cycle_gains(limit)));
    limited.run(kBlock, [&](int) { return action; });
    unlimited.run(kBlock, [&](int) { return action; });
    EXPECT_GT(limited.clipped_cycles(), 0);
    EXPECT_EQ(unlimited.clipped_cycles(), 0);
    EXPECT_LT((unlimited.position() - action).norm(), 1e-9);
    EXPECT_LT((limited.position() - unlimited.position()).norm(), 1e-9) << share;
  }
}

TEST(FreeSpace, ALargerActionIsNot)
{
  const Eigen::Vector3d limit(0.01, 0.008, 0.005);
  const Eigen::Vector3d action = 1.5 * kBlock * limit;
  UnitMass limited(one_cycle_gains(limit));
  limited.run(kBlock, [&](int) { return action; });
  EXPECT_LT((limited.position() - kBlock * limit).norm(), 1e-9);
}

TEST(FreeSpace, PolicyActionsOfACentimetreAreNotSlowedWithThePapersGains)
{
  const ImpedanceGains gains = ImpedanceGains::compliant();
  UnitMass limited(gains);
  UnitMass unlimited(without_limits(gains));
  const auto steps = [](int cycle) -> Eigen::Vector3d {
    return Eigen::Vector3d(0.01, -0.01, 0.005) * (1 + cycle / kBlock);
  };
  for (int block = 0; block < 10; ++block) {
    const auto target = [&](int cycle) { return steps(block * kBlock + cycle); };
    limited.run(kBlock, target);
    unlimited.run(kBlock, target);
    ASSERT_LT((limited.position() - unlimited.position()).norm(), 1e-12);
  }
  EXPECT_GT(limited.position()[0], 0.09);
}

TEST(FreeSpace, SpeedIsLimitedByDampingAsDocumented)
{
  const ImpedanceGains gains = ImpedanceGains::compliant();
  const double fastest = gains.stiffness[0] * gains.error_max[0] / gains.damping[0];
  EXPECT_NEAR(fastest, 0.22, 0.005);
  for (const double speed : {0.9 * fastest, 2.0 * fastest}) {
    UnitMass limited(gains);
    UnitMass unlimited(without_limits(gains));
    const auto ramp = [&](int cycle) { return Eigen::Vector3d(speed * kDt * (cycle + 1), 0.0, 0.0); };
    limited.run(1000, ramp);
    unlimited.run(1000, ramp);
    EXPECT_NEAR(unlimited.velocity()[0], speed, 1e-3 * speed);
    if (speed < fastest) {
      EXPECT_EQ(limited.clipped_cycles(), 0);
      EXPECT_NEAR(limited.position()[0], unlimited.position()[0], 1e-12);
    } else {
      EXPECT_NEAR(limited.velocity()[0], fastest, 1e-3 * fastest);
    }
  }
}

}  // namespace
}  // namespace serl_controllers
