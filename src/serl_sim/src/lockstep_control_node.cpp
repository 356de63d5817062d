// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// A controller manager in simulated time. Time passes because a cycle was made, not the other way round: each cycle
// reads, updates and writes, and then the clock goes on by one period, at real_time_factor times the pace of the wall.

#include <rcl/time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "controller_manager/controller_manager.hpp"
#include "rclcpp/rclcpp.hpp"
#include "real_time.hpp"
#include "realtime_tools/realtime_publisher.hpp"
#include "rosgraph_msgs/msg/clock.hpp"

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

namespace serl_sim
{
namespace
{

constexpr char kFactor[] = "real_time_factor";
constexpr double kDefaultFactor = 1.0;
constexpr double kMaxFactor = 1000.0;
constexpr double kClockRate = 200.0;  // [Hz] of simulated time
// A loop that fell behind by more than this does not run to catch up, which would look like a jump of time.
constexpr std::chrono::milliseconds kPatience(50);

/// The clock of one node, set by hand.
class SimulatedClock
{
public:
  /// The node must have been made with use_sim_time, so that its controller manager counts in this clock.
  explicit SimulatedClock(rclcpp::Node & node) : clock_(node.get_clock())
  {
    // The node's own subscription to /clock would set back, some cycles late, what is set here.
    node.set_parameter(rclcpp::Parameter("use_sim_time", false));
    const std::lock_guard<std::mutex> lock(clock_->get_clock_mutex());
    if (rcl_enable_ros_time_override(clock_->get_clock_handle()) != RCL_RET_OK) {
      throw std::runtime_error("the controller manager's clock cannot be set");
    }
  }

  void set(rcl_time_point_value_t time)
  {
    const std::lock_guard<std::mutex> lock(clock_->get_clock_mutex());
    std::ignore = rcl_set_ros_time_override(clock_->get_clock_handle(), time);
  }

private:
  rclcpp::Clock::SharedPtr clock_;
};

/// Simulated over wall time, or 0 for as fast as possible; a parameter that may change while the loop runs.
class RealTimeFactor
{
public:
  /// Throws std::invalid_argument if the parameter that was given is out of range.
  explicit RealTimeFactor(rclcpp::Node & node)
  {
    if (!node.has_parameter(kFactor)) {
      rcl_interfaces::msg::ParameterDescriptor descriptor;
      descriptor.description = "simulated time over wall time; 0: as fast as possible";
      descriptor.dynamic_typing = true;  // so that 1 does for 1.0
      node.declare_parameter(kFactor, rclcpp::ParameterValue(kDefaultFactor), descriptor);
    }
    const std::string reason = set(node.get_parameter(kFactor));
    if (!reason.empty()) {
      throw std::invalid_argument(reason);
    }
    callback_ =
      node.add_on_set_parameters_callback([this](const std::vector<rclcpp::Parameter> & parameters) {
        rcl_interfaces::msg::SetParametersResult result;
        for (const auto & parameter : parameters) {
          if (parameter.get_name() == kFactor) {
            result.reason = set(parameter);
          }
        }
        result.successful = result.reason.empty();
        return result;
      });
  }

  double operator()() const { return value_; }

private:
  std::string set(const rclcpp::Parameter & parameter)
  {
    double value = -1.0;
    if (parameter.get_type() == rclcpp::PARAMETER_DOUBLE) {
      value = parameter.as_double();
    }
    if (parameter.get_type() == rclcpp::PARAMETER_INTEGER) {
      value = static_cast<double>(parameter.as_int());
    }
    if (!(value >= 0.0 && value <= kMaxFactor)) {
      return std::string(kFactor) + " must be a number from 0 to 1000, got " + parameter.value_to_string();
    }
    value_ = value;
    return "";
  }

  std::atomic<double> value_{kDefaultFactor};
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr callback_;
};

void loop(
  controller_manager::ControllerManager & manager, SimulatedClock & clock, const RealTimeFactor & factor,
  realtime_tools::RealtimePublisher<rosgraph_msgs::msg::Clock> & publisher)
{
  const auto rate = manager.get_update_rate();
  const nanoseconds period(1'000'000'000 / rate);
  const auto cycles_per_tick = std::max<std::uint64_t>(1, std::llround(rate / kClockRate));
  rosgraph_msgs::msg::Clock message;
  nanoseconds now = period;  // zero would mean that no time has been set
  auto wake_up = steady_clock::now();
  bool paced = false;
  for (std::uint64_t cycle = 0; rclcpp::ok(); ++cycle, now += period) {
    clock.set(now.count());
    const rclcpp::Time time(now.count(), RCL_ROS_TIME);
    manager.read(time, period);
    manager.update(time, period);
    manager.write(time, period);
    if (cycle % cycles_per_tick == 0) {
      message.clock = time;
      publisher.try_publish(message);
    }
    const double pace = factor();
    if (paced != (pace > 0.0)) {
      paced = pace > 0.0;
      paced ? ask_for_real_time(manager.get_logger()) : leave_real_time();
    }
    if (paced) {
      wake_up += nanoseconds(std::llround(static_cast<double>(period.count()) / pace));
      if (steady_clock::now() > wake_up + kPatience) {
        wake_up = steady_clock::now();
      }
      std::this_thread::sleep_until(wake_up);
    } else {
      wake_up = steady_clock::now();
    }
  }
}

}  // namespace
}  // namespace serl_sim

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::NodeOptions options = controller_manager::get_cm_node_options();
  // The manager hands its own arguments to its controllers, and not those of the process.
  const auto ros_arguments = std::find(argv, argv + argc, std::string("--ros-args"));
  options.arguments(std::vector<std::string>(ros_arguments, argv + argc));
  options.append_parameter_override("use_sim_time", true);

  const auto executor = std::make_shared<rclcpp::executors::MultiThreadedExecutor>();
  const auto manager =
    std::make_shared<controller_manager::ControllerManager>(executor, "controller_manager", "", options);
  int status = 0;
  try {
    const serl_sim::RealTimeFactor factor(*manager);
    serl_sim::SimulatedClock clock(*manager);
    realtime_tools::RealtimePublisher<rosgraph_msgs::msg::Clock> publisher(
      manager->create_publisher<rosgraph_msgs::msg::Clock>("/clock", rclcpp::ClockQoS()));
    std::thread thread([&] { serl_sim::loop(*manager, clock, factor, publisher); });
    executor->add_node(manager);
    executor->spin();  // until SIGINT or SIGTERM, on which the manager takes down controllers and hardware
    thread.join();
  } catch (const std::exception & error) {
    RCLCPP_FATAL(manager->get_logger(), "%s", error.what());
    status = 1;
  }
  rclcpp::shutdown();
  return status;
}
