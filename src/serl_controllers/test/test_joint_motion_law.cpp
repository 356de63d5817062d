// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "random_inputs.hpp"
#include "serl_controllers/joint_motion_law.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kDt = 1e-3;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Seven independent joints of some inertia [kg m²] under the law, with everything that must hold in every cycle.
class Joints
{
public:
  explicit Joints(const JointMotionSettings & settings = {}, const Vector7 & q = Vector7::Zero()) : q_(q)
  {
    EXPECT_EQ(law.set_settings(settings), "");
    EXPECT_TRUE(law.reset(q, Vector7::Zero()));
  }

  const JointMotionOutput & step()
  {
    const Vector7 before = law.output().torque, reference = law.output().q_reference;
    const JointMotionOutput & output = law.update(q_, dq_, Vector7::Zero(), kDt);
    const JointMotionSettings & s = law.settings();
    EXPECT_TRUE((output.torque.cwiseAbs().array() <= s.max_torque.array() + 1e-9).all());
    EXPECT_TRUE(
      ((output.torque - before).cwiseAbs().array() <= s.max_torque_rate.array() * kDt + 1e-9).all());
    if (output.motion == Motion::kMoving || output.motion == Motion::kStopping) {
      const Vector7 largest = s.max_velocity * kDt;
      EXPECT_TRUE(((output.q_reference - reference).cwiseAbs().array() <= largest.array() * 1.02).all());
    }
    if (!blocked) {
      dq_ += kDt * output.torque.cwiseQuotient(inertia_);
      q_ += kDt * dq_;
    }
    return output;
  }

  /// Cycles until no motion is going on.
  int run()
  {
    int cycles = 0;
    do {
      step();
      ++cycles;
    } while ((law.output().motion == Motion::kMoving || law.output().motion == Motion::kStopping) &&
             cycles < 60000);
    return cycles;
  }

  const Vector7 & q() const { return q_; }

  JointMotionLaw law;
  bool blocked = false;

private:
  Vector7 q_;
  Vector7 dq_ = Vector7::Zero();
  const Vector7 inertia_ = (Vector7() << 1.0, 1.0, 0.8, 0.6, 0.1, 0.1, 0.05).finished();
};

TEST(JointMotion, ReachesTheGoalInTheTimeThatTheVelocityNeeds)
{
  RandomInputs random(1);
  for (int run = 0; run < 20; ++run) {
    Joints joints({}, random.vector<Vector7>(-1.5, 1.5));
    const Vector7 start = joints.q(), goal = random.vector<Vector7>(-1.5, 1.5);
    ASSERT_EQ(joints.law.begin(goal, 0.0), "");
    const double expected = std::max(0.5, 1.875 * (goal - start).cwiseAbs().maxCoeff());
    const double taken = joints.run() * kDt;
    EXPECT_EQ(joints.law.output().motion, Motion::kReached);
    EXPECT_EQ(joints.law.output().fraction, 1.0);
    EXPECT_GE(taken, expected - kDt);
    EXPECT_LE(taken, expected + 1.0);
    EXPECT_LT((joints.q() - goal).cwiseAbs().maxCoeff(), 0.01);
    EXPECT_LT((joints.law.output().q_reference - goal).norm(), 1e-12);
  }
}

TEST(JointMotion, FollowsTheMinimumJerkProfile)
{
  Joints joints;
  const Vector7 goal = Vector7::Constant(0.4);
  ASSERT_EQ(joints.law.begin(goal, 2.0), "");
  for (int cycle = 1; cycle <= 2000; ++cycle) {
    const JointMotionOutput & output = joints.step();
    const double s = cycle * kDt / 2.0;
    const double expected = 0.4 * (10.0 * s * s * s - 15.0 * s * s * s * s + 6.0 * s * s * s * s * s);
    ASSERT_NEAR(output.q_reference[3], expected, 1e-9);
    ASSERT_NEAR(output.fraction, s, 1e-9);
  }
}

TEST(JointMotion, ADurationTooShortIsStretched)
{
  Joints joints;
  const Vector7 goal = Vector7::Constant(1.0);
  ASSERT_EQ(joints.law.begin(goal, 0.01), "");
  EXPECT_GE(joints.run() * kDt, 1.875);
  EXPECT_EQ(joints.law.output().motion, Motion::kReached);
}

