// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>

#include "impedance_harness.hpp"

namespace serl_controllers
{
namespace
{

using State = serl_msgs::msg::ControllerState;
using Target = geometry_msgs::msg::PoseStamped;
using SetGainSet = serl_msgs::srv::SetGainSet;
using rclcpp::Parameter;

const Parameter kPatient("target.timeout", 60.0);  // for tests that send one target and wait

Vector6 vector(const std::array<double, 6> & values)
{
  return Eigen::Map<const Vector6>(values.data());
}

geometry_msgs::msg::WrenchStamped wrench(const std::string & frame, const Vector6 & values)
{
  geometry_msgs::msg::WrenchStamped message;
  message.header.frame_id = frame;
  message.wrench.force.x = values[0];
  message.wrench.force.y = values[1];
  message.wrench.force.z = values[2];
  message.wrench.torque.x = values[3];
  message.wrench.torque.y = values[4];
  message.wrench.torque.z = values[5];
  return message;
}

TEST(Parameters, OfTheGainSetsAreThePresetsOfTheLibrary)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.init());
  const auto node = harness.controller.get_node();
  for (const std::string name : {"compliant", "precise"}) {
    const ImpedanceGains preset = name == "precise" ? ImpedanceGains::precise() : ImpedanceGains::compliant();
    const auto equal = [&](const std::string & parameter, const auto & expected) {
      const auto values = node->get_parameter(parameter).as_double_array();
      return values == std::vector<double>(expected.data(), expected.data() + expected.size());
    };
    EXPECT_TRUE(equal("gains." + name + ".stiffness", preset.stiffness));
    EXPECT_TRUE(equal("gains." + name + ".damping", preset.damping));
    EXPECT_TRUE(equal("gains." + name + ".error_min", preset.error_min));
    EXPECT_TRUE(equal("gains." + name + ".error_max", preset.error_max));
    EXPECT_TRUE(equal("gains." + name + ".integral_gain", preset.integral_gain));
    EXPECT_TRUE(equal("gains." + name + ".integral_limit", preset.integral_limit));
    EXPECT_EQ(
      node->get_parameter("gains." + name + ".nullspace_stiffness").as_double(), preset.nullspace_stiffness);
    EXPECT_EQ(
      node->get_parameter("gains." + name + ".nullspace_damping").as_double(), preset.nullspace_damping);
    EXPECT_EQ(node->get_parameter("target.time_constant").as_double(), preset.target_time_constant);
    EXPECT_EQ(node->get_parameter("gain_time_constant").as_double(), preset.gain_time_constant);
    EXPECT_TRUE(equal("max_torque", preset.max_torque));
    EXPECT_TRUE(equal("max_torque_rate", preset.max_torque_rate));
  }
}

TEST(Configuration, ClaimsEffortAndReadsPositionVelocityAndTheSensor)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.init({Parameter("wrench_sensor", "tcp_wrench")}));
  ASSERT_TRUE(harness.configure());
  const auto commands = harness.controller.command_interface_configuration().names;
  const auto states = harness.controller.state_interface_configuration().names;
  ASSERT_EQ(commands.size(), 7u);
  EXPECT_EQ(commands[6], "joint7/effort");
  ASSERT_EQ(states.size(), 20u);
  EXPECT_EQ(states[0], "joint1/position");
  EXPECT_EQ(states[13], "joint7/velocity");
  EXPECT_EQ(states[19], "tcp_wrench/torque.z");
}

TEST(BadInput, ParametersThatCannotBeAreRefusedAtTheStart)
{
  const std::vector<double> negative(6, -1.0);
  const std::vector<Parameter> cases = {
    Parameter("joints", std::vector<std::string>{"joint1", "joint2", "joint3"}),
    Parameter(
      "joints",
      std::vector<std::string>{"joint1", "joint1", "joint3", "joint4", "joint5", "joint6", "joint7"}),
    Parameter("mode", "fast"),
    Parameter("model.source", "guess"),
    Parameter("gains.compliant.stiffness", negative),
    Parameter("gains.compliant.error_min", std::vector<double>(6, 0.1)),
    Parameter("gains.precise.damping", std::vector<double>(5, 1.0)),
    Parameter("gains.precise.damping", std::vector<double>(6, kNan)),
    Parameter("max_torque_rate", std::vector<double>(7, 0.0)),
    Parameter("target.timeout", kNan),
    Parameter("target.timeout", 0.0),
    Parameter("nullspace.posture", std::vector<double>(6, 0.0)),
    Parameter("feed_forward.axes", std::vector<std::string>{"force.w"}),
    Parameter("state_decimation", 0),
  };
  for (const Parameter & bad : cases) {
    ImpedanceHarness harness;
    EXPECT_FALSE(harness.init({bad})) << bad;
  }
}

