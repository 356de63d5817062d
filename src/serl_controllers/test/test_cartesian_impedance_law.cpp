// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "random_inputs.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_controllers/orientation.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kDt = 1e-3;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

static_assert(
  noexcept(std::declval<CartesianImpedanceLaw &>().update(
    std::declval<const RobotState &>(), std::declval<const Command &>(), kDt)) &&
    noexcept(std::declval<CartesianImpedanceLaw &>().reset(std::declval<const RobotState &>())) &&
    noexcept(std::declval<CartesianImpedanceLaw &>().set_gains(std::declval<const ImpedanceGains &>())),
  "the control path does not throw");

/// Gains that take effect in the first cycle, with torque limits too wide to be reached.
ImpedanceGains immediate(ImpedanceGains gains)
{
  gains.target_time_constant = 0.0;
  gains.gain_time_constant = 0.0;
  gains.max_torque.setConstant(1e12);
  gains.max_torque_rate.setConstant(1e15);
  return gains;
}

Command hold(const RobotState & state)
{
  Command command;
  command.X_BE_target = state.X_BE;
  command.q_nullspace = state.q;
  return command;
}

bool same(const Pose & a, const Pose & b)
{
  return a.position == b.position && a.orientation.coeffs() == b.orientation.coeffs();
}

TEST(ForceBound, HoldsOnEveryAxisInEveryState)
{
  RandomInputs random(1);
  bool damping_was_clamped = false;
  bool damping_was_free = false;
  for (int run = 0; run < 300; ++run) {
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(random.gains()), "");
    ASSERT_TRUE(law.reset(random.state(1.0)));
    for (int cycle = 0; cycle < 30; ++cycle) {
      if (cycle % 10 == 5) {
        ASSERT_EQ(law.set_gains(random.gains()), "");
      }
      const double dt = random.uniform(1e-4, 5e-3);
      // Speeds from rest to far beyond what any arm does, so that the damping clamp is reached as well.
      const RobotState state = random.state(std::pow(10.0, random.uniform(-3.0, 3.0)));
      const Command command = random.command();
      const Output & output = law.update(state, command, dt);
      const ImpedanceGains & gains = law.active_gains();
      const Vector6 spring_damper = output.wrench - output.integral_wrench - command.feed_forward;
      const Vector6 limit = gains.error_max.cwiseMax(-gains.error_min);
      const Vector6 bound =
        gains.stiffness.cwiseProduct(limit) + 2.0 / dt * gains.damping.cwiseProduct(limit);
      for (int axis = 0; axis < 6; ++axis) {
        ASSERT_LE(std::abs(spring_damper[axis]), bound[axis] * (1.0 + 1e-12) + 1e-9);
        ASSERT_LE(std::abs(output.integral_wrench[axis]), gains.integral_limit[axis]);
      }
      damping_was_clamped |= (output.flags & kDampingClamped) != 0;
      damping_was_free |= (output.flags & kDampingClamped) == 0;
    }
  }
  EXPECT_TRUE(damping_was_clamped);
  EXPECT_TRUE(damping_was_free);
}

TEST(ForceBound, AnArmHeldAtRestPressesWithTheSpringAlone)
{
  RandomInputs random(2);
  for (int run = 0; run < 300; ++run) {
    CartesianImpedanceLaw law;
    ImpedanceGains gains = random.gains();
    gains.integral_gain.setZero();
    ASSERT_EQ(law.set_gains(gains), "");
    RobotState state = random.state(0.0);
    ASSERT_TRUE(law.reset(state));
    for (int cycle = 0; cycle < 30; ++cycle) {
      Command command = random.command();
      command.feed_forward.setZero();
      const Output & output = law.update(state, command, kDt);
      for (int axis = 0; axis < 6; ++axis) {
        ASSERT_LE(output.wrench[axis], gains.stiffness[axis] * gains.error_max[axis] + 1e-9);
        ASSERT_GE(output.wrench[axis], gains.stiffness[axis] * gains.error_min[axis] - 1e-9);
      }
    }
  }
}

