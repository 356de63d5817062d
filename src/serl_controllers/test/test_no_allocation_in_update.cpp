// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// update() takes no memory from the heap and touches no page for the first time, targets, wrenches, gains and bad input
// included.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <realtime_tools/realtime_helpers.hpp>

#include "impedance_harness.hpp"
#include "serl_controllers/joint_reset_controller.hpp"

#include "allocation_counter.hpp"

namespace serl_controllers
{
namespace
{

using rclcpp::Parameter;

/// What update() cost, summed over all its calls.
struct Cost
{
  int updates = 0;
  int allocations = 0;
  long page_faults = 0;

  void operator()(const std::function<void()> & update)
  {
    rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    allocations += count_allocations(update);
    getrusage(RUSAGE_THREAD, &after);
    page_faults += (after.ru_minflt - before.ru_minflt) + (after.ru_majflt - before.ru_majflt);
    ++updates;
  }
};

/// Lock the memory as the controller manager does by default. Why it could not be done; empty if it was.
std::string lock_memory()
{
  const auto [is_locked, message] = realtime_tools::lock_memory();
  return is_locked ? "" : message;
}

void expect_none(const Cost & cost, const std::string & not_locked)
{
  std::printf(
    "%d updates: %d allocations, %ld page faults\n", cost.updates, cost.allocations, cost.page_faults);
  EXPECT_EQ(cost.allocations, 0);
  if (not_locked.empty()) {
    EXPECT_EQ(cost.page_faults, 0);
  }
}

TEST(NoAllocation, TheCostIsCounted)
{
  munlockall();  // in case the tests are repeated
  Cost cost;
  cost([] { std::free(std::malloc(static_cast<std::size_t>(std::rand()) % 64 + 1)); });
  EXPECT_EQ(cost.allocations, 1);
  cost([] {
    constexpr std::size_t kBytes = 1 << 22;
    void * memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (std::size_t i = 0; i < kBytes; i += 4096) {
      static_cast<volatile char *>(memory)[i] = 1;
    }
    munmap(memory, kBytes);
  });
  EXPECT_GT(cost.page_faults, 0);
}

TEST(NoAllocation, InTheUpdateOfTheImpedanceController)
{
  const std::string not_locked = lock_memory();
  for (const std::string mode : {"impedance", "wrench"}) {
    ImpedanceHarness harness;
    Cost cost;
    ASSERT_TRUE(harness.init(
      {Parameter("mode", mode), Parameter("wrench_sensor", "tcp_wrench"),
       Parameter("model.compensate_gravity", mode == "wrench"), Parameter("state_decimation", 1),
       Parameter("target.timeout", 0.02)}));
    harness.arm->blocked = mode == "wrench";  // the tiny arm has no gravity to balance
    ASSERT_TRUE(harness.configure());
    ASSERT_TRUE(harness.activate());
    harness.around_update = [&](const std::function<void()> & update) { cost(update); };
    const auto node = harness.controller.get_node();
    for (int cycle = 0; cycle < 10000; ++cycle) {
      harness.step();
      if (cycle % 10 != 0) {
        continue;
      }
      auto target = harness.target(0.0, 0.0, cycle % 200 < 100 ? 0.01 : -0.01);
      if (cycle % 300 == 0) {
        target.pose.position.x = kNan;
      }
      geometry_msgs::msg::WrenchStamped wrench;
      wrench.header.frame_id = cycle % 40 == 0 ? "nowhere" : "tcp";
      wrench.wrench.force.z = 1.0;
      harness.targets->publish(target);
      harness.wrenches->publish(wrench);
      if (cycle % 500 == 0) {
        ASSERT_TRUE(
          node->set_parameter(Parameter("gain_set", cycle % 1000 == 0 ? "precise" : "compliant")).successful);
      }
      if (cycle % 700 == 0) {
        ASSERT_TRUE(node->set_parameter(Parameter("target.time_constant", 1e-4 * (cycle % 100))).successful);
      }
      harness.executor.spin_some();
      if (cycle == 5000) {
        harness.arm->q[1] = kNan;
      }
      if (cycle == 5050) {
        harness.arm->q = test_arm::home();
        harness.arm->dq.setZero();
      }
    }
    EXPECT_GT(harness.state.refused_targets + (mode == "wrench"), 0u);
    EXPECT_EQ(cost.updates, 10000);
    expect_none(cost, not_locked);
  }
  if (!not_locked.empty()) {
    GTEST_SKIP() << "page faults not judged, for memory cannot be locked here: " << not_locked;
  }
}

TEST(NoAllocation, InTheUpdateOfTheJointResetController)
{
  const std::string not_locked = lock_memory();
  using MoveJoints = serl_msgs::action::MoveJoints;
  Harness<JointResetController> harness(std::make_shared<TinyArm>(), "joint_reset_controller");
  Cost cost;
  ASSERT_TRUE(harness.init({Parameter("min_duration", 0.1), Parameter("feedback_rate", 1000.0)}));
  ASSERT_TRUE(harness.configure());
  ASSERT_TRUE(harness.activate());
  const auto client = rclcpp_action::create_client<MoveJoints>(harness.world, harness.topic("move_joints"));
  ASSERT_TRUE(harness.until([&] { return client->action_server_is_ready(); }));
  harness.around_update = [&](const std::function<void()> & update) { cost(update); };
  int moved = 0;
  rclcpp_action::Client<MoveJoints>::SendGoalOptions options;
  options.result_callback = [&](const auto &) { ++moved; };
  for (int cycle = 0; cycle < 10000; ++cycle) {
    harness.step();
    if (cycle % 10 != 0) {
      continue;
    }
    if (cycle % 500 == 0) {
      MoveJoints::Goal goal;
      const Vector7 positions = test_arm::home() + Vector7::Constant(cycle % 1000 == 0 ? 0.05 : -0.05);
      goal.positions.assign(positions.data(), positions.data() + kJoints);
      client->async_send_goal(goal, options);
    }
    if (cycle % 1500 == 100) {
      client->async_cancel_all_goals();
    }
    if (cycle % 700 == 0) {
      ASSERT_TRUE(harness.controller.get_node()
                    ->set_parameter(Parameter("settle_time", 0.5 + 1e-5 * cycle))
                    .successful);
    }
    if (cycle == 5100) {
      harness.arm->q[1] = kNan;
    }
    if (cycle == 5150) {
      harness.arm->q = test_arm::home();
      harness.arm->dq.setZero();
    }
    harness.executor.spin_some();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_GT(moved, 3);
  expect_none(cost, not_locked);
  if (!not_locked.empty()) {
    GTEST_SKIP() << "page faults not judged, for memory cannot be locked here: " << not_locked;
  }
}

}  // namespace
}  // namespace serl_controllers

int main(int argc, char ** argv)
{
  testing::InitGoogleTest(&argc, argv);
  rclcpp::init(argc, argv);
  const int result = RUN_ALL_TESTS();
  rclcpp::shutdown();
  return result;
}
