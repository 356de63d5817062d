// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rcutils/logging.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "lockstep_harness.hpp"
#include "serl_msgs/srv/reset.hpp"

namespace serl_sim
{
namespace
{

using hardware_interface::return_type;
using lifecycle_msgs::msg::State;
using serl_controllers::Vector6;
using serl_controllers::Vector7;

std::vector<std::string> logged;

/// Catches what is logged while it lives.
class Log
{
public:
  Log()
  {
    logged.clear();
    before_ = rcutils_logging_get_output_handler();
    rcutils_logging_set_output_handler([](
                                         const rcutils_log_location_t *, int, const char *,
                                         rcutils_time_point_value_t, const char * format,
                                         va_list * arguments) {
      char text[1000];
      va_list copy;
      va_copy(copy, *arguments);
      std::vsnprintf(text, sizeof(text), format, copy);
      va_end(copy);
      logged.push_back(text);
    });
  }
  ~Log() { rcutils_logging_set_output_handler(before_); }

  int count(const std::string & part) const
  {
    int found = 0;
    for (const auto & line : logged) {
      found += line.find(part) != std::string::npos;
    }
    return found;
  }

private:
  rcutils_logging_output_handler_t before_;
};

Vector7 random_torque(std::mt19937 & random)
{
  std::uniform_real_distribution<double> draw(-0.5, 0.5);
  Vector7 torque;
  for (double & value : torque) {
    value = draw(random);
  }
  return torque;
}

TEST(LockstepSystem, StartsAtHomeAndStandsStillUntilClaimed)
{
  Harness arm;
  arm.activate(false);
  arm.read();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(arm.cycle(Vector7::Constant(5.0)), return_type::OK);
  }
  EXPECT_EQ(arm.q(), kHome);
  EXPECT_EQ(arm.dq(), Vector7::Zero());
  EXPECT_EQ(arm.state("physics/steps"), 0.0);
}

TEST(LockstepSystem, StepsThePhysicsOnceACycleAndTellsWhatCameOfIt)
{
  Harness arm;
  arm.activate();
  ArmPhysics alone = reference();
  std::mt19937 random(1);
  for (int i = 1; i <= 1000; ++i) {
    const Vector7 torque = random_torque(random);
    alone.step(torque);
    ASSERT_EQ(arm.cycle(torque), return_type::OK);
    ASSERT_EQ(arm.state("physics/steps"), i);
    ASSERT_EQ(arm.q(), alone.state().q);
    ASSERT_EQ(arm.dq(), alone.state().dq);
    ASSERT_EQ(arm.state("joint3/effort"), torque[2]);
  }
  EXPECT_GT((arm.q() - kHome).norm(), 0.01);
}

TEST(LockstepSystem, ReadsDoNotMoveTheArm)
{
  Harness arm;
  arm.activate();
  arm.cycle(Vector7::Constant(1.0));
  const Vector7 before = arm.q();
  for (int i = 0; i < 10; ++i) {
    arm.read();
  }
  EXPECT_EQ(arm.q(), before);
  EXPECT_EQ(arm.state("physics/steps"), 1.0);
}

TEST(LockstepSystem, StandsStillAgainOnceReleased)
{
  Harness arm;
  arm.activate();
  for (int i = 0; i < 10; ++i) {
    arm.cycle(Vector7::Constant(1.0));
  }
  const Vector7 before = arm.q();
  EXPECT_EQ(arm.release(), return_type::OK);
  for (int i = 0; i < 10; ++i) {
    arm.cycle(Vector7::Constant(1.0));
  }
  EXPECT_EQ(arm.q(), before);
  EXPECT_EQ(arm.state("physics/steps"), 10.0);
}

TEST(LockstepSystem, ASwitchBetweenControllersNeitherPausesNorDropsTheTorque)
{
  Harness arm;
  arm.activate();
  arm.cycle(Vector7::Constant(1.0));
  ASSERT_EQ(arm.component.perform_command_mode_switch(arm.efforts, arm.efforts), return_type::OK);
  arm.write();
  arm.read();
  EXPECT_EQ(arm.state("physics/steps"), 2.0);
  EXPECT_EQ(arm.state("joint1/effort"), 1.0);
}

TEST(LockstepSystem, ATorqueLeftFromLongAgoIsNotAppliedAtTheNextClaim)
{
  Harness arm;
  arm.activate();
  arm.cycle(Vector7::Constant(1.0));
  arm.release();
  arm.claim();
  arm.write();
  arm.read();
  EXPECT_EQ(arm.state("joint1/effort"), 0.0);
}

TEST(LockstepSystem, JointsThatNobodyClaimsFloat)
{
  Harness arm;
  arm.activate(false);
  arm.component.perform_command_mode_switch({"joint2/effort"}, {});
  arm.cycle(Vector7::Constant(1.0));
  EXPECT_EQ(arm.state("joint2/effort"), 1.0);
  EXPECT_EQ(arm.state("joint1/effort"), 0.0);
  EXPECT_EQ(arm.state("physics/steps"), 1.0);
}

TEST(LockstepSystem, InterfacesOfOthersStartNothing)
{
  Harness arm;
  arm.activate(false);
  EXPECT_EQ(arm.component.perform_command_mode_switch({"gripper/position"}, {}), return_type::OK);
  arm.cycle(Vector7::Constant(1.0));
  EXPECT_EQ(arm.state("physics/steps"), 0.0);
}

TEST(LockstepSystem, CommandsThatAreNoNumbersAreZeroTorqueAndSaidOnce)
{
  using Limits = std::numeric_limits<double>;
  int said = 0;
  for (const double bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), -1e11}) {
    Harness arm;
    arm.activate();
    ArmPhysics alone = reference();
    Vector7 torque = Vector7::Constant(1.0), expected = torque;
    torque[3] = bad;
    expected[3] = 0.0;
    const Log log;
    for (int i = 0; i < 200; ++i) {
      alone.step(expected);
      ASSERT_EQ(arm.cycle(torque), return_type::OK);
      ASSERT_EQ(arm.q(), alone.state().q);
    }
    said += log.count("the command of joint4/effort is");
  }
  EXPECT_EQ(said, 1);  // of all within a second
}

