// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller_harness.hpp"
#include "impedance_harness.hpp"
#include "serl_controllers/joint_reset_controller.hpp"

namespace serl_controllers
{
namespace
{

using MoveJoints = serl_msgs::action::MoveJoints;
using GoalHandle = rclcpp_action::ClientGoalHandle<MoveJoints>;
using rclcpp::Parameter;

std::vector<double> array(const Vector7 & values)
{
  return {values.data(), values.data() + values.size()};
}

class ResetHarness : public Harness<JointResetController>
{
public:
  explicit ResetHarness(std::shared_ptr<TinyArm> tiny_arm = std::make_shared<TinyArm>())
  : Harness(std::move(tiny_arm), "joint_reset_controller"),
    client(rclcpp_action::create_client<MoveJoints>(world, topic("move_joints")))
  {
  }

  bool start(std::vector<Parameter> overrides = {})
  {
    overrides.emplace_back("feedback_rate", 500.0);
    return Harness::start(overrides) && until([this] { return client->action_server_is_ready(); });
  }

  /// The handle of an accepted goal; null if it was refused.
  GoalHandle::SharedPtr send(const std::vector<double> & positions, double duration = 0.0)
  {
    MoveJoints::Goal goal;
    goal.positions = positions;
    goal.duration = duration;
    rclcpp_action::Client<MoveJoints>::SendGoalOptions options;
    options.feedback_callback =
      [this](GoalHandle::SharedPtr, std::shared_ptr<const MoveJoints::Feedback> message) {
        feedback.push_back(*message);
      };
    options.result_callback = [this](const GoalHandle::WrappedResult & outcome) { result = outcome; };
    result.reset();
    feedback.clear();
    auto answer = client->async_send_goal(goal, options);
    EXPECT_TRUE(until([&] { return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    return answer.get();
  }

  /// Cycles until the result is there.
  bool finish()
  {
    return until([this] { return result.has_value(); });
  }

  rclcpp_action::Client<MoveJoints>::SharedPtr client;
  std::vector<MoveJoints::Feedback> feedback;
  std::optional<GoalHandle::WrappedResult> result;
};

TEST(MoveJoints, ReachesTheGoalWithFeedback)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  const Vector7 goal = test_arm::home() + (Vector7() << 0.3, -0.2, 0.4, 0.3, -0.5, 0.2, 0.1).finished();
  ASSERT_NE(harness.send(array(goal), 1.0), nullptr);
  ASSERT_TRUE(harness.finish());
  EXPECT_EQ(harness.result->code, rclcpp_action::ResultCode::SUCCEEDED);
  EXPECT_TRUE(harness.result->result->success);
  EXPECT_EQ(harness.result->result->message, "reached the goal");
  ASSERT_EQ(harness.result->result->error.size(), 7u);
  for (const double error : harness.result->result->error) {
    EXPECT_LT(std::abs(error), 0.01);
  }
  EXPECT_LT((harness.arm->q - goal).cwiseAbs().maxCoeff(), 0.01);
  ASSERT_GT(harness.feedback.size(), 3u);
  for (std::size_t i = 1; i < harness.feedback.size(); ++i) {
    EXPECT_GE(harness.feedback[i].fraction, harness.feedback[i - 1].fraction);
    EXPECT_EQ(harness.feedback[i].error.size(), 7u);
  }
}

TEST(MoveJoints, WithoutPositionsGoesHome)
{
  ResetHarness harness;
  const Vector7 home = test_arm::home() - Vector7::Constant(0.1);
  ASSERT_TRUE(harness.start({Parameter("home", array(home))}));
  ASSERT_NE(harness.send({}), nullptr);
  ASSERT_TRUE(harness.finish());
  EXPECT_TRUE(harness.result->result->success);
  EXPECT_LT((harness.arm->q - home).cwiseAbs().maxCoeff(), 0.01);
}

TEST(MoveJoints, RefusesWhatCannotBe)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  EXPECT_EQ(harness.send({}), nullptr);  // there is no home
  EXPECT_EQ(harness.send({0.0, 0.0}), nullptr);
  EXPECT_EQ(harness.send(array(Vector7::Constant(kNan))), nullptr);
  Vector7 goal = test_arm::home();
  goal[1] = 2.78;  // inside the joint limit, but not its margin
  EXPECT_EQ(harness.send(array(goal)), nullptr);
  goal[1] = -2.9;
  EXPECT_EQ(harness.send(array(goal)), nullptr);
  EXPECT_EQ(harness.send(array(test_arm::home()), -1.0), nullptr);
  const Vector7 q = harness.arm->q;
  harness.steps(200);
  EXPECT_LT((harness.arm->q - q).norm(), 1e-9);
  goal = test_arm::home();
  goal[4] = 3.5;  // a joint without limits
  ASSERT_NE(harness.send(array(goal)), nullptr);
  EXPECT_EQ(harness.send(array(goal)), nullptr);  // one at a time
  harness.deactivate();
  ASSERT_TRUE(harness.activate());
}

TEST(MoveJoints, CancelBringsTheArmToRestOnItsWay)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  const Vector7 start = harness.arm->q, goal = start + Vector7::Constant(0.5);
  const auto handle = harness.send(array(goal), 4.0);
  ASSERT_NE(handle, nullptr);
  harness.steps(1500);
  harness.client->async_cancel_goal(handle);
  ASSERT_TRUE(harness.finish());
  EXPECT_EQ(harness.result->code, rclcpp_action::ResultCode::CANCELED);
  EXPECT_FALSE(harness.result->result->success);
  const Vector7 rest = harness.arm->q;
  EXPECT_GT((rest - start).minCoeff(), 0.05);
  EXPECT_GT((goal - rest).minCoeff(), 0.05);
  harness.steps(1000);
  EXPECT_LT((harness.arm->q - rest).cwiseAbs().maxCoeff(), 0.01);
  EXPECT_LT(harness.arm->dq.cwiseAbs().maxCoeff(), 1e-3);
  ASSERT_NE(harness.send(array(goal)), nullptr);
  ASSERT_TRUE(harness.finish());
  EXPECT_TRUE(harness.result->result->success);
}

TEST(MoveJoints, IsGivenUpWhenTheArmIsBlockedAndItHolds)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  ASSERT_NE(harness.send(array(harness.arm->q + Vector7::Constant(0.5))), nullptr);
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.finish());
  EXPECT_EQ(harness.result->code, rclcpp_action::ResultCode::ABORTED);
  EXPECT_EQ(harness.result->result->message, describe(Motion::kBlocked));
  harness.steps(300);
  EXPECT_LT(harness.arm->torque().norm(), 1e-2);
}