TEST(BadInput, ModelsThatCannotBeMadeAreRefusedAndTheControllerCanBeConfiguredLater)
{
  const std::vector<Parameter> cases = {
    Parameter("frames.base", "nowhere"),
    Parameter("frames.tcp", "nothing"),
    Parameter("frames.base", "link4"),
    Parameter("gain_set", "bold"),
    Parameter("joints", std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g"}),
  };
  for (const Parameter & bad : cases) {
    ImpedanceHarness harness;
    ASSERT_TRUE(harness.init({bad})) << bad;
    EXPECT_FALSE(harness.configure()) << bad;
  }
  ImpedanceHarness harness;
  harness.params.robot_description = "";
  ASSERT_TRUE(harness.init());
  EXPECT_FALSE(harness.configure());
  ImpedanceHarness mended;
  ASSERT_TRUE(mended.init({Parameter("gain_set", "bold")}));
  EXPECT_FALSE(mended.configure());
  mended.controller.get_node()->set_parameter(Parameter("gain_set", "precise"));
  EXPECT_TRUE(mended.configure());
}

TEST(BadInput, AMissingInterfaceRefusesActivationWhicheverItIs)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.init());
  ASSERT_TRUE(harness.configure());
  const auto commands = harness.controller.command_interface_configuration().names;
  const auto states = harness.controller.state_interface_configuration().names;
  for (std::size_t leave_out = 0; leave_out < commands.size() + states.size(); ++leave_out) {
    auto some_commands = commands;
    auto some_states = states;
    if (leave_out < commands.size()) {
      some_commands.erase(some_commands.begin() + leave_out);
    } else {
      some_states.erase(some_states.begin() + (leave_out - commands.size()));
    }
    harness.controller.assign_interfaces(
      harness.arm->lend_commands(some_commands), harness.arm->lend_states(some_states));
    EXPECT_NE(
      harness.controller.get_node()->activate().id(), lifecycle_msgs::msg::State::PRIMARY_STATE_ACTIVE)
      << leave_out;
    harness.controller.release_interfaces();
  }
  EXPECT_TRUE(harness.activate());
}

TEST(BadInput, AStateThatIsNotFiniteRefusesActivationAndLeavesNoTorque)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.init());
  ASSERT_TRUE(harness.configure());
  harness.arm->q[4] = kNan;
  harness.arm->write_state();
  harness.arm->set_torque(Vector7::Constant(5.0));
  EXPECT_FALSE(harness.activate());
  EXPECT_EQ(harness.arm->torque(), Vector7::Zero().eval());
  harness.arm->q = test_arm::home();
  harness.arm->write_state();
  EXPECT_TRUE(harness.activate());
}

TEST(Target, IsHeldWhereItWasActivatedUntilOneComes)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start());
  const Vector7 q = harness.arm->q;
  harness.steps(500);
  ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NO_TARGET; }));
  EXPECT_LT((harness.arm->q - q).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_TRUE(std::isnan(harness.state.external_wrench[0]));
  EXPECT_TRUE(std::isnan(harness.state.peak_force));
}

TEST(Target, IsFollowed)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start({kPatient}));
  Target target = harness.target(0.05, -0.04, 0.06);
  target.header.stamp = harness.controller.get_node()->now();
  ASSERT_TRUE(harness.send(target, State::HOLD_NONE));
  harness.steps(3000);
  ASSERT_TRUE(harness.until([&] {
    return std::abs(harness.state.measured.position.x - harness.measured().X_BE.position.x()) < 1e-5;
  }));
  const Pose X_BE = harness.measured().X_BE;
  EXPECT_EQ(harness.state.commanded.position.x, target.pose.position.x);
  EXPECT_NEAR(X_BE.position.x(), target.pose.position.x, 1e-3);
  EXPECT_NEAR(X_BE.position.y(), target.pose.position.y, 1e-3);
  EXPECT_NEAR(X_BE.position.z(), target.pose.position.z, 1e-3);
  EXPECT_EQ(harness.state.header.frame_id, "base");
  EXPECT_EQ(harness.state.joint_position.size(), 7u);
  EXPECT_EQ(harness.state.refused_targets, 0u);
}