TEST(LockstepSystem, TheWrenchIsThatOnTheToolInTcpAxes)
{
  Harness arm;
  arm.activate();
  ArmPhysics alone = reference();
  Vector7 down = Vector7::Zero();
  down[1] = 3.0;  // turns the stick into the table
  double largest = 0.0;
  for (int i = 0; i < 1500; ++i) {
    arm.cycle(down);
    alone.step(down);
    const Eigen::Matrix3d R_EB = alone.state().X_BE.orientation.toRotationMatrix().transpose();
    const Vector6 & F_E_B = alone.wrench();
    const Eigen::Vector3d force(
      arm.state("tcp_wrench/force.x"), arm.state("tcp_wrench/force.y"), arm.state("tcp_wrench/force.z"));
    const Eigen::Vector3d torque(
      arm.state("tcp_wrench/torque.x"), arm.state("tcp_wrench/torque.y"), arm.state("tcp_wrench/torque.z"));
    ASSERT_TRUE(force.isApprox(R_EB * F_E_B.head<3>(), 1e-9));
    ASSERT_TRUE(torque.isApprox(R_EB * F_E_B.tail<3>(), 1e-9));
    largest = std::max(largest, F_E_B[2]);
  }
  EXPECT_GT(largest, 1.0);  // the table pushed up
}

TEST(LockstepSystem, DivergedPhysicsIsAnErrorAndHomeAfterwards)
{
  Harness arm;
  arm.activate();
  const Log log;
  auto result = return_type::OK;
  for (int i = 0; i < 100 && result == return_type::OK; ++i) {
    result = arm.cycle(Vector7::Constant(1e9));
  }
  ASSERT_EQ(result, return_type::ERROR);
  EXPECT_EQ(log.count("the physics diverged"), 1);
  EXPECT_EQ(arm.component.get_lifecycle_state().id(), State::PRIMARY_STATE_UNCONFIGURED);
  arm.activate(false);
  arm.read();
  EXPECT_EQ(arm.q(), kHome);
  EXPECT_EQ(arm.write(), return_type::OK);
  arm.claim();
  EXPECT_EQ(arm.cycle(Vector7::Zero()), return_type::OK);
}

TEST(LockstepSystem, DeactivationReleases)
{
  Harness arm;
  arm.activate();
  arm.component.deactivate();
  arm.component.activate();
  arm.cycle(Vector7::Constant(1.0));
  EXPECT_EQ(arm.state("physics/steps"), 0.0);
}

struct BadDescription
{
  std::string told;
  Description description;
};

