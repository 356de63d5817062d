// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/joint_reset_controller.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <stdexcept>
#include <utility>

#include <pluginlib/class_list_macros.hpp>

#include "serl_controllers/joint_interfaces.hpp"

namespace serl_controllers
{
namespace
{

using controller_interface::interface_configuration_type;
using controller_interface::InterfaceConfiguration;
using controller_interface::return_type;

Vector7 vector(const std::vector<double> & values)
{
  return Eigen::Map<const Vector7>(values.data());
}

std::vector<double> array(const Vector7 & values)
{
  return {values.data(), values.data() + kJoints};
}

bool is_over(Motion motion) noexcept
{
  return motion != Motion::kNone && motion != Motion::kMoving && motion != Motion::kStopping;
}

}  // namespace

controller_interface::CallbackReturn JointResetController::on_init()
{
  try {
    parameter_listener_ = std::make_shared<joint_reset_controller::ParamListener>(get_node());
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "cannot start with these parameters: %s", error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

InterfaceConfiguration JointResetController::command_interface_configuration() const
{
  return {interface_configuration_type::INDIVIDUAL, command_names_};
}

InterfaceConfiguration JointResetController::state_interface_configuration() const
{
  return {interface_configuration_type::INDIVIDUAL, state_names_};
}

controller_interface::CallbackReturn JointResetController::on_configure(const rclcpp_lifecycle::State &)
{
  parameters_ = parameter_listener_->get_params();
  longest_step_ = get_update_rate() > 0 ? 2.0 / get_update_rate() : std::numeric_limits<double>::infinity();
  try {
    // It is asked for torques only, so its frames do not matter.
    model_ = make_arm_model(
      {parameters_.model.source, parameters_.joints, "", "", get_robot_description(),
       parameters_.model.compensate_gravity, parameters_.model.franka_arm});
    settings_.set(settings_of(parameters_));
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "cannot be configured: %s", error.what());
    return CallbackReturn::FAILURE;
  }

  command_names_ = effort_interfaces(parameters_.joints);
  state_names_ = motion_interfaces(parameters_.joints);
  for (const std::string & name : model_->state_interfaces()) {
    state_names_.push_back(name);
  }

  const auto node = get_node();
  parameter_listener_->setUserCallback(
    [this](const Parameters & parameters) { settings_.set(settings_of(parameters)); });
  // Only the joint limits say which margin is too wide; every other parameter has a range of its own.
  margin_check_ =
    node->add_on_set_parameters_callback([this](const std::vector<rclcpp::Parameter> & parameters) {
      rcl_interfaces::msg::SetParametersResult result;
      for (const rclcpp::Parameter & parameter : parameters) {
        if (parameter.get_name() == "position_margin" && parameter.get_type() == rclcpp::PARAMETER_DOUBLE) {
          result.reason = check_margin(parameter.as_double());
        }
      }
      result.successful = result.reason.empty();
      return result;
    });
  server_ = rclcpp_action::create_server<MoveJoints>(
    node, "~/move_joints",
    [this](const rclcpp_action::GoalUUID &, std::shared_ptr<const MoveJoints::Goal> goal) {
      return consider(*goal);
    },
    [this](std::shared_ptr<GoalHandle>) {
      cancel();
      return rclcpp_action::CancelResponse::ACCEPT;
    },
    [this](std::shared_ptr<GoalHandle> handle) { accept(std::move(handle)); });
  timer_ = node->create_wall_timer(
    std::chrono::duration<double>(1.0 / parameters_.feedback_rate), [this] { look_after_goal(); });
  if (!diagnostics_) {  // it declares parameters, which can be done only once
    diagnostics_ = std::make_unique<diagnostic_updater::Updater>(node, 1.0);
    diagnostics_->setHardwareID(parameters_.model.source == "franka" ? parameters_.model.franka_arm : "arm");
    diagnostics_->add(
      "controller", [this](diagnostic_updater::DiagnosticStatusWrapper & status) { diagnose(status); });
  }
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn JointResetController::on_activate(const rclcpp_lifecycle::State &)
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
  const Settings settings = settings_.get();
  settings_sequence_ = settings.sequence;
  order_sequence_ = order_.get().sequence;  // a goal of before is of another time
  is_refused_ = false;

  read_state();
  Vector7 held = read_joints(command_interfaces_, 0) - model_->gravity();
  held = held.array().isFinite().select(held, state_.coriolis).eval();
  const std::string_view reason = law_.set_settings(settings.law);
  if (!reason.empty() || !law_.reset(state_.q, held)) {
    RCLCPP_ERROR(
      logger, "cannot be activated: %s",
      reason.empty() ? "joint state or model is not finite: is the hardware up?"
                     : std::string(reason).c_str());
    command_torques(command_interfaces_, Vector7::Zero());
    model_->release();
    return CallbackReturn::FAILURE;
  }
  progress_.set(Progress{order_sequence_, false, Motion::kNone, 0.0, Vector7::Zero(), state_.q});
  is_active_ = true;
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn JointResetController::on_deactivate(const rclcpp_lifecycle::State &)
{
  is_active_ = false;  // look_after_goal() ends the goal
  model_->release();
  // The torques stay as they are, for the same reason as in CartesianImpedanceController.
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn JointResetController::on_cleanup(const rclcpp_lifecycle::State &)
{
  parameter_listener_->clearUserCallback();
  margin_check_.reset();
  timer_.reset();
  server_.reset();
  goal_.reset();
  model_.reset();
  return CallbackReturn::SUCCESS;
}

controller_interface::CallbackReturn JointResetController::on_error(const rclcpp_lifecycle::State & previous)
{
  is_active_ = false;
  // No cycle will follow in which the torque could be lowered at its rate.
  if (command_interfaces_.size() == kJoints) {
    command_torques(command_interfaces_, Vector7::Zero());
  }
  return on_cleanup(previous);
}

return_type JointResetController::update(const rclcpp::Time &, const rclcpp::Duration & period)
{
  read_state();
  read_boxes();
  // However many cycles were missed, the hardware sees one change of torque: let it be that of two at most.
  const JointMotionOutput & output =
    law_.update(state_.q, state_.dq, state_.coriolis, std::min(period.seconds(), longest_step_));
  command_torques(command_interfaces_, output.torque + model_->gravity());
  progress_.try_set(
    Progress{order_sequence_, is_refused_, output.motion, output.fraction, output.error, state_.q});
  return return_type::OK;
}

void JointResetController::read_state() noexcept
{
  state_.q = read_joints(state_interfaces_, 0);
  state_.dq = read_joints(state_interfaces_, kJoints);
  model_->update(state_);
}

void JointResetController::read_boxes() noexcept
{
  if (const auto settings = settings_.try_get(); settings && settings->sequence != settings_sequence_) {
    settings_sequence_ = settings->sequence;
    static_cast<void>(law_.set_settings(settings->law));  // settings_of made sure that they are good
  }
  const auto order = order_.try_get();
  if (!order) {
    return;
  }
  if (order->sequence != order_sequence_) {
    order_sequence_ = order->sequence;
    is_refused_ = !law_.begin(order->goal, order->duration).empty();
  }
  if (order->stop) {
    law_.stop();
  }
}

JointResetController::Settings JointResetController::settings_of(const Parameters & parameters) const
{
  Settings settings;
  settings.sequence = settings_.get().sequence + 1;
  JointMotionSettings & law = settings.law;
  law.stiffness = vector(parameters.stiffness);
  law.damping = vector(parameters.damping);
  law.max_velocity = vector(parameters.max_velocity);
  law.max_tracking_error = vector(parameters.max_tracking_error);
  law.max_torque = vector(parameters.max_torque);
  law.max_torque_rate = vector(parameters.max_torque_rate);
  law.min_duration = parameters.min_duration;
  law.stop_time = parameters.stop_time;
  law.goal_tolerance = parameters.goal_tolerance;
  law.settle_time = parameters.settle_time;
  for (int i = 0; i < kJoints; ++i) {
    const auto limits = get_hard_joint_limits().find(parameters.joints[i]);
    if (limits == get_hard_joint_limits().end()) {
      continue;
    }
    if (limits->second.has_position_limits) {
      law.lower[i] = limits->second.min_position + parameters.position_margin;
      law.upper[i] = limits->second.max_position - parameters.position_margin;
    }
    if (limits->second.has_velocity_limits) {
      law.max_velocity[i] = std::min(law.max_velocity[i], limits->second.max_velocity);
    }
  }
  if (const std::string_view reason = law.validate(); !reason.empty()) {
    throw std::invalid_argument(std::string(reason));
  }
  return settings;
}

std::string JointResetController::check_margin(double margin) const
{
  Parameters parameters = parameters_;
  parameters.position_margin = margin;
  try {
    static_cast<void>(settings_of(parameters));
  } catch (const std::invalid_argument & error) {
    return "position_margin " + std::to_string(margin) + " rad leaves a joint no range: " + error.what();
  }
  return {};
}

std::vector<double> JointResetController::positions_of(const MoveJoints::Goal & goal) const
{
  return goal.positions.empty() ? parameter_listener_->get_params().home : goal.positions;
}

rclcpp_action::GoalResponse JointResetController::consider(const MoveJoints::Goal & goal)
{
  const std::vector<double> positions = positions_of(goal);
  std::string reason;
  if (!is_active_) {
    reason = "the controller is not active: activate it first";
  } else if (goal_) {
    reason = "a motion is going on: cancel it first";
  } else if (positions.empty()) {
    reason = "it has no positions and the parameter home has none";
  } else if (positions.size() != kJoints) {
    reason = "it has " + std::to_string(positions.size()) + " positions: give 7, or none for home";
  } else {
    reason = settings_.get().law.check_goal(vector(positions), goal.duration);
  }
  if (reason.empty()) {
    return rclcpp_action::GoalResponse::ACCEPT_AND_EXECUTE;
  }
  last_outcome_ = "goal refused: " + reason;
  RCLCPP_ERROR(get_node()->get_logger(), "%s", last_outcome_.c_str());
  return rclcpp_action::GoalResponse::REJECT;
}

void JointResetController::accept(std::shared_ptr<GoalHandle> handle)
{
  goal_ = std::move(handle);
  Order order = order_.get();
  ++order.sequence;
  order.goal = vector(positions_of(*goal_->get_goal()));
  order.duration = goal_->get_goal()->duration;
  order.stop = false;
  order_.set(order);
}

void JointResetController::cancel()
{
  Order order = order_.get();
  order.stop = true;
  order_.set(order);
}

void JointResetController::look_after_goal()
{
  if (!goal_) {
    return;
  }
  if (!is_active_) {
    finish(false, "the controller was deactivated during the motion");
    return;
  }
  const Progress progress = progress_.get();
  if (progress.sequence != order_.get().sequence) {
    return;
  }  // the loop has not seen the goal yet
  if (progress.refused) {
    finish(false, "the goal is no longer within the limits: they were changed while it was on its way");
    return;
  }
  if (is_over(progress.motion)) {
    finish(progress.motion == Motion::kReached, std::string(describe(progress.motion)));
    return;
  }
  auto feedback = std::make_shared<MoveJoints::Feedback>();
  feedback->fraction = progress.fraction;
  feedback->error = array(progress.error);
  goal_->publish_feedback(feedback);
}

void JointResetController::finish(bool success, const std::string & message)
{
  auto result = std::make_shared<MoveJoints::Result>();
  result->success = success;
  result->message = message;
  const Order order = order_.get();
  result->error = array(order.goal - progress_.get().q);
  if (goal_->is_canceling()) {
    goal_->canceled(result);
  } else if (success) {
    goal_->succeed(result);
  } else {
    goal_->abort(result);
    RCLCPP_WARN(get_node()->get_logger(), "motion ended: %s", message.c_str());
  }
  last_outcome_ = message;
  goal_.reset();
}

void JointResetController::diagnose(diagnostic_updater::DiagnosticStatusWrapper & status)
{
  using diagnostic_msgs::msg::DiagnosticStatus;
  const Progress progress = progress_.get();
  if (!is_active_) {
    status.summary(DiagnosticStatus::OK, "not active");
  } else if (progress.motion == Motion::kBadState) {
    status.summary(DiagnosticStatus::ERROR, std::string(describe(progress.motion)));
  } else if (progress.motion == Motion::kBlocked || progress.motion == Motion::kNotReached) {
    status.summary(DiagnosticStatus::WARN, std::string(describe(progress.motion)));
  } else {
    status.summary(DiagnosticStatus::OK, std::string(describe(progress.motion)));
  }
  status.add("last outcome", last_outcome_);
  status.add("fraction", progress.fraction);
}

}  // namespace serl_controllers

PLUGINLIB_EXPORT_CLASS(serl_controllers::JointResetController, controller_interface::ControllerInterface)