TEST(Target, ThatIsBadIsRefusedWithItsReasonAndTheArmHolds)
{
  struct Case
  {
    std::uint8_t hold;
    std::function<void(Target &)> spoil;
  };
  const std::vector<Case> cases = {
    {State::HOLD_NOT_FINITE, [](Target & target) { target.pose.position.y = kNan; }},
    {State::HOLD_NOT_FINITE, [](Target & target) { target.pose.orientation.w = INFINITY; }},
    {State::HOLD_BAD_QUATERNION,
     [](Target & target) {
       target.pose.orientation = geometry_msgs::msg::Quaternion();
       target.pose.orientation.w = 0.5;
     }},
    {State::HOLD_WRONG_FRAME, [](Target & target) { target.header.frame_id = "map"; }},
    {State::HOLD_WRONG_FRAME, [](Target & target) { target.header.frame_id = ""; }},
    {State::HOLD_OLD_STAMP, [](Target & target) { target.header.stamp.sec = 12; }},
    {State::HOLD_OLD_STAMP, [](Target & target) { target.header.stamp.sec = 2147483647; }},
    {State::HOLD_OLD_STAMP, [](Target & target) { target.header.stamp.sec = -1; }},
    {State::HOLD_JUMP, [](Target & target) { target.pose.position.x += 1.0; }},
    {State::HOLD_OUTSIDE_BOX, [](Target & target) { target.pose.position.z = 5.0; }},
  };
  ImpedanceHarness harness;
  const Pose start = harness.measured().X_BE;
  const Parameter low("workspace.min", std::vector<double>{-2.0, -2.0, -2.0});
  const Parameter high("workspace.max", std::vector<double>{2.0, 2.0, 2.0});
  ASSERT_TRUE(harness.start({low, high}));
  std::uint64_t refused = 0;
  for (const Case & bad : cases) {
    ASSERT_TRUE(harness.send(harness.target(), State::HOLD_NONE));
    Target target = harness.target();
    bad.spoil(target);
    ASSERT_TRUE(harness.send(target, bad.hold)) << int{bad.hold};
    EXPECT_EQ(harness.state.refused_targets, ++refused);
    harness.steps(300);
    EXPECT_LT((harness.measured().X_BE.position - start.position).norm(), 1e-3) << int{bad.hold};
  }
}

TEST(Target, ThatFallsSilentIsHeldWithinTheErrorLimits)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start());
  const double start = harness.measured().X_BE.position.z();
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.25), State::HOLD_NONE));
  ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_STALE; }));
  const Eigen::Vector3d then = harness.measured().X_BE.position;
  ASSERT_GT(then.z() - start, 0.05);  // in the midst of the motion
  ASSERT_LT(then.z() - start, 0.2);
  for (int second = 0; second < 10; ++second) {
    harness.steps(1000);
    ASSERT_LT((harness.measured().X_BE.position - then).norm(), 0.03);
  }
  ASSERT_TRUE(harness.send(harness.target(), State::HOLD_NONE));
}

TEST(Target, OfBeforeDeactivationIsDropped)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start({kPatient}));
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.2), State::HOLD_NONE));
  harness.deactivate();
  harness.targets->publish(harness.target(0.0, 0.0, 0.2));  // while nobody listens
  for (int i = 0; i < 100; ++i) {
    harness.executor.spin_some();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  harness.arm->dq.setZero();
  ASSERT_TRUE(harness.activate());
  const Eigen::Vector3d start = harness.measured().X_BE.position;
  ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NO_TARGET; }));
  harness.steps(500);
  EXPECT_LT((harness.measured().X_BE.position - start).norm(), 1e-3);
}

