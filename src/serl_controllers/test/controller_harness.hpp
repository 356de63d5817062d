// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef CONTROLLER_HARNESS_HPP_
#define CONTROLLER_HARNESS_HPP_

#include <unistd.h>

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <controller_interface/controller_interface.hpp>
#include <hardware_interface/handle.hpp>
#include <hardware_interface/loaned_command_interface.hpp>
#include <hardware_interface/loaned_state_interface.hpp>
#include <lifecycle_msgs/msg/state.hpp>
#include <rclcpp/rclcpp.hpp>

#include "test_arm.hpp"

namespace serl_controllers
{

constexpr double kDt = 1e-3;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Hardware made by hand: seven independent inertias without gravity or friction behind effort interfaces, and a
/// force-torque sensor.
class TinyArm
{
public:
  TinyArm()
  {
    for (const std::string & joint : test_arm::joints()) {
      efforts_.push_back(std::make_shared<hardware_interface::CommandInterface>(describe(joint, "effort")));
      positions_.push_back(std::make_shared<hardware_interface::StateInterface>(describe(joint, "position")));
      velocities_.push_back(
        std::make_shared<hardware_interface::StateInterface>(describe(joint, "velocity")));
    }
    for (const char * axis : {"force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"}) {
      sensor_.push_back(std::make_shared<hardware_interface::StateInterface>(describe("tcp_wrench", axis)));
    }
    set_wrench(Vector6::Zero());
    write_state();
  }

  /// Let the torques act for dt.
  void step()
  {
    const Vector7 inertia = (Vector7() << 1.0, 1.0, 0.8, 0.6, 0.2, 0.2, 0.1).finished();
    const Vector7 effort = torque();
    if (!blocked && effort.allFinite()) {
      dq += kDt * effort.cwiseQuotient(inertia);
      q += kDt * dq;
    }
    write_state();
  }

  /// Commanded torques; NaN before the first command [Nm].
  Vector7 torque() const
  {
    Vector7 torque;
    for (int i = 0; i < kJoints; ++i) {
      torque[i] = efforts_[i]->get_optional().value();
    }
    return torque;
  }

  void set_torque(const Vector7 & torque)
  {
    for (int i = 0; i < kJoints; ++i) {
      static_cast<void>(efforts_[i]->set_value(torque[i]));
    }
  }

  void set_wrench(const Vector6 & wrench)
  {
    for (int i = 0; i < 6; ++i) {
      static_cast<void>(sensor_[i]->set_value(wrench[i]));
    }
  }

  void write_state()
  {
    for (int i = 0; i < kJoints; ++i) {
      static_cast<void>(positions_[i]->set_value(q[i]));
      static_cast<void>(velocities_[i]->set_value(dq[i]));
    }
  }

  std::vector<hardware_interface::LoanedCommandInterface> lend_commands(
    const std::vector<std::string> & names) const
  {
    std::vector<hardware_interface::LoanedCommandInterface> loaned;
    for (const std::string & name : names) {
      for (const auto & interface : efforts_) {
        if (interface->get_name() == name) {
          loaned.emplace_back(interface);
        }
      }
    }
    return loaned;
  }

  std::vector<hardware_interface::LoanedStateInterface> lend_states(
    const std::vector<std::string> & names) const
  {
    std::vector<hardware_interface::LoanedStateInterface> loaned;
    for (const std::string & name : names) {
      for (const auto * group : {&positions_, &velocities_, &sensor_}) {
        for (const auto & interface : *group) {
          if (interface->get_name() == name) {
            loaned.emplace_back(interface);
          }
        }
      }
    }
    return loaned;
  }

  Vector7 q = test_arm::home();
  Vector7 dq = Vector7::Zero();
  bool blocked = false;

private:
  static hardware_interface::InterfaceDescription describe(
    const std::string & owner, const std::string & name)
  {
    hardware_interface::InterfaceInfo info;
    info.name = name;
    info.data_type = "double";
    return hardware_interface::InterfaceDescription(owner, info);
  }