TEST(MoveJoints, EndsWithTheController)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  ASSERT_NE(harness.send(array(harness.arm->q + Vector7::Constant(0.5))), nullptr);
  harness.steps(100);
  harness.deactivate();
  for (int i = 0; i < 2000 && !harness.result; ++i) {
    harness.executor.spin_some();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(harness.result.has_value());
  EXPECT_EQ(harness.result->code, rclcpp_action::ResultCode::ABORTED);
  EXPECT_EQ(harness.result->result->message, "the controller was deactivated during the motion");
  harness.arm->dq.setZero();
  const Vector7 q = harness.arm->q;
  ASSERT_TRUE(harness.activate());
  harness.steps(300);
  EXPECT_LT((harness.arm->q - q).cwiseAbs().maxCoeff(), 0.01);  // the goal of before is forgotten
}

TEST(MoveJoints, EndsWithAStateThatIsNotFinite)
{
  ResetHarness harness;
  ASSERT_TRUE(harness.start());
  ASSERT_NE(harness.send(array(harness.arm->q + Vector7::Constant(0.5))), nullptr);
  harness.steps(300);
  const Vector7 q = harness.arm->q;
  harness.arm->q[3] = kNan;
  harness.arm->dq.setZero();
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.finish());
  EXPECT_EQ(harness.result->result->message, describe(Motion::kBadState));
  harness.steps(200);
  EXPECT_EQ(harness.arm->torque(), Vector7::Zero().eval());
  harness.arm->q = q;
  harness.steps(100);
  EXPECT_LT(harness.arm->torque().norm(), 1e-6);
}