TEST(Gains, ThatAreOutOfRangeAreRefusedWithAReasonAndTheOldOnesStay)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start({kPatient}));
  const auto node = harness.controller.get_node();
  const std::vector<Parameter> cases = {
    Parameter("gains.compliant.stiffness", std::vector<double>{-1.0, 1.0, 1.0, 1.0, 1.0, 1.0}),
    Parameter("gains.compliant.stiffness", std::vector<double>{1.0, 1.0, 1.0, 1.0, 1.0, kNan}),
    Parameter("gains.compliant.stiffness", std::vector<double>{1e9, 1.0, 1.0, 1.0, 1.0, 1.0}),
    Parameter("gains.compliant.stiffness", std::vector<double>{1.0}),
    Parameter("gains.compliant.error_max", std::vector<double>(6, -0.01)),
    Parameter("max_torque", std::vector<double>(7, 0.0)),
    Parameter("target.max_translation", -1.0),
    Parameter("gain_set", "bold"),
    Parameter("frames.base", "world"),
    Parameter("mode", "wrench"),
  };
  for (const Parameter & bad : cases) {
    const auto before = node->get_parameter(bad.get_name());
    const auto result = node->set_parameter(bad);
    EXPECT_FALSE(result.successful) << bad;
    EXPECT_FALSE(result.reason.empty()) << bad;
    EXPECT_EQ(node->get_parameter(bad.get_name()), before);
  }
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.03), State::HOLD_NONE));
  harness.steps(2000);
}

TEST(Gains, GlideToNewOnesWhileItRuns)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start({kPatient, Parameter("gain_time_constant", 0.05)}));
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.005), State::HOLD_NONE));
  harness.steps(1000);
  ASSERT_TRUE(harness.until([&] { return std::abs(harness.state.wrench[2] - 2000.0 * 0.005) < 1e-3; }));
  const auto result = harness.controller.get_node()->set_parameter(
    Parameter("gains.compliant.stiffness", std::vector<double>{100.0, 100.0, 800.0, 10.0, 10.0, 10.0}));
  ASSERT_TRUE(result.successful) << result.reason;
  double previous = harness.state.wrench[2];
  for (int i = 0; i < 400; ++i) {
    harness.step();
    harness.executor.spin_some();
    ASSERT_LE(harness.state.wrench[2], previous + 1e-4);
    previous = harness.state.wrench[2];
  }
  ASSERT_TRUE(harness.until([&] { return std::abs(harness.state.wrench[2] - 800.0 * 0.005) < 1e-2; }));
}

TEST(Gains, SetsAreSwitchedByTheService)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start(
    {kPatient, Parameter("additional_gain_sets", std::vector<std::string>{"soft"}),
     Parameter("gains.soft.stiffness", std::vector<double>{200.0, 200.0, 200.0, 5.0, 5.0, 5.0})}));
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.02), State::HOLD_NONE));
  const auto client = harness.world->create_client<SetGainSet>(harness.topic("set_gain_set"));
  ASSERT_TRUE(client->wait_for_service(std::chrono::seconds(5)));
  const auto ask = [&](const std::string & name) {
    auto request = std::make_shared<SetGainSet::Request>();
    request->name = name;
    auto future = client->async_send_request(request).future.share();
    EXPECT_TRUE(
      harness.until([&] { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    return *future.get();
  };
  // A target 2 cm away is clipped to 1 cm by the compliant set, but not by the precise one.
  EXPECT_TRUE(harness.until([&] { return std::abs(harness.state.wrench[2] - 20.0) < 1e-3; }));
  EXPECT_TRUE(ask("precise").success);
  EXPECT_TRUE(harness.until([&] { return std::abs(harness.state.wrench[2] - 40.0) < 1e-2; }));
  EXPECT_TRUE(ask("soft").success);
  EXPECT_TRUE(harness.until([&] { return std::abs(harness.state.wrench[2] - 2.0) < 1e-2; }));
  const auto refused = ask("bold");
  EXPECT_FALSE(refused.success);
  EXPECT_EQ(refused.message, "no gain set 'bold': there are compliant, precise, soft");
  EXPECT_EQ(harness.controller.get_node()->get_parameter("gain_set").as_string(), "soft");
}

TEST(Torque, GoesOnFromTheOneCommandedLast)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.init());
  ASSERT_TRUE(harness.configure());
  const Vector7 held = (Vector7() << 20.0, -30.0, 5.0, 11.0, -4.0, 3.0, 1.0).finished();
  harness.arm->set_torque(held);
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.activate());
  harness.step();
  EXPECT_LE((harness.arm->torque() - held).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
  harness.steps(200);
  EXPECT_LT(harness.arm->torque().norm(), 1e-6);
}