TEST(Wrench, PushesToTheTargetAndAgainstTheMotion)
{
  CartesianImpedanceLaw law;
  ASSERT_EQ(law.set_gains(immediate(ImpedanceGains::compliant())), "");
  RobotState state;
  state.J_BE.leftCols<6>().setIdentity();
  state.dq << 0.0, 0.1, 0.0, 0.0, 0.0, -0.2, 0.0;
  ASSERT_TRUE(law.reset(state));
  Command command = hold(state);
  command.X_BE_target.position.x() = 0.004;
  command.X_BE_target.position.z() = -1.0;
  command.X_BE_target.orientation = rotation_from_vector(Eigen::Vector3d(0.02, 0.0, 0.0));
  const Output & output = law.update(state, command, kDt);
  Vector6 expected;
  expected << 2000.0 * 0.004, -89.0 * 0.1, -2000.0 * 0.01, 150.0 * 0.02, 0.0, 7.0 * 0.2;
  EXPECT_LT((output.wrench - expected).norm(), 1e-10);
  EXPECT_LT((output.task_torque.head<6>() - expected).norm(), 1e-10);
  EXPECT_NEAR(output.X_BE_clipped.position.z(), -0.01, 1e-15);
  EXPECT_NEAR(output.X_BE_smoothed.position.z(), -1.0, 1e-15);
  EXPECT_NEAR(output.X_BE_commanded.position.z(), -1.0, 1e-15);
  EXPECT_NEAR(output.error[2], -1.0, 1e-15);
  EXPECT_EQ(output.flags, static_cast<std::uint32_t>(kErrorClipped));
}

TEST(Wrench, IsZeroAtZeroErrorAndZeroVelocity)
{
  RandomInputs random(3);
  for (int i = 0; i < 1000; ++i) {
    const RobotState state = random.state(0.0);
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(immediate(random.gains())), "");
    ASSERT_TRUE(law.reset(state));
    const Output & output = law.update(state, hold(state), kDt);
    ASSERT_LT(output.wrench.norm(), 1e-10);
    ASSERT_LT(output.task_torque.norm(), 1e-10);
    ASSERT_LT(output.nullspace_torque.norm(), 1e-10);
    ASSERT_LT((output.torque - state.coriolis).norm(), 1e-10);
  }
}

TEST(Wrench, IsTheSameForBothSignsOfTheTargetsQuaternion)
{
  RandomInputs random(4);
  CartesianImpedanceLaw law, twin;
  const RobotState start = random.state(0.5);
  ASSERT_TRUE(law.reset(start));
  ASSERT_TRUE(twin.reset(start));
  for (int i = 0; i < 2000; ++i) {
    RobotState state = random.state(0.5);
    Command command = random.command();
    const Vector7 torque = law.update(state, command, kDt).torque;
    if (i % 2 == 0) {
      command.X_BE_target.orientation.coeffs() *= -1.0;
    }
    if (i % 3 == 0) {
      state.X_BE.orientation.coeffs() *= -1.0;
    }
    ASSERT_LT((twin.update(state, command, kDt).torque - torque).norm(), 1e-9);
  }
}

TEST(Wrench, IsFiniteAndFullForATargetHalfATurnAway)
{
  RandomInputs random(5);
  for (int i = 0; i < 100; ++i) {
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(immediate(ImpedanceGains::compliant())), "");
    const RobotState state = random.state(0.0);
    ASSERT_TRUE(law.reset(state));
    Command command = hold(state);
    command.X_BE_target.orientation = Eigen::Quaterniond(0.0, 0.0, 0.0, 1.0) * state.X_BE.orientation;
    const Output & output = law.update(state, command, kDt);
    ASSERT_TRUE(output.torque.allFinite());
    ASSERT_NEAR(output.error.tail<3>().norm(), std::acos(-1.0), 1e-12);
    ASSERT_NEAR(std::abs(output.wrench[5]), 150.0 * 0.05, 1e-9);
  }
}

TEST(Integral, GrowsInSecondsAndStopsAtItsLimit)
{
  // The same push for the same time at two rates gives the same integral.
  for (const double dt : {1e-3, 4e-3}) {
    CartesianImpedanceLaw law;
    ImpedanceGains gains = immediate(ImpedanceGains::compliant());
    gains.integral_gain.setConstant(100.0);
    gains.integral_limit.setConstant(0.5);
    ASSERT_EQ(law.set_gains(gains), "");
    RobotState state;
    ASSERT_TRUE(law.reset(state));
    Command command = hold(state);
    command.X_BE_target.position.x() = 0.005;
    double time = 0.0;
    for (; time < 0.4 - 1e-9; time += dt) {
      law.update(state, command, dt);
    }
    EXPECT_NEAR(law.output().integral_wrench[0], 100.0 * 0.005 * 0.4, 1e-12);
    EXPECT_EQ(law.output().integral_wrench[1], 0.0);
    for (; time < 4.0; time += dt) {
      law.update(state, command, dt);
    }
    EXPECT_EQ(law.output().integral_wrench[0], 0.5);
    ASSERT_TRUE(law.reset(state));
    law.update(state, hold(state), dt);
    EXPECT_EQ(law.output().integral_wrench, Vector6::Zero().eval());
  }
}

