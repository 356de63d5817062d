// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef IMPEDANCE_HARNESS_HPP_
#define IMPEDANCE_HARNESS_HPP_

#include <memory>
#include <string>
#include <vector>

#include "controller_harness.hpp"
#include "serl_controllers/cartesian_impedance_controller.hpp"
#include "serl_controllers/pinocchio_arm_model.hpp"

namespace serl_controllers
{

/// The impedance controller with publishers of its inputs and the last of its states.
class ImpedanceHarness : public Harness<CartesianImpedanceController>
{
public:
  using State = serl_msgs::msg::ControllerState;
  using Parameters = std::vector<rclcpp::Parameter>;

  explicit ImpedanceHarness(std::shared_ptr<TinyArm> tiny_arm = std::make_shared<TinyArm>())
  : Harness(std::move(tiny_arm), "cartesian_impedance_controller"),
    model_(test_arm::urdf(), test_arm::joints(), "base", "tcp")
  {
    targets = world->create_publisher<geometry_msgs::msg::PoseStamped>(
      topic("target_pose"), rclcpp::QoS(1).reliable());
    wrenches = world->create_publisher<geometry_msgs::msg::WrenchStamped>(
      topic("feed_forward_wrench"), rclcpp::QoS(1).reliable());
    subscription_ = world->create_subscription<State>(
      topic("state"), rclcpp::QoS(10), [this](const State & message) { state = message; });
  }

  /// All the way to active, with each cycle's state published, and connected.
  bool start(Parameters overrides = {})
  {
    overrides.emplace_back("state_decimation", 1);
    if (!Harness::start(overrides)) {
      return false;
    }
    const bool has_targets = controller.get_node()->get_parameter("mode").as_string() == "impedance";
    return until([&] {
      return wrenches->get_subscription_count() > 0 && subscription_->get_publisher_count() > 0 &&
             (!has_targets || targets->get_subscription_count() > 0) && !state.joint_position.empty();
    });
  }

  /// The measured state, from the joints.
  RobotState measured()
  {
    RobotState state;
    state.q = arm->q;
    state.dq = arm->dq;
    model_.update(state);
    return state;
  }

  /// A target at the measured pose moved by some way [m], in the base frame and without a stamp.
  geometry_msgs::msg::PoseStamped target(double x = 0.0, double y = 0.0, double z = 0.0)
  {
    const Pose X_BE = measured().X_BE;
    geometry_msgs::msg::PoseStamped message;
    message.header.frame_id = "base";
    message.pose.position.x = X_BE.position.x() + x;
    message.pose.position.y = X_BE.position.y() + y;
    message.pose.position.z = X_BE.position.z() + z;
    message.pose.orientation.x = X_BE.orientation.x();
    message.pose.orientation.y = X_BE.orientation.y();
    message.pose.orientation.z = X_BE.orientation.z();
    message.pose.orientation.w = X_BE.orientation.w();
    return message;
  }

  /// Send a target and let it take effect.
  bool send(const geometry_msgs::msg::PoseStamped & message, std::uint8_t hold)
  {
    const std::uint64_t refused = state.refused_targets;
    targets->publish(message);
    return until([&] {
      return state.hold == hold && (hold == State::HOLD_NONE || state.refused_targets == refused + 1);
    });
  }

  State state;
  rclcpp::Publisher<geometry_msgs::msg::PoseStamped>::SharedPtr targets;
  rclcpp::Publisher<geometry_msgs::msg::WrenchStamped>::SharedPtr wrenches;

private:
  PinocchioArmModel model_;
  rclcpp::Subscription<State>::SharedPtr subscription_;
};

}  // namespace serl_controllers

#endif  // IMPEDANCE_HARNESS_HPP_