TEST(BadInput, RefusesParametersAndInterfacesThatCannotBe)
{
  {
    ResetHarness harness;
    EXPECT_FALSE(harness.init({Parameter("joints", std::vector<std::string>{"joint1"})}));
  }
  {
    ResetHarness harness;
    EXPECT_FALSE(harness.init({Parameter("stiffness", std::vector<double>(7, -1.0))}));
  }
  ResetHarness harness;
  ASSERT_TRUE(harness.init());
  ASSERT_TRUE(harness.configure());
  harness.controller.assign_interfaces(
    harness.arm->lend_commands({"joint1/effort"}),
    harness.arm->lend_states(harness.controller.state_interface_configuration().names));
  EXPECT_NE(harness.controller.get_node()->activate().id(), lifecycle_msgs::msg::State::PRIMARY_STATE_ACTIVE);
  harness.controller.release_interfaces();
  ASSERT_TRUE(harness.activate());
  const auto node = harness.controller.get_node();
  EXPECT_FALSE(node->set_parameter(Parameter("max_velocity", std::vector<double>(7, kNan))).successful);
  EXPECT_TRUE(node->set_parameter(Parameter("max_velocity", std::vector<double>(7, 0.5))).successful);
  harness.steps(10);
}

TEST(BadInput, AMarginThatLeavesAJointNoRangeIsRefusedAndTheOldOneStays)
{
  ResetHarness harness;
  for (auto & [joint, limits] : harness.params.hard_joint_limits) {
    limits.min_position = -0.8;
    limits.max_position = 0.8;
  }
  ASSERT_TRUE(harness.start());
  const auto node = harness.controller.get_node();
  const Parameter before = node->get_parameter("position_margin");
  const auto result = node->set_parameter(Parameter("position_margin", 0.9));  // more than half of 1.6 rad
  EXPECT_FALSE(result.successful);
  EXPECT_EQ(result.reason.find("position_margin 0.9"), 0u) << result.reason;
  EXPECT_EQ(node->get_parameter("position_margin"), before);
  EXPECT_TRUE(node->set_parameter(Parameter("position_margin", 0.3)).successful);
  harness.steps(10);
}

TEST(Switching, BetweenImpedanceAndJointMotionMakesNoStepInTheTorque)
{
  const auto arm = std::make_shared<TinyArm>();
  ImpedanceHarness impedance(arm);
  ResetHarness reset(arm);
  ASSERT_TRUE(impedance.start({Parameter("target.timeout", 60.0)}));
  ASSERT_TRUE(reset.init({Parameter("feedback_rate", 500.0)}));
  ASSERT_TRUE(reset.configure());
  for (int round = 0; round < 5; ++round) {
    // Press against something that does not give way, so that there is a torque to make a step of.
    arm->blocked = true;
    arm->dq.setZero();
    ASSERT_TRUE(
      impedance.send(impedance.target(0.02, 0.0, -0.02), serl_msgs::msg::ControllerState::HOLD_NONE));
    impedance.steps(300);
    const Vector7 pressing = arm->torque();
    ASSERT_GT(pressing.cwiseAbs().maxCoeff(), 3.0);
    impedance.deactivate();
    EXPECT_EQ(arm->torque(), pressing);
    ASSERT_TRUE(reset.activate());
    EXPECT_EQ(arm->torque(), pressing);
    arm->blocked = false;
    ASSERT_TRUE(reset.until([&] { return reset.client->action_server_is_ready(); }));  // steps check the rate
    ASSERT_NE(reset.send(array(arm->q + Vector7::Constant(round % 2 == 0 ? 0.2 : -0.2))), nullptr);
    reset.steps(400);
    const Vector7 moving = arm->torque();
    reset.deactivate();
    ASSERT_TRUE(impedance.activate());
    EXPECT_EQ(arm->torque(), moving);
    impedance.steps(1000);
    for (int i = 0; i < 500 && !reset.result; ++i) {
      reset.executor.spin_some();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(reset.result.has_value());
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
