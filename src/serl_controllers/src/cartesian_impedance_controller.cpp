// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/cartesian_impedance_controller.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/ranges.h>
#include <pluginlib/class_list_macros.hpp>

#include "serl_controllers/joint_interfaces.hpp"

namespace serl_controllers
{
namespace
{

using controller_interface::interface_configuration_type;
using controller_interface::InterfaceConfiguration;
using controller_interface::return_type;
using serl_msgs::msg::ControllerState;

static_assert(
  static_cast<int>(Hold::kNoTarget) == ControllerState::HOLD_NO_TARGET &&
    static_cast<int>(Hold::kStale) == ControllerState::HOLD_STALE &&
    static_cast<int>(Hold::kNotFinite) == ControllerState::HOLD_NOT_FINITE &&
    static_cast<int>(Hold::kBadQuaternion) == ControllerState::HOLD_BAD_QUATERNION &&
    static_cast<int>(Hold::kWrongFrame) == ControllerState::HOLD_WRONG_FRAME &&
    static_cast<int>(Hold::kOldStamp) == ControllerState::HOLD_OLD_STAMP &&
    static_cast<int>(Hold::kJump) == ControllerState::HOLD_JUMP &&
    static_cast<int>(Hold::kOutsideBox) == ControllerState::HOLD_OUTSIDE_BOX,
  "Hold is HOLD_* of the message");

/// Axes of a wrench, in the names of the interfaces of a force-torque sensor.
constexpr std::array<const char *, 6> kWrenchAxes = {"force.x",  "force.y",  "force.z",
                                                     "torque.x", "torque.y", "torque.z"};

constexpr int kLogPeriod = 1000;  // [ms]

template <typename Vector>
Vector vector(const std::vector<double> & values)
{
  return Eigen::Map<const Vector>(values.data());
}

template <typename GainSet>
ImpedanceGains gains_of(const GainSet & set, const cartesian_impedance_controller::Params & parameters)
{
  ImpedanceGains gains;
  gains.stiffness = vector<Vector6>(set.stiffness);
  gains.damping = vector<Vector6>(set.damping);
  gains.error_min = vector<Vector6>(set.error_min);
  gains.error_max = vector<Vector6>(set.error_max);
  gains.integral_gain = vector<Vector6>(set.integral_gain);
  gains.integral_limit = vector<Vector6>(set.integral_limit);
  gains.nullspace_stiffness = set.nullspace_stiffness;
  gains.nullspace_damping = set.nullspace_damping;
  gains.target_time_constant = parameters.target.time_constant;
  gains.gain_time_constant = parameters.gain_time_constant;
  gains.max_torque = vector<Vector7>(parameters.max_torque);
  gains.max_torque_rate = vector<Vector7>(parameters.max_torque_rate);
  return gains;
}

/// Why there is no such gain set; empty if there is.
std::string check_gain_set(const std::string & name, const std::vector<std::string> & additional)
{
  std::vector<std::string> names = {"compliant", "precise"};
  names.insert(names.end(), additional.begin(), additional.end());
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return {};
  }
  return fmt::format("no gain set '{}': there are {}", name, fmt::join(names, ", "));
}

ImpedanceGains gains_of(const cartesian_impedance_controller::Params & parameters)
{
  if (parameters.gain_set == "compliant") {
    return gains_of(parameters.gains.compliant, parameters);
  }
  if (parameters.gain_set == "precise") {
    return gains_of(parameters.gains.precise, parameters);
  }
  const std::string reason = check_gain_set(parameters.gain_set, parameters.additional_gain_sets);
  if (!reason.empty()) {
    throw std::invalid_argument(reason);
  }
  return gains_of(parameters.gains.additional_gain_sets_map.at(parameters.gain_set), parameters);
}

void fill(geometry_msgs::msg::Pose & message, const Pose & pose) noexcept
{
  message.position.x = pose.position.x();
  message.position.y = pose.position.y();
  message.position.z = pose.position.z();
  message.orientation.x = pose.orientation.x();
  message.orientation.y = pose.orientation.y();
  message.orientation.z = pose.orientation.z();
  message.orientation.w = pose.orientation.w();
}

template <typename Array, typename Vector>
void fill_array(Array & array, const Vector & values) noexcept
{
  std::copy_n(values.data(), values.size(), array.begin());
}

}  // namespace