TEST(Torque, GoesToZeroByItsRateWhileTheStateIsNotFinite)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start({kPatient}));
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.02), State::HOLD_NONE));
  harness.steps(500);
  ASSERT_GT(harness.arm->torque().norm(), 3.0);
  harness.arm->q[2] = kNan;
  harness.steps(200);  // each step checks the rate
  EXPECT_EQ(harness.arm->torque(), Vector7::Zero().eval());
  EXPECT_TRUE(harness.until([&] { return (harness.state.flags & kBadState) != 0; }));
  harness.arm->q = test_arm::home();
  harness.steps(200);
  EXPECT_GT(harness.arm->torque().norm(), 3.0);
}

TEST(Torque, AfterMissedCyclesChangesNoMoreThanInTwo)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start({kPatient}));
  ASSERT_TRUE(harness.send(harness.target(0.0, 0.0, 0.02), State::HOLD_NONE));
  const Vector7 before = harness.arm->torque();
  harness.controller.update(harness.time, rclcpp::Duration::from_seconds(0.5));
  EXPECT_LE((harness.arm->torque() - before).cwiseAbs().maxCoeff(), 2.0 + 1e-9);
}

TEST(Torque, BalancesGravityWhereTheArmDoesNotAndWhileItsStateIsNotFinite)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp", true);
  RobotState state;
  state.q = test_arm::home();
  model.update(state);
  ASSERT_GT(model.gravity().norm(), 10.0);
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  harness.arm->set_torque(model.gravity());
  ASSERT_TRUE(harness.start({Parameter("model.compensate_gravity", true)}));
  harness.steps(100);
  EXPECT_LT((harness.arm->torque() - model.gravity()).norm(), 1e-6);
  harness.arm->q[0] = kNan;
  harness.steps(100);
  EXPECT_LT((harness.arm->torque() - model.gravity()).norm(), 1e-6);
}

TEST(FeedForward, IsAddedToTheImpedanceAndTimesOut)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start());
  const Vector6 push = (Vector6() << 0.0, 3.0, -7.0, 0.0, 0.5, 0.0).finished();
  harness.wrenches->publish(wrench("base", push));
  ASSERT_TRUE(harness.until([&] { return (vector(harness.state.wrench) - push).norm() < 1e-6; }));
  harness.steps(250);
  ASSERT_TRUE(harness.until([&] { return vector(harness.state.wrench).norm() < 1e-9; }));
}

TEST(WrenchMode, TurnsTheWrenchIntoTorquesWithoutAnySpring)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start(
    {Parameter("mode", "wrench"), Parameter("feed_forward.timeout", 1.0),
     Parameter("feed_forward.axes", std::vector<std::string>{"force.x", "force.z", "torque.y"})}));
  EXPECT_EQ(harness.targets->get_subscription_count(), 0u);
  EXPECT_EQ(harness.state.hold, State::HOLD_NO_TARGET);
  const RobotState measured = harness.measured();
  const Vector6 asked = (Vector6() << 5.0, 9.0, -30.0, 9.0, 0.7, 9.0).finished();
  Vector6 taken;  // chosen axes, bounded
  taken << 5.0, 0.0, -20.0, 0.0, 0.7, 0.0;
  Vector6 on_base_axes;
  on_base_axes.head<3>() = measured.X_BE.orientation * taken.head<3>();
  on_base_axes.tail<3>() = measured.X_BE.orientation * taken.tail<3>();
  harness.wrenches->publish(wrench("tcp", asked));
  ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NONE; }));
  harness.steps(100);
  EXPECT_LT((harness.arm->torque() - measured.J_BE.transpose() * on_base_axes).norm(), 1e-6);
  harness.steps(1000);
  EXPECT_LT(harness.arm->torque().norm(), 1e-9);
  ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NO_TARGET; }));
  // Somebody moves the arm: no spring pulls it back.
  harness.arm->q += Vector7::Constant(0.05);
  harness.steps(100);
  EXPECT_LT(
    (harness.measured().J_BE.transpose().colPivHouseholderQr().solve(harness.arm->torque())).norm(), 0.05);
}

