// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_SIM__LOCKSTEP_SYSTEM_HPP_
#define SERL_SIM__LOCKSTEP_SYSTEM_HPP_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hardware_interface/system_interface.hpp"
#include "rclcpp/rclcpp.hpp"
#include "serl_msgs/srv/reset.hpp"
#include "serl_sim/arm_physics.hpp"

namespace serl_sim
{

/// ros2_control hardware that is a MuJoCo scene, in lockstep with the controllers: write() makes exactly one physics
/// step, and the next read() tells its result. So every controller sees every state once, at any speed.
///
/// While no controller claims an effort interface the physics stands still, so nothing falls before somebody holds
/// it. A claimed joint whose command is no usable number gets zero torque, and the log says so.
///
/// Threads: read() and write() belong to the control loop. perform_command_mode_switch() may run beside them (the
/// controller manager calls it from a service's thread too). The service `~/reset` runs in a thread of its own and
/// hands its request to the next read() without a lock; see ResetPhase. After activation read() and write() do not
/// allocate, except to log what is wrong.
class LockstepSystem : public hardware_interface::SystemInterface
{
public:
  ~LockstepSystem() override;

  hardware_interface::CallbackReturn on_init(
    const hardware_interface::HardwareComponentInterfaceParams & params) override;
  hardware_interface::CallbackReturn on_configure(const rclcpp_lifecycle::State & previous_state) override;
  hardware_interface::CallbackReturn on_deactivate(const rclcpp_lifecycle::State & previous_state) override;
  hardware_interface::CallbackReturn on_error(const rclcpp_lifecycle::State & previous_state) override;
  hardware_interface::CallbackReturn on_shutdown(const rclcpp_lifecycle::State & previous_state) override;

  hardware_interface::return_type perform_command_mode_switch(
    const std::vector<std::string> & start_interfaces,
    const std::vector<std::string> & stop_interfaces) override;

  hardware_interface::return_type read(const rclcpp::Time & time, const rclcpp::Duration & period) override;
  hardware_interface::return_type write(const rclcpp::Time & time, const rclcpp::Duration & period) override;

private:
  /// Who holds the request of a reset: asked by the service's thread, then all others by the control loop, until the
  /// service's thread has seen the outcome and sets none again.
  enum class ResetPhase
  {
    none,
    asked,
    under_way,
    done,
    refused
  };

  struct Joint
  {
    hardware_interface::StateInterface::SharedPtr position, velocity, effort;
    hardware_interface::CommandInterface::SharedPtr command;
  };

  /// Check the description and load the scene. Throws std::invalid_argument with what is wrong.
  void load();
  void start_service();
  void stop_service();
  void serve_reset(
    const serl_msgs::srv::Reset::Request & request, serl_msgs::srv::Reset::Response & response);
  void publish_state();
  std::uint32_t effort_bits(const std::vector<std::string> & interfaces) const;

  std::optional<ArmPhysics> physics_;
  serl_controllers::Vector7 home_ = serl_controllers::Vector7::Zero();
  double reset_noise_ = 0.0;
  std::array<std::string, serl_controllers::kJoints> effort_names_;
  std::array<Joint, serl_controllers::kJoints> joints_;
  std::array<hardware_interface::StateInterface::SharedPtr, 6> tcp_wrench_;
  hardware_interface::StateInterface::SharedPtr steps_state_;
  std::uint64_t steps_ = 0;

  /// Bit j: a controller claims the effort of joint j.
  std::atomic<std::uint32_t> claimed_{0};
  std::atomic<ResetPhase> reset_phase_{ResetPhase::none};
  serl_controllers::Vector7 q_reset_ = serl_controllers::Vector7::Zero();

  rclcpp::Service<serl_msgs::srv::Reset>::SharedPtr service_;
  rclcpp::CallbackGroup::SharedPtr service_group_;
  rclcpp::executors::SingleThreadedExecutor::SharedPtr service_executor_;
  std::atomic<bool> serving_{false};
  std::thread service_thread_;
};

}  // namespace serl_sim

#endif  // SERL_SIM__LOCKSTEP_SYSTEM_HPP_
