// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__JOINT_INTERFACES_HPP_
#define SERL_CONTROLLERS__JOINT_INTERFACES_HPP_

#include <limits>
#include <string>
#include <vector>

#include <hardware_interface/loaned_command_interface.hpp>
#include <hardware_interface/loaned_state_interface.hpp>

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Names of the effort interface of each joint.
std::vector<std::string> effort_interfaces(const std::vector<std::string> & joints);

/// Names of the position interface of each joint, then of the velocity interface of each.
std::vector<std::string> motion_interfaces(const std::vector<std::string> & joints);

/// The first of `names` that `loaned`, in the same order, does not have; empty if it has them all.
template <typename Loaned>
std::string missing_interface(const std::vector<Loaned> & loaned, const std::vector<std::string> & names)
{
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i >= loaned.size() || loaned[i].get_name() != names[i]) {
      return names[i];
    }
  }
  return {};
}

/// The values of kJoints interfaces from `first` on; NaN where one cannot be read in this cycle. Does not block.
template <typename Loaned>
Vector7 read_joints(const std::vector<Loaned> & loaned, std::size_t first) noexcept
{
  Vector7 values;
  for (int i = 0; i < kJoints; ++i) {
    values[i] = loaned[first + i].get_optional().value_or(std::numeric_limits<double>::quiet_NaN());
  }
  return values;
}

/// Command these torques [Nm]. Does not block: a joint whose interface is taken keeps its torque for this cycle.
void command_torques(
  std::vector<hardware_interface::LoanedCommandInterface> & loaned, const Vector7 & torque) noexcept;

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__JOINT_INTERFACES_HPP_
