// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// The plugins as a robot has them: found by pluginlib, loaded, configured and switched by a controller manager.
#include <gtest/gtest.h>

#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include <controller_manager/controller_manager.hpp>
#include <controller_manager_msgs/srv/switch_controller.hpp>
#include <lifecycle_msgs/msg/state.hpp>

#include "test_arm.hpp"

namespace serl_controllers
{
namespace
{

using controller_interface::return_type;
using lifecycle_msgs::msg::State;

class Plugins : public testing::Test
{
protected:
  Plugins()
  : executor_(std::make_shared<rclcpp::executors::SingleThreadedExecutor>()),
    manager_(
      executor_, test_arm::urdf(true), true, "test_controller_manager", "/test_" + std::to_string(getpid()))
  {
  }

  /// Load a controller with the parameters of one of the examples in config/.
  auto load(const std::string & name, const std::string & type, const std::string & example = "")
  {
    if (!example.empty()) {
      const std::vector<std::string> files = {CONFIG_FOLDER "/" + example};
      manager_.set_parameter(rclcpp::Parameter(name + ".params_file", files));
    }
    manager_.set_parameter(rclcpp::Parameter(name + ".type", type));
    return manager_.load_controller(name, type);
  }

  void cycle()
  {
    const rclcpp::Duration period = rclcpp::Duration::from_seconds(1e-3);
    time_ += period;
    manager_.read(time_, period);
    EXPECT_EQ(manager_.update(time_, period), return_type::OK);
    manager_.write(time_, period);
  }

  /// Switch while the loop runs, as it would in its own thread.
  return_type switch_to(const std::vector<std::string> & start, const std::vector<std::string> & stop)
  {
    auto result = std::async(std::launch::async, [&] {
      return manager_.switch_controller(
        start, stop, controller_manager_msgs::srv::SwitchController::Request::STRICT, true,
        rclcpp::Duration::from_seconds(5.0));
    });
    while (result.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      cycle();
    }
    return result.get();
  }

  std::shared_ptr<rclcpp::Executor> executor_;
  controller_manager::ControllerManager manager_;
  rclcpp::Time time_{1, 0, RCL_ROS_TIME};
};

TEST_F(Plugins, AreFoundAndSwitchedByAControllerManager)
{
  const auto impedance =
    load("cartesian_impedance_controller", "serl_controllers/CartesianImpedanceController");
  const auto reset = load("joint_reset_controller", "serl_controllers/JointResetController");
  ASSERT_NE(impedance, nullptr);
  ASSERT_NE(reset, nullptr);
  ASSERT_EQ(manager_.configure_controller("cartesian_impedance_controller"), return_type::OK);
  ASSERT_EQ(manager_.configure_controller("joint_reset_controller"), return_type::OK);
  ASSERT_EQ(switch_to({"cartesian_impedance_controller"}, {}), return_type::OK);
  for (int i = 0; i < 100; ++i) {
    cycle();
  }
  EXPECT_EQ(impedance->get_lifecycle_state().id(), State::PRIMARY_STATE_ACTIVE);
  // Both claim the arm, so it is one or the other.
  EXPECT_NE(switch_to({"joint_reset_controller"}, {}), return_type::OK);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(switch_to({"joint_reset_controller"}, {"cartesian_impedance_controller"}), return_type::OK);
    for (int i = 0; i < 100; ++i) {
      cycle();
    }
    EXPECT_EQ(reset->get_lifecycle_state().id(), State::PRIMARY_STATE_ACTIVE);
    EXPECT_EQ(impedance->get_lifecycle_state().id(), State::PRIMARY_STATE_INACTIVE);
    ASSERT_EQ(switch_to({"cartesian_impedance_controller"}, {"joint_reset_controller"}), return_type::OK);
    for (int i = 0; i < 100; ++i) {
      cycle();
    }
    EXPECT_EQ(impedance->get_lifecycle_state().id(), State::PRIMARY_STATE_ACTIVE);
  }
}

TEST_F(Plugins, ThatWantAnInterfaceTheHardwareHasNotAreNotActivated)
{
  // The example wants a force-torque sensor, and the mock hardware has none.
  const std::string name = "cartesian_impedance_controller";
  const auto controller =
    load(name, "serl_controllers/CartesianImpedanceController", "cartesian_impedance_controller.yaml");
  ASSERT_NE(controller, nullptr);
  ASSERT_EQ(manager_.configure_controller(name), return_type::OK);
  EXPECT_NE(switch_to({name}, {}), return_type::OK);
  EXPECT_EQ(controller->get_lifecycle_state().id(), State::PRIMARY_STATE_INACTIVE);
}

TEST_F(Plugins, TakeTheExamplesForAFranka)
{
  const auto impedance = load(
    "cartesian_impedance_controller", "serl_controllers/CartesianImpedanceController",
    "fr3_controllers.yaml");
  const auto reset =
    load("joint_reset_controller", "serl_controllers/JointResetController", "fr3_controllers.yaml");
  ASSERT_NE(impedance, nullptr);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(impedance->get_node()->get_parameter("frames.base").as_string(), "fr3_link0");
  EXPECT_EQ(impedance->get_node()->get_parameter("gains.first_motion.stiffness").as_double_array()[0], 400.0);
  EXPECT_EQ(reset->get_node()->get_parameter("home").as_double_array().size(), 7u);
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