  std::vector<std::shared_ptr<hardware_interface::CommandInterface>> efforts_;
  std::vector<std::shared_ptr<hardware_interface::StateInterface>> positions_, velocities_, sensor_;
};

/// A controller, driven by hand through its life on a TinyArm, with a node of the outside world beside it.
template <typename Controller>
class Harness
{
public:
  Harness(std::shared_ptr<TinyArm> tiny_arm, const std::string & controller_name)
  : arm(std::move(tiny_arm)), name(controller_name), space("/test_" + std::to_string(getpid()))
  {
    params.controller_name = name;
    params.robot_description = test_arm::urdf();
    params.update_rate = 1000;
    params.controller_manager_update_rate = 1000;
    params.node_namespace = space;
    for (const std::string & joint : test_arm::joints()) {
      joint_limits::JointLimits limits;
      limits.has_position_limits = joint != "joint5";
      limits.min_position = -2.8;
      limits.max_position = 2.8;
      limits.has_velocity_limits = true;
      limits.max_velocity = 2.5;
      params.hard_joint_limits[joint] = limits;
    }
    world = std::make_shared<rclcpp::Node>("world_of_" + name, space);
    executor.add_node(world);
  }

  bool init(const std::vector<rclcpp::Parameter> & overrides = {})
  {
    params.node_options = controller.define_custom_node_options();
    params.node_options.parameter_overrides(overrides);
    if (controller.init(params) != controller_interface::return_type::OK) {
      return false;
    }
    executor.add_node(controller.get_node()->get_node_base_interface());
    return true;
  }

  bool configure()
  {
    return controller.configure().id() == lifecycle_msgs::msg::State::PRIMARY_STATE_INACTIVE;
  }

  bool activate()
  {
    controller.assign_interfaces(
      arm->lend_commands(controller.command_interface_configuration().names),
      arm->lend_states(controller.state_interface_configuration().names));
    return controller.get_node()->activate().id() == lifecycle_msgs::msg::State::PRIMARY_STATE_ACTIVE;
  }

  void deactivate()
  {
    controller.get_node()->deactivate();
    controller.release_interfaces();
  }

  /// All the way to active.
  bool start(const std::vector<rclcpp::Parameter> & overrides = {})
  {
    return init(overrides) && configure() && activate();
  }

  /// One cycle: hardware, then controller. Checks what holds in all of them.
  void step()
  {
    arm->step();
    time += rclcpp::Duration::from_seconds(kDt);
    const Vector7 before = arm->torque();
    around_update([this] {
      EXPECT_EQ(
        controller.update(time, rclcpp::Duration::from_seconds(kDt)), controller_interface::return_type::OK);
    });
    const Vector7 torque = arm->torque();
    EXPECT_TRUE(torque.allFinite());
    if (before.allFinite()) {
      EXPECT_LE((torque - before).cwiseAbs().maxCoeff(), 1000.0 * kDt + 1e-9) << "torque made a step";
    }
  }

  void steps(int cycles)
  {
    for (int i = 0; i < cycles; ++i) {
      step();
    }
  }

  /// Cycles, and callbacks between them, until something holds; false if it does not within ten seconds.
  bool until(const std::function<bool()> & holds)
  {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      step();
      executor.spin_some();
      if (holds()) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return false;
  }

  /// Full name of a topic of the controller.
  std::string topic(const std::string & relative) const { return space + "/" + name + "/" + relative; }

  std::shared_ptr<TinyArm> arm;
  const std::string name, space;
  controller_interface::ControllerInterfaceParams params;
  Controller controller;
  std::shared_ptr<rclcpp::Node> world;
  rclcpp::executors::SingleThreadedExecutor executor;
  rclcpp::Time time{0, 0, RCL_STEADY_TIME};
  std::function<void(const std::function<void()> &)> around_update = [](const auto & update) { update(); };
};

}  // namespace serl_controllers

#endif  // CONTROLLER_HARNESS_HPP_
