// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef REAL_TIME_HPP_
#define REAL_TIME_HPP_

#include <sched.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "rclcpp/logging.hpp"
#include "realtime_tools/realtime_helpers.hpp"

namespace serl_sim
{

constexpr int kLoopPriority = 50;  // that of ros2_control_node

/// Ask for memory that is never paged out, and for real-time priority of the calling thread. Where the system does not
/// permit it, say so and go on: a simulation does not need it, a measurement of jitter does.
inline void ask_for_real_time(const rclcpp::Logger & logger, int priority = kLoopPriority)
{
  if (const auto locked = realtime_tools::lock_memory(); !locked.first) {
    RCLCPP_INFO(logger, "memory is not locked: %s", locked.second.c_str());
  }
  if (realtime_tools::configure_sched_fifo(priority)) {
    RCLCPP_INFO(logger, "the control loop runs with real-time priority %d", priority);
  } else {
    RCLCPP_INFO(logger, "the control loop runs without real-time priority: %s", std::strerror(errno));
  }
}

/// Give real-time priority back: a thread that never sleeps would take a core away from everybody else.
inline void leave_real_time()
{
  const sched_param ordinary{};
  sched_setscheduler(0, SCHED_OTHER, &ordinary);
}

}  // namespace serl_sim

#endif  // REAL_TIME_HPP_