TEST(Torque, IsContinuousWhateverJumps)
{
  RandomInputs random(6);
  bool limited = false;
  for (int run = 0; run < 300; ++run) {
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(random.gains()), "");
    ASSERT_TRUE(law.reset(random.state(1.0)));
    Vector7 previous = law.output().torque;
    RobotState state = random.state(1.0);
    Command command = random.command();
    for (int cycle = 0; cycle < 100; ++cycle) {
      if (cycle % 20 == 0) {
        command = random.command();
      }
      if (cycle % 20 == 10) {
        ASSERT_EQ(law.set_gains(random.gains()), "");
      }
      if (cycle % 50 == 30) {
        state = random.state(1.0);
      }
      RobotState seen = state;
      if (cycle % 25 < 3) {
        seen.q[2] = kNan;
      }
      const double dt = random.uniform(1e-4, 2e-3);
      const Vector7 torque = law.update(seen, command, dt).torque;
      const Vector7 largest = law.active_gains().max_torque_rate * dt;
      ASSERT_TRUE(((torque - previous).cwiseAbs().array() <= largest.array() + 1e-12).all());
      limited |= (law.output().flags & kTorqueRateLimited) != 0;
      previous = torque;
    }
  }
  EXPECT_TRUE(limited);
}

TEST(Torque, IsSaturated)
{
  RandomInputs random(7);
  CartesianImpedanceLaw law;
  ImpedanceGains gains = random.gains();
  gains.max_torque.setConstant(3.0);
  ASSERT_EQ(law.set_gains(gains), "");
  ASSERT_TRUE(law.reset(random.state(1.0)));
  bool saturated = false;
  for (int i = 0; i < 1000; ++i) {
    const Output & output = law.update(random.state(1.0), random.command(), kDt);
    ASSERT_LE(output.torque.cwiseAbs().maxCoeff(), 3.0 + 1e-12);
    saturated |= (output.flags & kTorqueSaturated) != 0;
  }
  EXPECT_TRUE(saturated);
}

TEST(Gains, GlideToNewValuesWithTheirTimeConstant)
{
  CartesianImpedanceLaw law;
  ImpedanceGains gains = ImpedanceGains::compliant();
  const RobotState state;
  ASSERT_TRUE(law.reset(state));
  gains.stiffness.setConstant(1000.0);
  ASSERT_EQ(law.set_gains(gains), "");
  const double before = law.active_gains().stiffness[0];
  const int cycles = 100;
  for (int i = 0; i < cycles; ++i) {
    law.update(state, hold(state), kDt);
  }
  const double expected = 1000.0 + (before - 1000.0) * std::exp(-cycles * kDt / gains.gain_time_constant);
  EXPECT_NEAR(law.active_gains().stiffness[0], expected, 1e-9);
  EXPECT_EQ(law.gains().stiffness[0], 1000.0);
}

TEST(Gains, BadOnesAreRefusedAndTheOldOnesStay)
{
  CartesianImpedanceLaw law;
  ImpedanceGains gains = ImpedanceGains::compliant();
  gains.stiffness[1] = -1.0;
  EXPECT_EQ(law.set_gains(gains), "stiffness must be finite and not negative");
  EXPECT_EQ(law.gains().stiffness, ImpedanceGains::compliant().stiffness);
}

