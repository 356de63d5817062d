// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__JOINT_RESET_CONTROLLER_HPP_
#define SERL_CONTROLLERS__JOINT_RESET_CONTROLLER_HPP_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <controller_interface/controller_interface.hpp>
#include <diagnostic_updater/diagnostic_updater.hpp>
#include <rclcpp/rclcpp.hpp>
#include <rclcpp_action/rclcpp_action.hpp>
#include <realtime_tools/realtime_thread_safe_box.hpp>
#include <serl_msgs/action/move_joints.hpp>

#include "serl_controllers/arm_model.hpp"
#include "serl_controllers/joint_motion_law.hpp"
#include "serl_controllers/joint_reset_controller_parameters.hpp"

namespace serl_controllers
{

/// JointMotionLaw as a controller of ros2_control with the action ~/move_joints.
///
/// The action's server lives in the executor and never enters the control loop: a goal, a cancellation and the
/// progress cross between the two as plain structs in boxes, as in CartesianImpedanceController.
class JointResetController : public controller_interface::ControllerInterface
{
public:
  using CallbackReturn = controller_interface::CallbackReturn;

  CallbackReturn on_init() override;
  controller_interface::InterfaceConfiguration command_interface_configuration() const override;
  controller_interface::InterfaceConfiguration state_interface_configuration() const override;
  CallbackReturn on_configure(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_activate(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_deactivate(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_cleanup(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_error(const rclcpp_lifecycle::State & previous) override;
  controller_interface::return_type update(
    const rclcpp::Time & time, const rclcpp::Duration & period) override;

private:
  using MoveJoints = serl_msgs::action::MoveJoints;
  using GoalHandle = rclcpp_action::ServerGoalHandle<MoveJoints>;
  using Parameters = joint_reset_controller::Params;

  struct Settings
  {
    std::uint64_t sequence = 0;
    JointMotionSettings law;
  };

  /// What the loop is asked to do.
  struct Order
  {
    std::uint64_t sequence = 0;      ///< of the goal; 0: none yet
    Vector7 goal = Vector7::Zero();  ///< [rad]
    double duration = 0.0;           ///< [s]
    bool stop = false;
  };

  /// How far the loop has come with it.
  struct Progress
  {
    std::uint64_t sequence = 0;
    bool refused = false;  ///< the goal, by limits that became narrower on its way here
    Motion motion = Motion::kNone;
    double fraction = 0.0;
    Vector7 error = Vector7::Zero();  ///< reference - measured [rad]
    Vector7 q = Vector7::Zero();      ///< measured [rad]
  };

  // Executor.
  Settings settings_of(const Parameters & parameters) const;
  std::string check_margin(double margin) const;  ///< why goals cannot keep it [rad]; empty if they can
  std::vector<double> positions_of(const MoveJoints::Goal & goal) const;
  rclcpp_action::GoalResponse consider(const MoveJoints::Goal & goal);
  void accept(std::shared_ptr<GoalHandle> handle);
  void cancel();
  void look_after_goal();
  void finish(bool success, const std::string & message);
  void diagnose(diagnostic_updater::DiagnosticStatusWrapper & status);

  // Control loop.
  void read_state() noexcept;
  void read_boxes() noexcept;

  std::shared_ptr<joint_reset_controller::ParamListener> parameter_listener_;
  Parameters parameters_;  // as they were when it was configured
  std::vector<std::string> command_names_, state_names_;
  double longest_step_ = 0.0;  // [s]

  std::unique_ptr<ArmModel> model_;
  JointMotionLaw law_;
  RobotState state_;
  std::uint64_t settings_sequence_ = 0, order_sequence_ = 0;  // of the last ones seen by the loop
  bool is_refused_ = false;                                   // the last order

  realtime_tools::RealtimeThreadSafeBox<Settings> settings_;
  realtime_tools::RealtimeThreadSafeBox<Order> order_;
  realtime_tools::RealtimeThreadSafeBox<Progress> progress_;
  std::atomic<bool> is_active_{false};

  std::shared_ptr<GoalHandle> goal_;  // the one in work; of the executor alone
  rclcpp_action::Server<MoveJoints>::SharedPtr server_;
  rclcpp::TimerBase::SharedPtr timer_;
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr margin_check_;
  std::string last_outcome_ = "none yet";
  std::unique_ptr<diagnostic_updater::Updater> diagnostics_;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__JOINT_RESET_CONTROLLER_HPP_