TEST(WrenchMode, RefusesWhatIsBadAndLetsTheWrenchGo)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start({Parameter("mode", "wrench"), Parameter("feed_forward.timeout", 30.0)}));
  const Vector6 push = Vector6::Constant(1.0);
  auto old = wrench("base", push);
  old.header.stamp.sec = 12;
  auto negative = old;
  negative.header.stamp.sec = -1;
  Vector6 bad = push;
  bad[5] = kNan;
  for (const auto & refused : {wrench("map", push), wrench("base", bad), old, negative}) {
    harness.wrenches->publish(wrench("base", push));
    ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NONE; }));
    harness.wrenches->publish(refused);
    ASSERT_TRUE(harness.until([&] { return harness.state.hold == State::HOLD_NO_TARGET; }));
    harness.steps(100);
    EXPECT_LT(harness.arm->torque().norm(), 1e-9);
  }
}

TEST(Sensor, IsTurnedToBaseAxesAndThePeakIsKeptBetweenMessages)
{
  ImpedanceHarness harness;
  harness.arm->blocked = true;
  ASSERT_TRUE(harness.start({Parameter("wrench_sensor", "tcp_wrench")}));
  const Vector6 felt = (Vector6() << 1.0, -2.0, 3.0, 0.1, 0.2, -0.3).finished();
  harness.arm->set_wrench(felt);
  const Eigen::Quaterniond R_BE = harness.measured().X_BE.orientation;
  ASSERT_TRUE(harness.until(
    [&] { return std::abs(harness.state.external_wrench[0] - (R_BE * felt.head<3>())[0]) < 1e-9; }));
  EXPECT_LT((vector(harness.state.external_wrench).head<3>() - R_BE * felt.head<3>()).norm(), 1e-9);
  EXPECT_LT((vector(harness.state.external_wrench).tail<3>() - R_BE * felt.tail<3>()).norm(), 1e-9);
  ASSERT_TRUE(harness.controller.get_node()->set_parameter(Parameter("state_decimation", 50)).successful);
  harness.steps(60);
  harness.arm->set_wrench(10.0 * felt);
  harness.step();
  harness.arm->set_wrench(felt);
  EXPECT_TRUE(
    harness.until([&] { return std::abs(harness.state.peak_force - 10.0 * felt.head<3>().norm()) < 1e-9; }));
}

TEST(Diagnostics, SayWhyItHolds)
{
  ImpedanceHarness harness;
  std::map<std::string, std::string> values;
  std::string summary;
  int level = -1;
  const auto subscription = harness.world->create_subscription<diagnostic_msgs::msg::DiagnosticArray>(
    "/diagnostics", 10, [&](const diagnostic_msgs::msg::DiagnosticArray & message) {
      for (const auto & status : message.status) {
        if (status.name.find(harness.space) == std::string::npos) {
          continue;
        }
        summary = status.message;
        level = status.level;
        for (const auto & value : status.values) {
          values[value.key] = value.value;
        }
      }
    });
  ASSERT_TRUE(harness.start({Parameter("diagnostic_updater.use_fqn", true)}));
  ASSERT_TRUE(harness.until([&] { return level == 0 && summary.rfind("no target yet", 0) == 0; }));
  ASSERT_TRUE(harness.send(harness.target(1.0), State::HOLD_JUMP));
  ASSERT_TRUE(harness.until([&] { return level == 1; }));
  EXPECT_EQ(summary, "holding: " + std::string(describe(Hold::kJump)));
  EXPECT_EQ(values["refused targets"], "1");
  EXPECT_EQ(values["gain set"], "compliant");
}

TEST(Life, CanBeLivedTwice)
{
  ImpedanceHarness harness;
  ASSERT_TRUE(harness.start());
  harness.steps(10);
  harness.deactivate();
  harness.controller.get_node()->cleanup();
  ASSERT_TRUE(harness.configure());
  ASSERT_TRUE(harness.activate());
  harness.steps(10);
  harness.deactivate();
  harness.controller.get_node()->shutdown();
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
