// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_sim/lockstep_system.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <locale>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "hardware_interface/types/hardware_interface_type_values.hpp"
#include "pluginlib/class_list_macros.hpp"

using hardware_interface::CallbackReturn;
using hardware_interface::return_type;
using serl_controllers::kJoints;
using serl_controllers::Vector6;
using serl_controllers::Vector7;

namespace serl_sim
{
namespace
{

constexpr char kWrenchSensor[] = "tcp_wrench";
constexpr std::array<const char *, 6> kWrenchInterfaces = {"force.x",  "force.y",  "force.z",
                                                           "torque.x", "torque.y", "torque.z"};
constexpr char kSteps[] = "physics/steps";
constexpr double kDefaultResetNoise = 0.02;  // [rad]
constexpr std::chrono::seconds kResetTimeout(2);
constexpr int kLogPeriodMs = 1000;

std::string parameter(
  const hardware_interface::HardwareInfo & info, const std::string & name, const std::string & otherwise)
{
  const auto found = info.hardware_parameters.find(name);
  return found == info.hardware_parameters.end() ? otherwise : found->second;
}

double number(const std::string & text, const std::string & name)
{
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0.0;
  if (!(stream >> value) || !(stream >> std::ws).eof() || !std::isfinite(value)) {
    throw std::invalid_argument(name + " must be a number, got '" + text + "'");
  }
  return value;
}

std::vector<std::string> words(const std::string & text)
{
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

const hardware_interface::InterfaceInfo & interface(
  const std::vector<hardware_interface::InterfaceInfo> & interfaces, const std::string & name,
  const std::string & joint, const char * kind)
{
  for (const auto & each : interfaces) {
    if (each.name == name) {
      return each;
    }
  }
  throw std::invalid_argument(joint + " has no " + kind + " interface '" + name + "'");
}

/// A handle's value, waiting for whoever holds it: a state or command left out for once would break the lockstep, and
/// only a service that lists the interfaces ever holds one for longer than its copy takes.
constexpr bool kWait = true;

}  // namespace

LockstepSystem::~LockstepSystem()
{
  stop_service();
}

CallbackReturn LockstepSystem::on_init(const hardware_interface::HardwareComponentInterfaceParams & params)
{
  if (SystemInterface::on_init(params) != CallbackReturn::SUCCESS) {
    return CallbackReturn::ERROR;
  }
  try {
    load();
  } catch (const std::invalid_argument & error) {
    RCLCPP_FATAL(get_logger(), "%s", error.what());
    return CallbackReturn::ERROR;
  }
  start_service();
  return CallbackReturn::SUCCESS;
}

void LockstepSystem::load()
{
  const auto & info = get_hardware_info();
  const std::string path = parameter(info, "model_path", "");
  if (path.empty()) {
    throw std::invalid_argument(
      "the hardware parameter model_path is missing: name the scene.mjb of serl_sim describe");
  }
  physics_.emplace(
    load_model_file(path), parameter(info, "tcp_site", "tcp"), words(parameter(info, "tool_geoms", "")));
  reset_noise_ = number(parameter(info, "reset_noise", std::to_string(kDefaultResetNoise)), "reset_noise");
  if (reset_noise_ < 0.0) {
    throw std::invalid_argument("reset_noise must not be negative");
  }
  // A rate of 0 means that the controller manager's is not known yet.
  if (info.rw_rate != 0 && std::abs(1.0 / info.rw_rate - physics_->time_step()) > 1e-9) {
    throw std::invalid_argument(
      "the scene steps " + std::to_string(physics_->time_step()) + " s, but the controller manager runs at " +
      std::to_string(info.rw_rate) + " Hz: set its update_rate to " +
      std::to_string(std::lround(1.0 / physics_->time_step())));
  }
  if (info.joints.size() != kJoints) {
    throw std::invalid_argument(
      "the description has " + std::to_string(info.joints.size()) + " joints, this hardware drives seven");
  }
  for (int j = 0; j < kJoints; ++j) {
    const auto & joint = info.joints[j];
    if (joint.name != physics_->joint_name(j)) {
      throw std::invalid_argument(
        "joint " + std::to_string(j + 1) + " of the description is '" + joint.name + "', of the scene '" +
        physics_->joint_name(j) + "'");
    }
    interface(joint.command_interfaces, hardware_interface::HW_IF_EFFORT, joint.name, "command");
    interface(joint.state_interfaces, hardware_interface::HW_IF_VELOCITY, joint.name, "state");
    const auto & position =
      interface(joint.state_interfaces, hardware_interface::HW_IF_POSITION, joint.name, "state");
    home_[j] = number(
      position.initial_value.empty() ? "0" : position.initial_value,
      "initial_value of " + joint.name + "/position");
    effort_names_[j] = joint.name + "/" + hardware_interface::HW_IF_EFFORT;
  }
  if (physics_->within_limits(home_) != home_) {
    throw std::invalid_argument("the initial positions lie outside the limits of the joints");
  }
}

CallbackReturn LockstepSystem::on_configure(const rclcpp_lifecycle::State &)
{
  const auto & info = get_hardware_info();
  const auto state = [this](const std::string & name) {
    return has_state(name) ? get_state_interface_handle(name) : nullptr;
  };
  for (int j = 0; j < kJoints; ++j) {
    const std::string & name = info.joints[j].name;
    joints_[j] = {
      state(name + "/" + hardware_interface::HW_IF_POSITION),
      state(name + "/" + hardware_interface::HW_IF_VELOCITY),
      state(name + "/" + hardware_interface::HW_IF_EFFORT), get_command_interface_handle(effort_names_[j])};
  }
  for (std::size_t i = 0; i < tcp_wrench_.size(); ++i) {
    tcp_wrench_[i] = state(std::string(kWrenchSensor) + "/" + kWrenchInterfaces[i]);
  }
  steps_state_ = state(kSteps);
  claimed_ = 0;
  physics_->reset(home_);
  publish_state();
  return CallbackReturn::SUCCESS;
}

CallbackReturn LockstepSystem::on_deactivate(const rclcpp_lifecycle::State &)
{
  claimed_ = 0;
  return CallbackReturn::SUCCESS;
}

CallbackReturn LockstepSystem::on_error(const rclcpp_lifecycle::State &)
{
  claimed_ = 0;
  return CallbackReturn::SUCCESS;  // unconfigured: to configure it again puts the arm at home
}

CallbackReturn LockstepSystem::on_shutdown(const rclcpp_lifecycle::State &)
{
  stop_service();
  return CallbackReturn::SUCCESS;
}

return_type LockstepSystem::perform_command_mode_switch(
  const std::vector<std::string> & start_interfaces, const std::vector<std::string> & stop_interfaces)
{
  const std::uint32_t started = effort_bits(start_interfaces);
  const std::uint32_t released = effort_bits(stop_interfaces) & ~started;
  const std::uint32_t taken = started & ~claimed_.load();
  for (int j = 0; j < kJoints; ++j) {
    // Until the controller's first command the joint floats; what another left there long ago is void.
    if (taken & (1u << j)) {
      std::ignore = set_command(joints_[j].command, 0.0, kWait);
    }
  }
  // First claim, then look for a reset; read() first begins one, then looks for a claim: one of them must notice.
  claimed_.fetch_or(started);
  if (taken != 0 && reset_phase_ == ResetPhase::under_way) {
    claimed_.fetch_and(~taken);
    RCLCPP_ERROR(get_logger(), "the arm is being reset: activate the controller again");
    return return_type::ERROR;
  }
  claimed_.fetch_and(~released);
  return return_type::OK;
}

return_type LockstepSystem::read(const rclcpp::Time &, const rclcpp::Duration &)
{
  ResetPhase asked = ResetPhase::asked;
  const bool resets = reset_phase_.compare_exchange_strong(asked, ResetPhase::under_way);
  const bool refused = resets && claimed_ != 0;
  if (resets && !refused) {
    physics_->reset(q_reset_);
  }
  publish_state();
  if (resets) {
    reset_phase_ = refused ? ResetPhase::refused : ResetPhase::done;
  }
  return return_type::OK;
}

return_type LockstepSystem::write(const rclcpp::Time &, const rclcpp::Duration &)
{
  const std::uint32_t claimed = claimed_;
  if (claimed == 0) {
    return return_type::OK;
  }
  Vector7 torque = Vector7::Zero();
  for (int j = 0; j < kJoints; ++j) {
    if (!(claimed & (1u << j))) {
      continue;
    }
    double command = 0.0;
    std::ignore = get_command(joints_[j].command, command, kWait);
    if (std::abs(command) < mjMAXVAL) {
      torque[j] = command;
    } else {  // beyond it MuJoCo would drop the torques of all joints, and NaN is no number at all
      RCLCPP_ERROR_THROTTLE(
        get_logger(), *get_clock(), kLogPeriodMs, "the command of %s is %g Nm: zero torque instead",
        effort_names_[j].c_str(), command);
    }
  }
  physics_->step(torque);
  ++steps_;
  if (physics_->diverged()) {
    RCLCPP_ERROR(
      get_logger(),
      "the physics diverged in step %lu, the commands were too violent: set component '%s' to active again, "
      "which starts from home",
      static_cast<unsigned long>(steps_), get_name().c_str());
    return return_type::ERROR;
  }
  return return_type::OK;
}

void LockstepSystem::publish_state()
{
  const auto & state = physics_->state();
  const Vector7 torque = physics_->actuator_torque();
  const auto set = [this](const hardware_interface::StateInterface::SharedPtr & handle, double value) {
    if (handle != nullptr) {
      std::ignore = set_state(handle, value, kWait);
    }
  };
  for (int j = 0; j < kJoints; ++j) {
    set(joints_[j].position, state.q[j]);
    set(joints_[j].velocity, state.dq[j]);
    set(joints_[j].effort, torque[j]);
  }
  const Eigen::Quaterniond R_EB = state.X_BE.orientation.conjugate();
  Vector6 F_E_E;
  F_E_E << R_EB * physics_->wrench().head<3>(), R_EB * physics_->wrench().tail<3>();
  for (std::size_t i = 0; i < tcp_wrench_.size(); ++i) {
    set(tcp_wrench_[i], F_E_E[i]);
  }
  set(steps_state_, static_cast<double>(steps_));
}

std::uint32_t LockstepSystem::effort_bits(const std::vector<std::string> & interfaces) const
{
  std::uint32_t bits = 0;
  for (int j = 0; j < kJoints; ++j) {
    if (std::find(interfaces.begin(), interfaces.end(), effort_names_[j]) != interfaces.end()) {
      bits |= 1u << j;
    }
  }
  return bits;
}

void LockstepSystem::start_service()
{
  const auto node = get_node();
  if (node == nullptr) {
    RCLCPP_WARN(get_logger(), "the controller manager has no executor: there will be no reset service");
    return;
  }
  service_group_ = node->create_callback_group(rclcpp::CallbackGroupType::MutuallyExclusive, false);
  service_ = node->create_service<serl_msgs::srv::Reset>(
    "~/reset",
    [this](
      const serl_msgs::srv::Reset::Request::SharedPtr request,
      const serl_msgs::srv::Reset::Response::SharedPtr response) { serve_reset(*request, *response); },
    rclcpp::ServicesQoS(), service_group_);
  service_executor_ = std::make_shared<rclcpp::executors::SingleThreadedExecutor>();
  service_executor_->add_callback_group(service_group_, node->get_node_base_interface());
  serving_ = true;
  service_thread_ = std::thread([this] {
    // Not spin(): to cancel one that has not begun yet would be lost.
    while (serving_ && rclcpp::ok()) {
      service_executor_->spin_once(std::chrono::milliseconds(100));
    }
  });
}

void LockstepSystem::stop_service()
{
  if (!service_thread_.joinable()) {
    return;
  }
  serving_ = false;
  service_thread_.join();
  service_.reset();
}

void LockstepSystem::serve_reset(
  const serl_msgs::srv::Reset::Request & request, serl_msgs::srv::Reset::Response & response)
{
  q_reset_ = home_;
  if (request.seed != 0) {
    std::mt19937_64 random(request.seed);
    for (double & q : q_reset_) {
      // By hand, because the standard leaves open how its distributions draw.
      const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
      q += reset_noise_ * (2.0 * unit - 1.0);
    }
    q_reset_ = physics_->within_limits(q_reset_);
  }
  reset_phase_ = ResetPhase::asked;
  const auto deadline = std::chrono::steady_clock::now() + kResetTimeout;
  ResetPhase phase;
  while ((phase = reset_phase_) == ResetPhase::asked || phase == ResetPhase::under_way) {
    ResetPhase asked = ResetPhase::asked;
    if (
      std::chrono::steady_clock::now() > deadline &&
      reset_phase_.compare_exchange_strong(asked, ResetPhase::none)) {
      response.message = "the control loop does not read the hardware: configure it first";
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  reset_phase_ = ResetPhase::none;
  response.success = phase == ResetPhase::done;
  response.message =
    response.success ? "the arm is at home" : "a controller claims the arm: deactivate it first";
}

}  // namespace serl_sim

PLUGINLIB_EXPORT_CLASS(serl_sim::LockstepSystem, hardware_interface::SystemInterface)
