// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// No function of the control path takes memory from the heap.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <memory>

#include "allocation_counter.hpp"
#include "random_inputs.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_controllers/feed_forward.hpp"
#include "serl_controllers/joint_motion_law.hpp"
#include "serl_controllers/target_tracker.hpp"

namespace serl_controllers
{
namespace
{

TEST(NoAllocation, TheCounterCounts)
{
  EXPECT_EQ(count_allocations([] {}), 0);
  EXPECT_GE(count_allocations([] { std::make_unique<volatile int>(1); }), 1);
  EXPECT_GE(
    count_allocations([] { std::free(std::malloc(static_cast<std::size_t>(std::rand()) % 64 + 1)); }), 1);
  EXPECT_GE(count_allocations([] { Eigen::MatrixXd::Random(6, 7).eval(); }), 1);
}

TEST(NoAllocation, OnTheWholeControlPath)
{
  RandomInputs random(1);
  for (int run = 0; run < 100; ++run) {
    RobotState state = random.state(1.0);
    const RobotState next_state = random.state(1.0);
    RobotState bad_state = state;
    bad_state.q[0] = std::numeric_limits<double>::quiet_NaN();
    const Command command = random.command();
    Command bad_command = command;
    bad_command.X_BE_target.orientation.coeffs().setZero();
    bad_command.feed_forward[0] = std::numeric_limits<double>::infinity();
    const ImpedanceGains gains = random.gains();
    const ImpedanceGains other_gains = random.gains();
    ImpedanceGains bad_gains = gains;
    bad_gains.damping[0] = -1.0;
    const int allocated = count_allocations([&] {
      CartesianImpedanceLaw law;
      law.update(state, command, 1e-3);
      static_cast<void>(law.set_gains(gains));
      law.reset(state);
      law.update(state, command, 1e-3);
      static_cast<void>(law.set_gains(other_gains));
      law.update(next_state, command, 1e-3);
      static_cast<void>(law.set_gains(bad_gains));
      law.update(next_state, bad_command, 1e-3);
      law.update(bad_state, command, 1e-3);
      law.update(next_state, command, 0.0);
      static_cast<void>(law.set_gains(ImpedanceGains::precise()));
      for (int i = 0; i < 100; ++i) {
        law.update(state, command, 1e-3);
      }
      law.reset(bad_state);
    });
    ASSERT_EQ(allocated, 0);
  }
}

TEST(NoAllocation, OnTheWayOfTargetsWrenchesAndJointMotions)
{
  RandomInputs random(2);
  for (int run = 0; run < 100; ++run) {
    const Pose target = random.pose(0.2), measured = random.pose(0.2);
    const Vector6 wrench = random.vector<Vector6>(-10.0, 10.0);
    const Vector7 q = random.vector<Vector7>(-1.0, 1.0), goal = random.vector<Vector7>(-1.0, 1.0);
    Vector7 bad = q;
    bad[0] = std::numeric_limits<double>::quiet_NaN();
    const int allocated = count_allocations([&] {
      TargetTracker tracker;
      tracker.reset(measured);
      tracker.follow(target);
      tracker.refuse(check_target(target, measured, TargetLimits{}), measured);
      for (int i = 0; i < 100; ++i) {
        tracker.update(measured, 0.05, 1e-3);
      }
      FeedForward feed_forward;
      feed_forward.set(wrench, true);
      for (int i = 0; i < 100; ++i) {
        feed_forward.update(measured.orientation, FeedForwardLimits{}, 1e-3);
      }
      JointMotionLaw law;
      static_cast<void>(law.set_settings(JointMotionSettings{}));
      law.reset(q, q);
      static_cast<void>(law.begin(goal, 0.0));
      for (int i = 0; i < 100; ++i) {
        law.update(q, Vector7::Zero(), Vector7::Zero(), 1e-3);
      }
      law.stop();
      for (int i = 0; i < 400; ++i) {
        law.update(law.output().q_reference, q, q, 1e-3);
      }
      law.update(bad, q, q, 1e-3);
    });
    ASSERT_EQ(allocated, 0);
  }
}

}  // namespace
}  // namespace serl_controllers