TEST(JointMotion, StopsSmoothlyWhereverItIsCancelledAndNeverPassesTheGoal)
{
  const Vector7 goal = (Vector7() << 1.0, -0.6, 0.3, 0.0, 0.9, -0.2, 0.5).finished();
  for (int cancelled_at = 1; cancelled_at < 2000; cancelled_at += 37) {
    Joints joints;
    ASSERT_EQ(joints.law.begin(goal, 0.0), "");
    for (int i = 0; i < cancelled_at; ++i) {
      joints.step();
    }
    joints.law.stop();
    Vector7 velocity = joints.law.output().dq_reference;
    if (joints.law.output().motion == Motion::kReached) {
      continue;
    }
    int cycles = 0;
    while (joints.law.output().motion == Motion::kStopping) {
      const JointMotionOutput & output = joints.step();
      ASSERT_LT((output.dq_reference - velocity).cwiseAbs().maxCoeff(), 12.0 * kDt) << cancelled_at;
      velocity = output.dq_reference;
      const Vector7 share = output.q_reference.cwiseQuotient(goal);
      for (const int joint : {0, 1, 2, 4, 5, 6}) {
        ASSERT_LE(share[joint], 1.0 + 1e-6) << cancelled_at;
      }
      ++cycles;
    }
    ASSERT_EQ(joints.law.output().motion, Motion::kCancelled);
    ASSERT_LE(cycles, 301);
    ASSERT_LT(joints.law.output().dq_reference.cwiseAbs().maxCoeff(), 1e-9);
    const Vector7 rest = joints.law.output().q_reference;
    for (int i = 0; i < 500; ++i) {
      joints.step();
    }
    ASSERT_EQ(joints.law.output().q_reference, rest);
    ASSERT_LT((joints.q() - rest).cwiseAbs().maxCoeff(), 0.01);
    ASSERT_EQ(joints.law.begin(goal, 0.0), "");
  }
}

TEST(JointMotion, ABlockedArmIsGivenUpAndHeldWhereItIs)
{
  Joints joints;
  joints.blocked = true;
  ASSERT_EQ(joints.law.begin(Vector7::Constant(1.0), 0.0), "");
  joints.run();
  EXPECT_EQ(joints.law.output().motion, Motion::kBlocked);
  EXPECT_EQ(joints.law.output().q_reference, joints.q());
  for (int i = 0; i < 200; ++i) {
    joints.step();
  }
  EXPECT_LT(joints.law.output().torque.cwiseAbs().maxCoeff(), 1e-9);
}

TEST(JointMotion, AnArmThatDoesNotSettleIsReported)
{
  JointMotionSettings settings;
  settings.goal_tolerance = 1e-9;
  settings.settle_time = 0.2;
  settings.stiffness.setConstant(10.0);
  settings.damping.setConstant(20.0);
  Joints joints(settings);
  ASSERT_EQ(joints.law.begin(Vector7::Constant(0.05), 1.0), "");
  EXPECT_NEAR(joints.run() * kDt, 1.2, 0.01);
  EXPECT_EQ(joints.law.output().motion, Motion::kNotReached);
}

TEST(JointMotion, RefusesBadGoalsAndASecondMotion)
{
  JointMotionSettings settings;
  settings.lower.setConstant(-1.0);
  settings.upper.setConstant(1.0);
  Joints joints(settings);
  for (int joint = 0; joint < kJoints; ++joint) {
    Vector7 goal = Vector7::Zero();
    for (const double bad : {kNan, kInfinity}) {
      goal[joint] = bad;
      EXPECT_EQ(joints.law.begin(goal, 0.0), "the goal has a NaN or an infinity");
    }
    for (const double bad : {-1.001, 1.001, 1e300}) {
      goal[joint] = bad;
      EXPECT_EQ(joints.law.begin(goal, 0.0), "the goal is outside the joint limits");
    }
  }
  for (const double duration : {-1.0, kNan, kInfinity}) {
    EXPECT_EQ(joints.law.begin(Vector7::Zero(), duration), "the duration must be finite and not negative");
  }
  EXPECT_EQ(joints.law.output().motion, Motion::kNone);
  ASSERT_EQ(joints.law.begin(settings.upper, 0.0), "");
  joints.step();
  EXPECT_EQ(joints.law.begin(Vector7::Zero(), 0.0), "a motion is going on: cancel it first");
  JointMotionLaw fresh;
  EXPECT_EQ(fresh.begin(Vector7::Zero(), 0.0), "the law was not reset");
}

