// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef LOCKSTEP_HARNESS_HPP_
#define LOCKSTEP_HARNESS_HPP_

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "hardware_interface/component_parser.hpp"
#include "hardware_interface/system.hpp"
#include "lifecycle_msgs/msg/state.hpp"
#include "rclcpp/rclcpp.hpp"
#include "serl_sim/lockstep_system.hpp"

namespace serl_sim
{

const serl_controllers::Vector7 kHome{{0.1, 0.4, -0.2, 0.3, 0.1, 0.2, -0.1}};

/// What a test may want to be other than right.
struct Description
{
  std::string parameters =
    "<param name=\"model_path\">" SCENE "</param><param name=\"tool_geoms\">tool</param>";
  std::string velocity = "<state_interface name=\"velocity\"/>";
  std::string first_joint = "joint1";
  std::string home_1 = "0.1";
  int joints = 7;
  unsigned int rate = 1000;

  std::string urdf() const
  {
    std::string links = "<link name=\"base\"/>", control;
    std::string parent = "base";
    for (int j = 1; j <= joints; ++j) {
      const std::string number = std::to_string(j), name = j == 1 ? first_joint : "joint" + number;
      links += "<link name=\"link" + number + "\"/><joint name=\"" + name +
               "\" type=\"revolute\"><parent link=\"" + parent + "\"/><child link=\"link" + number +
               "\"/><axis xyz=\"0 0 1\"/>" +
               "<limit lower=\"-2.9\" upper=\"2.9\" effort=\"100\" velocity=\"10\"/></joint>";
      parent = "link" + number;
      const std::string home = j == 1 ? home_1 : std::to_string(j <= 7 ? kHome[j - 1] : 0.0);
      control += "<joint name=\"" + name + "\"><command_interface name=\"effort\"/>" +
                 "<state_interface name=\"position\"><param name=\"initial_value\">" + home +
                 "</param></state_interface>" + velocity + "<state_interface name=\"effort\"/></joint>";
    }
    std::string sensor;
    for (const char * name : {"force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z"}) {
      sensor += "<state_interface name=\"" + std::string(name) + "\"/>";
    }
    return "<?xml version=\"1.0\"?><robot name=\"arm\">" + links +
           "<ros2_control name=\"lockstep_system\" "
           "type=\"system\"><hardware><plugin>serl_sim/LockstepSystem</plugin>" +
           parameters + "</hardware>" + control + "<sensor name=\"tcp_wrench\">" + sensor + "</sensor>" +
           "<gpio name=\"physics\"><state_interface name=\"steps\"/></gpio></ros2_control></robot>";
  }
};

/// The hardware as a controller manager would hold it.
class Harness
{
public:
  explicit Harness(const Description & description = {}, rclcpp::Executor::SharedPtr executor = nullptr)
  : component(std::make_unique<LockstepSystem>())
  {
    hardware_interface::HardwareComponentParams params;
    params.hardware_info = hardware_interface::parse_control_resources_from_urdf(description.urdf()).at(0);
    params.hardware_info.rw_rate = description.rate;
    params.clock = std::make_shared<rclcpp::Clock>(RCL_STEADY_TIME);
    params.logger = rclcpp::get_logger("lockstep_system");
    params.executor = executor;
    component.initialize(params);
    if (!initialized()) {
      return;
    }
    for (const auto & handle : component.export_state_interfaces()) {
      states[handle->get_name()] = handle;
    }
    for (const auto & handle : component.export_command_interfaces()) {
      commands[handle->get_name()] = handle;
    }
    for (int j = 1; j <= 7; ++j) {
      const std::string joint = "joint" + std::to_string(j);
      efforts.push_back(joint + "/effort");
      effort_handles.push_back(commands.at(efforts.back()));
      position_handles.push_back(states.at(joint + "/position"));
      velocity_handles.push_back(states.at(joint + "/velocity"));
    }
  }

  bool initialized() const
  {
    return component.get_lifecycle_state().id() == lifecycle_msgs::msg::State::PRIMARY_STATE_UNCONFIGURED;
  }

  /// Bring the hardware up, and have a controller claim it if wanted.
  void activate(bool claimed = true)
  {
    component.configure();
    if (component.activate().id() != lifecycle_msgs::msg::State::PRIMARY_STATE_ACTIVE) {
      throw std::runtime_error("the hardware cannot be activated");
    }
    if (claimed) {
      claim();
    }
  }

  hardware_interface::return_type claim() { return component.perform_command_mode_switch(efforts, {}); }
  hardware_interface::return_type release() { return component.perform_command_mode_switch({}, efforts); }

  hardware_interface::return_type read()
  {
    return component.read(rclcpp::Time(0, 0, RCL_STEADY_TIME), period);
  }
  hardware_interface::return_type write()
  {
    return component.write(rclcpp::Time(0, 0, RCL_STEADY_TIME), period);
  }

  /// One cycle of a controller that commands these torques, up to the state that comes of it.
  hardware_interface::return_type cycle(const serl_controllers::Vector7 & torque)
  {
    for (int j = 0; j < 7; ++j) {
      std::ignore = effort_handles[j]->set_value(torque[j], true);
    }
    const auto result = write();
    read();
    return result;
  }

  double state(const std::string & name) const { return states.at(name)->get_optional().value(); }
  serl_controllers::Vector7 q() const { return values(position_handles); }
  serl_controllers::Vector7 dq() const { return values(velocity_handles); }

  hardware_interface::System component;
  std::map<std::string, hardware_interface::StateInterface::ConstSharedPtr> states;
  std::map<std::string, hardware_interface::CommandInterface::SharedPtr> commands;
  std::vector<std::string> efforts;
  rclcpp::Duration period{std::chrono::milliseconds(1)};

private:
  using StateHandles = std::vector<hardware_interface::StateInterface::ConstSharedPtr>;

  static serl_controllers::Vector7 values(const StateHandles & handles)
  {
    serl_controllers::Vector7 result;
    for (int j = 0; j < 7; ++j) {
      result[j] = handles[j]->get_optional().value();
    }
    return result;
  }

  std::vector<hardware_interface::CommandInterface::SharedPtr> effort_handles;
  StateHandles position_handles, velocity_handles;
};

/// The same arm without any ROS, to compare with.
inline ArmPhysics reference()
{
  ArmPhysics physics(load_model_file(SCENE), "tcp", {"tool"});
  physics.reset(kHome);
  return physics;
}

}  // namespace serl_sim

#endif  // LOCKSTEP_HARNESS_HPP_