TEST(LockstepSystem, BadDescriptionsAreRefusedInOneLine)
{
  const std::string model = "<param name=\"model_path\">" SCENE "</param>";
  std::vector<BadDescription> cases(13);
  cases[0].told = "model_path is missing";
  cases[0].description.parameters = "";
  cases[1].told = "no MuJoCo model could be read from /nowhere.mjb";
  cases[1].description.parameters = "<param name=\"model_path\">/nowhere.mjb</param>";
  cases[2].told = "no MuJoCo model could be read from /nowhere.xml";
  cases[2].description.parameters = "<param name=\"model_path\">/nowhere.xml</param>";
  cases[3].told = "no site 'tip'";
  cases[3].description.parameters = model + "<param name=\"tcp_site\">tip</param>";
  cases[4].told = "no geom 'plug'";
  cases[4].description.parameters = model + "<param name=\"tool_geoms\">tool plug</param>";
  cases[5].told = "reset_noise must be a number, got 'much'";
  cases[5].description.parameters = model + "<param name=\"reset_noise\">much</param>";
  cases[6].told = "reset_noise must not be negative";
  cases[6].description.parameters = model + "<param name=\"reset_noise\">-0.1</param>";
  cases[7].told = "has 6 joints";
  cases[7].description.joints = 6;
  cases[8].told = "has 8 joints";
  cases[8].description.joints = 8;
  cases[9].told = "joint 1 of the description is 'shoulder', of the scene 'joint1'";
  cases[9].description.first_joint = "shoulder";
  cases[10].told = "joint1 has no state interface 'velocity'";
  cases[10].description.velocity = "";
  cases[11].told = "runs at 500 Hz: set its update_rate to 1000";
  cases[11].description.rate = 500;
  cases[12].told = "outside the limits";
  cases[12].description.home_1 = "3.0";
  for (const auto & each : cases) {
    const Log log;
    EXPECT_FALSE(Harness(each.description).initialized()) << each.told;
    EXPECT_EQ(log.count(each.told), 1) << each.told;
  }
}

/// The hardware with a control loop that only reads, and a client of its service.
class LockstepReset : public ::testing::Test
{
protected:
  static void SetUpTestSuite() { rclcpp::init(0, nullptr); }
  static void TearDownTestSuite() { rclcpp::shutdown(); }

  LockstepReset()
  {
    executor->add_node(node);
    arm = std::make_unique<Harness>(Description(), executor);
    client = node->create_client<serl_msgs::srv::Reset>("/lockstep_system/reset");
  }

  serl_msgs::srv::Reset::Response reset(std::uint64_t seed, bool loop_runs = true)
  {
    EXPECT_TRUE(client->wait_for_service(std::chrono::seconds(10)));
    auto request = std::make_shared<serl_msgs::srv::Reset::Request>();
    request->seed = seed;
    auto response = client->async_send_request(request).future.share();
    while (executor->spin_until_future_complete(response, std::chrono::milliseconds(1)) !=
           rclcpp::FutureReturnCode::SUCCESS) {
      if (loop_runs) {
        arm->read();
      }
    }
    return *response.get();
  }

  rclcpp::executors::SingleThreadedExecutor::SharedPtr executor =
    std::make_shared<rclcpp::executors::SingleThreadedExecutor>();
  rclcpp::Node::SharedPtr node = std::make_shared<rclcpp::Node>("client");
  std::unique_ptr<Harness> arm;
  rclcpp::Client<serl_msgs::srv::Reset>::SharedPtr client;
};

TEST_F(LockstepReset, PutsTheArmHomeAtRest)
{
  arm->activate();
  for (int i = 0; i < 100; ++i) {
    arm->cycle(Vector7::Constant(1.0));
  }
  ASSERT_NE(arm->q(), kHome);
  arm->release();
  const auto response = reset(0);
  EXPECT_TRUE(response.success) << response.message;
  EXPECT_EQ(arm->q(), kHome);
  EXPECT_EQ(arm->dq(), Vector7::Zero());
  EXPECT_EQ(arm->state("physics/steps"), 100.0);  // a count that never goes back
}

TEST_F(LockstepReset, IsRefusedWhileAControllerClaimsTheArm)
{
  arm->activate();
  arm->cycle(Vector7::Constant(1.0));
  const Vector7 before = arm->q();
  const auto response = reset(0);
  EXPECT_FALSE(response.success);
  EXPECT_NE(response.message.find("a controller claims the arm"), std::string::npos);
  EXPECT_EQ(arm->q(), before);
  arm->release();
  EXPECT_TRUE(reset(0).success);
}

TEST_F(LockstepReset, SeedsDrawPosturesNearHome)
{
  arm->activate(false);
  std::vector<Vector7> postures;
  for (const std::uint64_t seed : {1, 2, 1}) {
    EXPECT_TRUE(reset(seed).success);
    postures.push_back(arm->q());
    const Vector7 offset = (arm->q() - kHome).cwiseAbs();
    EXPECT_LE(offset.maxCoeff(), 0.02);
    EXPECT_GT(offset.maxCoeff(), 0.001);
  }
  EXPECT_EQ(postures[0], postures[2]);
  EXPECT_NE(postures[0], postures[1]);
}

TEST_F(LockstepReset, SaysSoWhenNobodyRunsTheLoop)
{
  const auto response = reset(0, false);
  EXPECT_FALSE(response.success);
  EXPECT_NE(response.message.find("the control loop does not read the hardware"), std::string::npos);
  arm->activate(false);
  arm->read();
  EXPECT_TRUE(reset(0).success);
}

}  // namespace
}  // namespace serl_sim