TEST(JointMotion, RefusesBadSettingsAndKeepsTheOldOnes)
{
  using Spoil = void (*)(JointMotionSettings &);
  const Spoil spoils[] = {
    [](JointMotionSettings & s) { s.stiffness[0] = -1.0; },
    [](JointMotionSettings & s) { s.damping[6] = kNan; },
    [](JointMotionSettings & s) { s.lower[2] = s.upper[2] + 0.1; },
    [](JointMotionSettings & s) { s.max_velocity[1] = 0.0; },
    [](JointMotionSettings & s) { s.max_tracking_error[1] = kInfinity; },
    [](JointMotionSettings & s) { s.max_torque[1] = 0.0; },
    [](JointMotionSettings & s) { s.max_torque_rate[1] = -1.0; },
    [](JointMotionSettings & s) { s.min_duration = 0.0; },
    [](JointMotionSettings & s) { s.stop_time = kNan; },
    [](JointMotionSettings & s) { s.goal_tolerance = 0.0; },
    [](JointMotionSettings & s) { s.settle_time = -1.0; },
  };
  for (const Spoil spoil : spoils) {
    JointMotionSettings settings;
    spoil(settings);
    JointMotionLaw law;
    EXPECT_NE(law.set_settings(settings), "");
    EXPECT_EQ(law.settings().validate(), "");
  }
}

TEST(JointMotion, ABadStateEndsTheMotionAndLetsTheTorqueGoToZero)
{
  for (const int bad_input : {0, 1, 2}) {
    JointMotionLaw law;
    ASSERT_TRUE(law.reset(Vector7::Zero(), Vector7::Constant(8.0)));
    ASSERT_EQ(law.begin(Vector7::Constant(0.3), 0.0), "");
    Vector7 inputs[3] = {Vector7::Zero(), Vector7::Zero(), Vector7::Zero()};
    law.update(inputs[0], inputs[1], inputs[2], kDt);
    inputs[bad_input][5] = kNan;
    for (int i = 0; i < 20; ++i) {
      const Vector7 before = law.output().torque;
      const JointMotionOutput & output = law.update(inputs[0], inputs[1], inputs[2], kDt);
      ASSERT_EQ(output.motion, Motion::kBadState);
      ASSERT_TRUE((output.torque.cwiseAbs().array() <= before.cwiseAbs().array()).all());
      ASSERT_LE((output.torque - before).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
    }
    EXPECT_EQ(law.output().torque, Vector7::Zero().eval());
    const Vector7 q = Vector7::Constant(0.2);
    const JointMotionOutput & output = law.update(q, Vector7::Zero(), Vector7::Zero(), kDt);
    EXPECT_EQ(output.q_reference, q);
    EXPECT_EQ(output.motion, Motion::kBadState);
    EXPECT_EQ(law.begin(Vector7::Zero(), 0.0), "");
  }
}

TEST(JointMotion, ABadTimeStepChangesNothing)
{
  Joints joints;
  ASSERT_EQ(joints.law.begin(Vector7::Constant(0.5), 0.0), "");
  for (int i = 0; i < 100; ++i) {
    joints.step();
  }
  const JointMotionOutput before = joints.law.output();
  for (const double dt : {0.0, -1e-3, kNan, kInfinity}) {
    const JointMotionOutput & output = joints.law.update(joints.q(), Vector7::Zero(), Vector7::Zero(), dt);
    EXPECT_EQ(output.torque, before.torque);
    EXPECT_EQ(output.q_reference, before.q_reference);
  }
}

TEST(JointMotion, GoesOnFromTheTorqueThatWasCommandedLast)
{
  RandomInputs random(2);
  for (int run = 0; run < 100; ++run) {
    JointMotionLaw law;
    const Vector7 q = random.vector<Vector7>(-1.0, 1.0), held = random.vector<Vector7>(-12.0, 12.0);
    ASSERT_TRUE(law.reset(q, held));
    const Vector7 torque = law.update(q, Vector7::Zero(), Vector7::Zero(), kDt).torque;
    ASSERT_LE((torque - held).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
  }
  JointMotionLaw law;
  EXPECT_FALSE(law.reset(Vector7::Constant(kNan), Vector7::Zero()));
  EXPECT_FALSE(law.reset(Vector7::Zero(), Vector7::Constant(kInfinity)));
  EXPECT_EQ(
    law.update(Vector7::Zero(), Vector7::Zero(), Vector7::Zero(), kDt).torque, Vector7::Zero().eval());
}

TEST(JointMotion, HoldsWithABoundedTorqueHoweverFarTheArmIsPushed)
{
  JointMotionLaw law;
  ASSERT_TRUE(law.reset(Vector7::Zero(), Vector7::Zero()));
  const JointMotionSettings & s = law.settings();
  for (int i = 0; i < 200; ++i) {
    law.update(Vector7::Constant(2.0), Vector7::Zero(), Vector7::Zero(), kDt);
  }
  const Vector7 largest = s.stiffness.cwiseProduct(s.max_tracking_error).cwiseMin(s.max_torque);
  EXPECT_LT((law.output().torque + largest).norm(), 1e-9);
}

}  // namespace
}  // namespace serl_controllers