controller_interface::CallbackReturn CartesianImpedanceController::on_init()
{
  try {
    parameter_listener_ = std::make_shared<cartesian_impedance_controller::ParamListener>(get_node());
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "cannot start with these parameters: %s", error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

InterfaceConfiguration CartesianImpedanceController::command_interface_configuration() const
{
  return {interface_configuration_type::INDIVIDUAL, command_names_};
}

InterfaceConfiguration CartesianImpedanceController::state_interface_configuration() const
{
  return {interface_configuration_type::INDIVIDUAL, state_names_};
}

controller_interface::CallbackReturn CartesianImpedanceController::on_configure(
  const rclcpp_lifecycle::State &)
{
  parameters_ = parameter_listener_->get_params();
  is_wrench_mode_ = parameters_.mode == "wrench";
  has_wrench_sensor_ = !parameters_.wrench_sensor.empty();
  longest_step_ = get_update_rate() > 0 ? 2.0 / get_update_rate() : std::numeric_limits<double>::infinity();
  try {
    model_ = make_arm_model(
      {parameters_.model.source, parameters_.joints, parameters_.frames.base, parameters_.frames.tcp,
       get_robot_description(), parameters_.model.compensate_gravity, parameters_.model.franka_arm});
    settings_.set(settings_of(parameters_));
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "cannot be configured: %s", error.what());
    return CallbackReturn::FAILURE;
  }

  command_names_ = effort_interfaces(parameters_.joints);
  state_names_ = motion_interfaces(parameters_.joints);
  if (has_wrench_sensor_) {
    for (const char * axis : kWrenchAxes) {
      state_names_.push_back(parameters_.wrench_sensor + "/" + axis);
    }
  }
  for (const std::string & name : model_->state_interfaces()) {
    state_names_.push_back(name);
  }

  const auto node = get_node();
  clock_ = node->get_clock();
  parameter_listener_->setUserCallback(
    [this](const Parameters & parameters) { settings_.set(settings_of(parameters)); });
  gain_set_check_ =
    node->add_on_set_parameters_callback([this](const std::vector<rclcpp::Parameter> & parameters) {
      rcl_interfaces::msg::SetParametersResult result;
      for (const rclcpp::Parameter & parameter : parameters) {
        if (parameter.get_name() == "gain_set" && parameter.get_type() == rclcpp::PARAMETER_STRING) {
          result.reason = check_gain_set(parameter.as_string(), parameters_.additional_gain_sets);
        }
      }
      result.successful = result.reason.empty();
      return result;
    });
  gain_set_service_ = node->create_service<SetGainSet>(
    "~/set_gain_set",
    [this](const SetGainSet::Request::SharedPtr request, SetGainSet::Response::SharedPtr response) {
      set_gain_set(*request, *response);
    });
  if (!is_wrench_mode_) {
    target_subscription_ = node->create_subscription<geometry_msgs::msg::PoseStamped>(
      "~/target_pose", rclcpp::QoS(1).reliable(),
      [this](const geometry_msgs::msg::PoseStamped & message) { take_target(message); });
  }
  wrench_subscription_ = node->create_subscription<geometry_msgs::msg::WrenchStamped>(
    "~/feed_forward_wrench", rclcpp::QoS(1).reliable(),
    [this](const geometry_msgs::msg::WrenchStamped & message) { take_wrench(message); });

  // All memory of the message is taken here, none in the loop.
  message_ = State{};
  message_.header.frame_id = parameters_.frames.base;
  message_.joint_position.resize(kJoints);
  message_.joint_torque.resize(kJoints);
  publisher_ = std::make_unique<realtime_tools::RealtimePublisher<State>>(
    node->create_publisher<State>("~/state", rclcpp::SystemDefaultsQoS()));

  if (!diagnostics_) {  // it declares parameters, which can be done only once
    diagnostics_ = std::make_unique<diagnostic_updater::Updater>(node, 1.0);
    diagnostics_->setHardwareID(parameters_.model.source == "franka" ? parameters_.model.franka_arm : "arm");
    diagnostics_->add(
      "controller", [this](diagnostic_updater::DiagnosticStatusWrapper & status) { diagnose(status); });
  }
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn CartesianImpedanceController::on_activate(
  const rclcpp_lifecycle::State &)
{
  const auto logger = get_node()->get_logger();
  for (const std::string & missing :
       {missing_interface(command_interfaces_, command_names_),
        missing_interface(state_interfaces_, state_names_)}) {
    if (!missing.empty()) {
      RCLCPP_ERROR(logger, "cannot be activated: the hardware lent no interface '%s'", missing.c_str());
      return CallbackReturn::FAILURE;
    }
  }
  model_->assign(state_interfaces_);
  active_settings_ = settings_.get();
  // Whatever came before is of another time.
  target_sequence_ = target_.get().sequence;
  wrench_sequence_ = wrench_.get().sequence;
  refused_before_ = refused_targets_;

  read_state();
  const Vector7 held = read_joints(command_interfaces_, 0) - model_->gravity();
  const std::string_view reason = law_.set_gains(active_settings_.gains);
  if (!reason.empty() || !law_.reset(state_, held)) {
    RCLCPP_ERROR(
      logger, "cannot be activated: %s",
      reason.empty() ? "joint state or model is not finite: is the hardware up?"
                     : std::string(reason).c_str());
    command_torques(command_interfaces_, Vector7::Zero());
    model_->release();
    return CallbackReturn::FAILURE;
  }
  tracker_.reset(state_.X_BE);
  feed_forward_.reset();
  command_ = Command{};
  command_.q_nullspace = active_settings_.has_posture ? active_settings_.q_nullspace : state_.q;
  peak_force_ = 0.0;
  cycle_.set(Cycle{state_.X_BE, Hold::kNoTarget, 0, 0.0});
  cycles_since_message_ = active_settings_.state_decimation;
  publish(clock_->now());  // the first message also makes the publisher's copy as large as it will be
  is_active_ = true;
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn CartesianImpedanceController::on_deactivate(
  const rclcpp_lifecycle::State &)
{
  is_active_ = false;
  model_->release();
  // The torques stay as they are: the controller that takes over in this very cycle goes on from them, and where none
  // does, hardware whose effort interfaces nobody claims has to hold by itself.
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn CartesianImpedanceController::on_cleanup(const rclcpp_lifecycle::State &)
{
  parameter_listener_->clearUserCallback();
  gain_set_check_.reset();
  gain_set_service_.reset();
  target_subscription_.reset();
  wrench_subscription_.reset();
  publisher_.reset();
  model_.reset();
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn CartesianImpedanceController::on_error(
  const rclcpp_lifecycle::State & previous)
{
  is_active_ = false;
  // No cycle will follow in which the torque could be lowered at its rate.
  if (command_interfaces_.size() == kJoints) {
    command_torques(command_interfaces_, Vector7::Zero());
  }
  return on_cleanup(previous);
}

return_type CartesianImpedanceController::update(const rclcpp::Time & time, const rclcpp::Duration & period)
{
  const double dt = period.seconds();
  read_state();
  read_boxes();
  if (is_wrench_mode_) {
    command_.X_BE_target = state_.X_BE;
  } else {
    command_.X_BE_target = tracker_.update(law_.output().X_BE_clipped, active_settings_.target.timeout, dt);
  }
  command_.feed_forward = feed_forward_.update(state_.X_BE.orientation, active_settings_.feed_forward, dt);
  // However many cycles were missed, the hardware sees one change of torque: let it be that of two at most.
  law_.update(state_, command_, std::min(dt, longest_step_));
  command_torques(command_interfaces_, law_.output().torque + model_->gravity());

  cycle_.try_set(Cycle{state_.X_BE, hold(), law_.output().flags, tracker_.silence()});
  publish(time);
  return return_type::OK;
}

void CartesianImpedanceController::read_state() noexcept
{
  state_.q = read_joints(state_interfaces_, 0);
  state_.dq = read_joints(state_interfaces_, kJoints);
  model_->update(state_);
  if (has_wrench_sensor_) {
    Vector6 F_E;  // on axes of E
    for (int i = 0; i < 6; ++i) {
      F_E[i] =
        state_interfaces_[2 * kJoints + i].get_optional().value_or(std::numeric_limits<double>::quiet_NaN());
    }
    external_wrench_.head<3>() = state_.X_BE.orientation * F_E.head<3>();
    external_wrench_.tail<3>() = state_.X_BE.orientation * F_E.tail<3>();
  } else {
    external_wrench_.setConstant(std::numeric_limits<double>::quiet_NaN());
  }
  peak_force_ = std::fmax(peak_force_, external_wrench_.head<3>().norm());
}

void CartesianImpedanceController::read_boxes() noexcept
{
  if (
    const auto settings = settings_.try_get(); settings && settings->sequence != active_settings_.sequence) {
    active_settings_ = *settings;
    static_cast<void>(law_.set_gains(active_settings_.gains));  // settings_of made sure that they are good
    if (active_settings_.has_posture) {
      command_.q_nullspace = active_settings_.q_nullspace;
    }
  }
  if (const auto target = target_.try_get(); target && target->sequence != target_sequence_) {
    target_sequence_ = target->sequence;
    if (target->hold == Hold::kNone) {
      tracker_.follow(target->X_BE);
    } else {
      tracker_.refuse(target->hold, law_.output().X_BE_clipped);
    }
  }
  if (const auto wrench = wrench_.try_get(); wrench && wrench->sequence != wrench_sequence_) {
    wrench_sequence_ = wrench->sequence;
    feed_forward_.set(wrench->wrench, wrench->on_tcp_axes);
  }
}

Hold CartesianImpedanceController::hold() const noexcept
{
  if (!is_wrench_mode_) {
    return tracker_.hold();
  }
  return feed_forward_.is_fresh() ? Hold::kNone : Hold::kNoTarget;
}

void CartesianImpedanceController::publish(const rclcpp::Time & time)
{
  if (++cycles_since_message_ < active_settings_.state_decimation) {
    return;
  }
  const Output & output = law_.output();
  // In simulated time the loop's clock is that of the node; otherwise it is a steady one that nobody else knows.
  message_.header.stamp = time.get_clock_type() == RCL_ROS_TIME ? time : clock_->now();
  fill(message_.measured, state_.X_BE);
  fill_array(message_.twist, (state_.J_BE * state_.dq).eval());
  fill(message_.commanded, output.X_BE_commanded);
  fill(message_.smoothed, output.X_BE_smoothed);
  fill(message_.clipped, output.X_BE_clipped);
  fill_array(message_.error, output.error);
  fill_array(message_.wrench, output.wrench);
  fill_array(message_.external_wrench, external_wrench_);
  message_.peak_force = has_wrench_sensor_ ? peak_force_ : std::numeric_limits<double>::quiet_NaN();
  fill_array(message_.joint_position, state_.q);
  fill_array(message_.joint_torque, output.torque);
  message_.flags = output.flags;
  message_.hold = static_cast<std::uint8_t>(hold());
  message_.refused_targets = refused_targets_ - refused_before_;
  if (publisher_->try_publish(message_)) {  // otherwise the next cycle tries
    cycles_since_message_ = 0;
    peak_force_ = 0.0;
  }
}

CartesianImpedanceController::Settings CartesianImpedanceController::settings_of(
  const Parameters & parameters) const
{
  Settings settings;
  settings.sequence = settings_.get().sequence + 1;
  settings.gains = gains_of(parameters);
  if (parameters.mode == "wrench") {
    settings.gains = settings.gains.without_spring(vector<Vector6>(parameters.feed_forward.damping));
  }
  if (const std::string_view reason = settings.gains.validate(); !reason.empty()) {
    throw std::invalid_argument(std::string(reason));
  }
  settings.target.timeout = parameters.target.timeout;
  settings.target.max_translation = parameters.target.max_translation;
  settings.target.max_rotation = parameters.target.max_rotation;
  settings.target.box_min = vector<Eigen::Vector3d>(parameters.workspace.min);
  settings.target.box_max = vector<Eigen::Vector3d>(parameters.workspace.max);
  settings.feed_forward.timeout = parameters.feed_forward.timeout;
  const auto & axes = parameters.feed_forward.axes;
  for (std::size_t i = 0; i < kWrenchAxes.size(); ++i) {
    const bool is_taken = std::find(axes.begin(), axes.end(), kWrenchAxes[i]) != axes.end();
    settings.feed_forward.max_wrench[i] = is_taken ? parameters.feed_forward.max_wrench[i] : 0.0;
  }
  settings.has_posture = !parameters.nullspace.posture.empty();
  if (settings.has_posture) {
    settings.q_nullspace = vector<Vector7>(parameters.nullspace.posture);
  }
  settings.state_decimation = static_cast<unsigned>(parameters.state_decimation);
  return settings;
}

double CartesianImpedanceController::age(const builtin_interfaces::msg::Time & stamp) const
{
  if (stamp.sec == 0 && stamp.nanosec == 0) {
    return 0.0;
  }
  if (stamp.sec < 0) {  // rclcpp::Time throws, which nobody in the executor would catch
    return std::numeric_limits<double>::infinity();
  }
  return (clock_->now() - rclcpp::Time(stamp, clock_->get_clock_type())).seconds();
}

void CartesianImpedanceController::take_target(const geometry_msgs::msg::PoseStamped & message)
{
  if (!is_active_) {
    return;
  }
  const auto & p = message.pose.position;
  const auto & o = message.pose.orientation;
  Target target = target_.get();
  ++target.sequence;
  target.X_BE = Pose{{p.x, p.y, p.z}, {o.w, o.x, o.y, o.z}};
  const TargetLimits limits = settings_.get().target;
  const Pose X_BE = cycle_.get().X_BE;
  if (message.header.frame_id != parameters_.frames.base) {
    target.hold = Hold::kWrongFrame;
  } else if (std::abs(age(message.header.stamp)) > limits.timeout) {
    target.hold = Hold::kOldStamp;
  } else {
    target.hold = check_target(target.X_BE, X_BE, limits);
  }
  if (target.hold != Hold::kNone) {
    ++refused_[static_cast<std::size_t>(target.hold)];
    ++refused_targets_;
    RCLCPP_WARN_THROTTLE(
      get_node()->get_logger(), log_clock_, kLogPeriod,
      "holding: %s (frame '%s', age %.3f s, at (%.3f, %.3f, %.3f) m, %.3f m from the tcp)",
      describe(target.hold).data(), message.header.frame_id.c_str(), age(message.header.stamp), p.x, p.y, p.z,
      (target.X_BE.position - X_BE.position).norm());
  }
  target_.set(target);
}

void CartesianImpedanceController::take_wrench(const geometry_msgs::msg::WrenchStamped & message)
{
  if (!is_active_) {
    return;
  }
  const auto & f = message.wrench.force;
  const auto & t = message.wrench.torque;
  Wrench wrench = wrench_.get();
  ++wrench.sequence;
  wrench.wrench << f.x, f.y, f.z, t.x, t.y, t.z;
  wrench.on_tcp_axes = message.header.frame_id == parameters_.frames.tcp;
  const char * reason = nullptr;
  if (!wrench.on_tcp_axes && message.header.frame_id != parameters_.frames.base) {
    reason = "its frame_id is neither frames.base nor frames.tcp";
  } else if (!wrench.wrench.allFinite()) {
    reason = "it has a NaN or an infinity";
  } else if (std::abs(age(message.header.stamp)) > settings_.get().feed_forward.timeout) {
    reason = "its stamp is off by more than feed_forward.timeout: synchronise clocks, or send stamp 0";
  }
  if (reason != nullptr) {
    wrench.wrench.setConstant(std::numeric_limits<double>::quiet_NaN());
    ++refused_wrenches_;
    RCLCPP_WARN_THROTTLE(
      get_node()->get_logger(), log_clock_, kLogPeriod, "no feed-forward wrench: %s (frame '%s')", reason,
      message.header.frame_id.c_str());
  }
  wrench_.set(wrench);
}

void CartesianImpedanceController::set_gain_set(
  const SetGainSet::Request & request, SetGainSet::Response & response)
{
  const auto result = get_node()->set_parameter(rclcpp::Parameter("gain_set", request.name));
  response.success = result.successful;
  response.message = result.successful ? "gliding to '" + request.name + "'" : result.reason;
}

void CartesianImpedanceController::diagnose(diagnostic_updater::DiagnosticStatusWrapper & status)
{
  using diagnostic_msgs::msg::DiagnosticStatus;
  const Cycle cycle = cycle_.get();
  if (!is_active_) {
    status.summary(DiagnosticStatus::OK, "not active");
  } else if ((cycle.flags & kBadState) != 0) {
    status.summary(DiagnosticStatus::ERROR, "joint state or model is not finite: torque is going to zero");
  } else if (cycle.hold == Hold::kNone || cycle.hold == Hold::kNoTarget) {
    status.summary(DiagnosticStatus::OK, std::string(describe(cycle.hold)));
  } else {
    status.summary(DiagnosticStatus::WARN, "holding: " + std::string(describe(cycle.hold)));
  }
  status.add("mode", parameters_.mode);
  status.add("gain set", get_node()->get_parameter("gain_set").as_string());
  status.add("seconds since target", cycle.silence);
  status.add("flags", cycle.flags);
  status.add("refused targets", refused_targets_.load());
  for (std::size_t i = 0; i < kHolds; ++i) {
    if (refused_[i] > 0) {
      status.add(std::string(describe(static_cast<Hold>(i))), refused_[i].load());
    }
  }
  status.add("refused feed-forward wrenches", refused_wrenches_.load());
  // The loop found this out by itself, and may not log.
  if (is_active_ && cycle.hold == Hold::kStale && logged_hold_ != Hold::kStale) {
    RCLCPP_WARN(get_node()->get_logger(), "holding: %s", describe(cycle.hold).data());
  }
  logged_hold_ = cycle.hold;
}

}  // namespace serl_controllers

PLUGINLIB_EXPORT_CLASS(
  serl_controllers::CartesianImpedanceController, controller_interface::ControllerInterface)
