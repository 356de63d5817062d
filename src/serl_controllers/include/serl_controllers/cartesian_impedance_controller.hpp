// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_CONTROLLER_HPP_
#define SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_CONTROLLER_HPP_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <controller_interface/controller_interface.hpp>
#include <diagnostic_updater/diagnostic_updater.hpp>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>
#include <rclcpp/rclcpp.hpp>
#include <realtime_tools/realtime_publisher.hpp>
#include <realtime_tools/realtime_thread_safe_box.hpp>
#include <serl_msgs/msg/controller_state.hpp>
#include <serl_msgs/srv/set_gain_set.hpp>

#include "serl_controllers/arm_model.hpp"
#include "serl_controllers/cartesian_impedance_controller_parameters.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_controllers/feed_forward.hpp"
#include "serl_controllers/target_tracker.hpp"

namespace serl_controllers
{

/// CartesianImpedanceLaw as a controller of ros2_control: this class moves data in and out of it.
///
/// Two kinds of threads meet here. The control loop runs update(), on_activate() and on_deactivate(); the
/// executor runs everything that subscriptions, services, parameters and timers call. What passes between
/// them does so as plain structs in boxes: the loop only tries to lock a box and goes on with what it had
/// where it cannot; the executor locks, for the time of one copy. A struct carries a sequence number, so
/// the loop knows a new one from an old one without a second message.
class CartesianImpedanceController : public controller_interface::ControllerInterface
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
  using State = serl_msgs::msg::ControllerState;
  using SetGainSet = serl_msgs::srv::SetGainSet;
  using Parameters = cartesian_impedance_controller::Params;

  /// What the loop takes from the parameters.
  struct Settings
  {
    std::uint64_t sequence = 0;
    ImpedanceGains gains;
    TargetLimits target;
    FeedForwardLimits feed_forward;
    Vector7 q_nullspace = Vector7::Zero();  ///< [rad]
    bool has_posture = false;  ///< q_nullspace is given; otherwise it is where the arm was activated
    unsigned state_decimation = 10;
  };

  /// The last target that came, or why it was refused.
  struct Target
  {
    std::uint64_t sequence = 0;
    Hold hold = Hold::kNone;
    Pose X_BE;
  };

  /// The last feed-forward wrench that came; zero if it was refused.
  struct Wrench
  {
    std::uint64_t sequence = 0;
    Vector6 wrench = Vector6::Zero();  ///< at E [N, Nm]
    bool on_tcp_axes = false;
  };

  /// What the executor may know of the last cycle.
  struct Cycle
  {
    Pose X_BE;  ///< measured
    Hold hold = Hold::kNoTarget;
    std::uint32_t flags = 0;
    double silence = 0.0;  ///< time since the last good target [s]
  };

  // Executor.
  Settings settings_of(const Parameters & parameters) const;
  void take_target(const geometry_msgs::msg::PoseStamped & message);
  void take_wrench(const geometry_msgs::msg::WrenchStamped & message);
  void set_gain_set(const SetGainSet::Request & request, SetGainSet::Response & response);
  void diagnose(diagnostic_updater::DiagnosticStatusWrapper & status);
  double age(const builtin_interfaces::msg::Time & stamp) const;

  // Control loop.
  void read_state() noexcept;
  void read_boxes() noexcept;
  Hold hold() const noexcept;
  void publish(const rclcpp::Time & time);

  std::shared_ptr<cartesian_impedance_controller::ParamListener> parameter_listener_;
  Parameters parameters_;  // as they were when it was configured
  std::vector<std::string> command_names_, state_names_;
  bool has_wrench_sensor_ = false;
  bool is_wrench_mode_ = false;
  double longest_step_ = 0.0;  // [s]

  std::unique_ptr<ArmModel> model_;
  CartesianImpedanceLaw law_;
  TargetTracker tracker_;
  FeedForward feed_forward_;
  RobotState state_;
  Command command_;
  Vector6 external_wrench_ = Vector6::Zero();  // on the tool at E, base axes [N, Nm]
  double peak_force_ = 0.0;                    // since the last message [N]
  Settings active_settings_;
  std::uint64_t target_sequence_ = 0, wrench_sequence_ = 0;  // of the last ones seen by the loop
  std::uint64_t refused_before_ = 0;                         // targets refused before activation
  unsigned cycles_since_message_ = 0;

  realtime_tools::RealtimeThreadSafeBox<Settings> settings_;
  realtime_tools::RealtimeThreadSafeBox<Target> target_;
  realtime_tools::RealtimeThreadSafeBox<Wrench> wrench_;
  realtime_tools::RealtimeThreadSafeBox<Cycle> cycle_;
  std::atomic<bool> is_active_{false};
  std::array<std::atomic<std::uint64_t>, kHolds> refused_{};  // targets, by reason
  std::atomic<std::uint64_t> refused_targets_{0}, refused_wrenches_{0};

  State message_;
  std::unique_ptr<realtime_tools::RealtimePublisher<State>> publisher_;
  rclcpp::Clock::SharedPtr clock_;
  rclcpp::Clock log_clock_{RCL_STEADY_TIME};
  Hold logged_hold_ = Hold::kNoTarget;
  rclcpp::Subscription<geometry_msgs::msg::PoseStamped>::SharedPtr target_subscription_;
  rclcpp::Subscription<geometry_msgs::msg::WrenchStamped>::SharedPtr wrench_subscription_;
  rclcpp::Service<SetGainSet>::SharedPtr gain_set_service_;
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr gain_set_check_;
  std::unique_ptr<diagnostic_updater::Updater> diagnostics_;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_CONTROLLER_HPP_