TEST(BadInput, HoldsTheSmoothedTargetAndSaysWhy)
{
  RandomInputs random(8);
  const RobotState state = random.state(0.0);
  Command good = random.command();
  struct Case
  {
    Pose X_BE;
    std::uint32_t flag;
  };
  std::vector<Case> cases;
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    for (int i = 0; i < 3; ++i) {
      cases.push_back({good.X_BE_target, kHeldNonFiniteTarget});
      cases.back().X_BE.position[i] = bad;
    }
    for (int i = 0; i < 4; ++i) {
      cases.push_back({good.X_BE_target, kHeldNonFiniteTarget});
      cases.back().X_BE.orientation.coeffs()[i] = bad;
    }
  }
  for (const double length : {0.0, 0.5, 0.99, 1.01, 2.0, 1e200}) {
    cases.push_back({good.X_BE_target, kHeldBadQuaternion});
    cases.back().X_BE.orientation.coeffs() *= length;
  }
  for (const Case & bad : cases) {
    CartesianImpedanceLaw law;
    ASSERT_TRUE(law.reset(state));
    for (int i = 0; i < 20; ++i) {
      law.update(state, good, kDt);
    }
    const Output before = law.output();
    Command command = good;
    command.X_BE_target = bad.X_BE;
    for (int i = 0; i < 20; ++i) {
      const Output & output = law.update(state, command, kDt);
      ASSERT_EQ(output.flags & (kHeldNonFiniteTarget | kHeldBadQuaternion), bad.flag);
      ASSERT_TRUE(same(output.X_BE_smoothed, before.X_BE_smoothed));
      ASSERT_TRUE(same(output.X_BE_commanded, before.X_BE_smoothed));
      ASSERT_TRUE(output.torque.allFinite());
    }
    const Output & after = law.update(state, good, kDt);
    ASSERT_EQ(after.flags & (kHeldNonFiniteTarget | kHeldBadQuaternion), 0u);
    ASSERT_FALSE(same(after.X_BE_smoothed, before.X_BE_smoothed));
  }
}

TEST(BadInput, SlightlyLongQuaternionIsRoundingAndIsNormalised)
{
  CartesianImpedanceLaw law;
  const RobotState state;
  ASSERT_TRUE(law.reset(state));
  Command command = hold(state);
  command.X_BE_target.orientation.coeffs() *= 1.0005;
  const Output & output = law.update(state, command, kDt);
  EXPECT_EQ(output.flags, 0u);
  EXPECT_NEAR(output.X_BE_commanded.orientation.norm(), 1.0, 1e-15);
}

TEST(BadInput, ATargetAtTheEndOfTheNumberLineDoesNoLastingHarm)
{
  const double largest = std::numeric_limits<double>::max();
  CartesianImpedanceLaw law;
  const RobotState state;
  ImpedanceGains gains = ImpedanceGains::compliant();
  gains.target_time_constant = 0.0;
  ASSERT_EQ(law.set_gains(gains), "");
  ASSERT_TRUE(law.reset(state));
  Command command = hold(state);
  command.X_BE_target.position.x() = largest;
  law.update(state, command, kDt);
  command.X_BE_target.position.x() = -largest;
  EXPECT_NE(law.update(state, command, kDt).flags & kHeldNonFiniteTarget, 0u);
  const Output & output = law.update(state, hold(state), kDt);
  EXPECT_TRUE(output.X_BE_smoothed.position.isZero());
  EXPECT_TRUE(output.torque.allFinite());
}

TEST(BadInput, FeedForwardAndPostureThatAreNotFiniteAreLeftOut)
{
  RandomInputs random(9);
  const RobotState state = random.state(0.1);
  const Command good = random.command();
  Command without = good;
  without.feed_forward.setZero();
  Command bad = good;
  bad.feed_forward[4] = kNan;
  bad.q_nullspace[6] = kInfinity;
  CartesianImpedanceLaw law, twin;
  for (CartesianImpedanceLaw * each : {&law, &twin}) {
    ASSERT_TRUE(each->reset(state));
    each->update(state, good, kDt);
  }
  const Output & expected = twin.update(state, without, kDt);
  const Output & output = law.update(state, bad, kDt);
  EXPECT_EQ(output.torque, expected.torque);
  EXPECT_EQ(output.flags & ~expected.flags, kIgnoredFeedForward | kHeldNullspacePosture);
}

