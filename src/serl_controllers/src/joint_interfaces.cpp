// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/joint_interfaces.hpp"

#include <tuple>

#include <hardware_interface/types/hardware_interface_type_values.hpp>

namespace serl_controllers
{

std::vector<std::string> effort_interfaces(const std::vector<std::string> & joints)
{
  std::vector<std::string> names;
  for (const std::string & joint : joints) {
    names.push_back(joint + "/" + hardware_interface::HW_IF_EFFORT);
  }
  return names;
}

std::vector<std::string> motion_interfaces(const std::vector<std::string> & joints)
{
  std::vector<std::string> names;
  for (const char * interface : {hardware_interface::HW_IF_POSITION, hardware_interface::HW_IF_VELOCITY}) {
    for (const std::string & joint : joints) {
      names.push_back(joint + "/" + interface);
    }
  }
  return names;
}

void command_torques(
  std::vector<hardware_interface::LoanedCommandInterface> & loaned, const Vector7 & torque) noexcept
{
  for (int i = 0; i < kJoints; ++i) {
    std::ignore = loaned[i].set_value(torque[i]);
  }
}

}  // namespace serl_controllers
