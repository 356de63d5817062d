// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/arm_model.hpp"

#include <stdexcept>

#ifdef SERL_CONTROLLERS_WITH_PINOCCHIO
#include "serl_controllers/pinocchio_arm_model.hpp"
#endif
#ifdef SERL_CONTROLLERS_WITH_FRANKA
#include "serl_controllers/franka_arm_model.hpp"
#endif

namespace serl_controllers
{

std::unique_ptr<ArmModel> make_arm_model(const ArmModelOptions & options)
{
#ifdef SERL_CONTROLLERS_WITH_PINOCCHIO
  if (options.source == "pinocchio") {
    return std::make_unique<PinocchioArmModel>(
      options.robot_description, options.joints, options.base_frame, options.tcp_frame,
      options.compensate_gravity);
  }
#endif
#ifdef SERL_CONTROLLERS_WITH_FRANKA
  if (options.source == "franka") {
    if (options.compensate_gravity) {
      throw std::invalid_argument(
        "model.compensate_gravity needs model.source pinocchio: a Franka does so itself");
    }
    return std::make_unique<FrankaArmModel>(options.franka_arm);
  }
#endif
  throw std::invalid_argument(
    "model source '" + options.source +
    "' is not in this build: install pinocchio or franka_ros2 and build anew");
}

}  // namespace serl_controllers