TEST(BadInput, ABadStateLetsTheTorqueGoToZero)
{
  RandomInputs random(10);
  using Spoil = void (*)(RobotState &);
  const Spoil spoils[] = {
    [](RobotState & state) { state.q[0] = kNan; },
    [](RobotState & state) { state.dq[6] = kInfinity; },
    [](RobotState & state) { state.coriolis[3] = kNan; },
    [](RobotState & state) { state.X_BE.position[1] = kNan; },
    [](RobotState & state) { state.X_BE.orientation.coeffs()[2] = kNan; },
    [](RobotState & state) { state.X_BE.orientation.coeffs().setZero(); },
    [](RobotState & state) { state.J_BE(5, 6) = -kInfinity; },
    [](RobotState & state) {
      state.J_BE.setConstant(1e300);
      state.dq.setConstant(1e300);
    },
  };
  for (const Spoil spoil : spoils) {
    CartesianImpedanceLaw law;
    const RobotState good = random.state(0.1);
    const Command command = random.command();
    ASSERT_TRUE(law.reset(good));
    for (int i = 0; i < 50; ++i) {
      law.update(good, command, kDt);
    }
    ASSERT_GT(law.output().torque.norm(), 1.0);
    RobotState bad = good;
    spoil(bad);
    Vector7 previous = law.output().torque;
    for (int i = 0; i < 100; ++i) {
      const Output & output = law.update(bad, command, kDt);
      ASSERT_NE(output.flags & kBadState, 0u);
      ASSERT_TRUE((output.torque.cwiseAbs().array() <= previous.cwiseAbs().array()).all());
      ASSERT_LE((output.torque - previous).cwiseAbs().maxCoeff(), 1000.0 * kDt + 1e-12);
      previous = output.torque;
    }
    EXPECT_EQ(previous, Vector7::Zero().eval());
    // And back to work with the next good state.
    for (int i = 0; i < 200; ++i) {
      law.update(good, command, kDt);
    }
    EXPECT_EQ(law.output().flags & kBadState, 0u);
    EXPECT_GT(law.output().torque.norm(), 1.0);
  }
}

TEST(BadInput, ABadTimeStepChangesNothing)
{
  RandomInputs random(11);
  CartesianImpedanceLaw law;
  const RobotState state = random.state(0.1);
  ASSERT_TRUE(law.reset(state));
  law.update(state, random.command(), kDt);
  const Output before = law.output();
  for (const double dt : {0.0, -1e-3, kNan, kInfinity}) {
    const Output & output = law.update(random.state(0.1), random.command(), dt);
    EXPECT_EQ(output.flags, static_cast<std::uint32_t>(kBadTimeStep));
    EXPECT_EQ(output.torque, before.torque);
    EXPECT_TRUE(same(output.X_BE_smoothed, before.X_BE_smoothed));
  }
}

TEST(Reset, StartsFromTheMeasuredPoseWithTheCoriolisTorque)
{
  RandomInputs random(12);
  const RobotState state = random.state(0.1);
  CartesianImpedanceLaw law;
  ASSERT_TRUE(law.reset(random.state(0.1)));
  for (int i = 0; i < 100; ++i) {
    law.update(random.state(0.1), random.command(), kDt);
  }
  ASSERT_TRUE(law.reset(state));
  EXPECT_EQ(law.output().torque, state.coriolis);
  EXPECT_LT(pose_error(law.output().X_BE_smoothed, state.X_BE).norm(), 1e-14);
}

TEST(Reset, GoesOnFromTheTorqueThatWasCommandedLast)
{
  RandomInputs random(13);
  for (int run = 0; run < 100; ++run) {
    const RobotState state = random.state(0.1);
    CartesianImpedanceLaw law;
    ASSERT_EQ(law.set_gains(ImpedanceGains::compliant()), "");
    const Vector7 held = random.vector<Vector7>(-11.0, 11.0);
    ASSERT_TRUE(law.reset(state, held));
    ASSERT_EQ(law.output().torque, held);
    const Vector7 next = law.update(state, random.command(), kDt).torque;
    ASSERT_TRUE(
      ((next - held).cwiseAbs().array() <= law.gains().max_torque_rate.array() * kDt + 1e-12).all());
  }
}

TEST(Reset, TakesTheCoriolisTorqueWhereNoneWasCommandedAndStaysWithinMaxTorque)
{
  RandomInputs random(14);
  const RobotState state = random.state(0.1);
  CartesianImpedanceLaw law;
  Vector7 held;
  held << kNan, 1.0, kInfinity, -1e9, 2.0, -kInfinity, 1e9;
  ASSERT_TRUE(law.reset(state, held));
  Vector7 expected;
  expected << state.coriolis[0], 1.0, state.coriolis[2], -87.0, 2.0, state.coriolis[5], 12.0;
  EXPECT_EQ(law.output().torque, expected);
}

TEST(Reset, IsRefusedForABadStateAndNeededForTheFirstUpdate)
{
  CartesianImpedanceLaw law;
  RobotState state;
  const Output & output = law.update(state, Command{}, kDt);
  EXPECT_EQ(output.flags, static_cast<std::uint32_t>(kNotReset));
  EXPECT_EQ(output.torque, Vector7::Zero().eval());
  state.X_BE.position.x() = kNan;
  EXPECT_FALSE(law.reset(state));
  EXPECT_EQ(law.update(RobotState{}, Command{}, kDt).flags, static_cast<std::uint32_t>(kNotReset));
}

}  // namespace
}  // namespace serl_controllers
