// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__FRANKA_ARM_MODEL_HPP_
#define SERL_CONTROLLERS__FRANKA_ARM_MODEL_HPP_

#include <string>
#include <vector>

#include <franka_semantic_components/franka_robot_model.hpp>

#include "serl_controllers/arm_model.hpp"

namespace serl_controllers
{

/// A Franka, by the model that the robot itself sends to franka_ros2: B is the arm's link 0, E the end effector
/// set at the robot, with the load set there. The robot compensates gravity, so none is known here.
class FrankaArmModel : public ArmModel
{
public:
  /// `arm` is the name that prefixes the hardware's interfaces, such as "fr3".
  explicit FrankaArmModel(const std::string & arm);

  std::vector<std::string> state_interfaces() const override { return names_; }
  void assign(std::vector<hardware_interface::LoanedStateInterface> & interfaces) override;
  void release() override;
  void update(RobotState & state) noexcept override;
  const Vector7 & gravity() const noexcept override { return gravity_; }

private:
  const std::vector<std::string> names_;
  franka_semantic_components::FrankaRobotModel robot_;
  const Vector7 gravity_ = Vector7::Zero();
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__FRANKA_ARM_MODEL_HPP_
