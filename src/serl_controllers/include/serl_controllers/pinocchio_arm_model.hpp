// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__PINOCCHIO_ARM_MODEL_HPP_
#define SERL_CONTROLLERS__PINOCCHIO_ARM_MODEL_HPP_

#include <memory>
#include <string>
#include <vector>

#include "serl_controllers/arm_model.hpp"

namespace serl_controllers
{

/// Any arm with a URDF, by Pinocchio: forward kinematics, Jacobian at E on base axes, Coriolis torques by
/// recursive Newton-Euler without gravity.
///
/// Joints of the description that are not the arm's (fingers, a carriage) are locked at their neutral position,
/// and their bodies' inertia goes to the body that carries them. Gravity points along -z of the root.
class PinocchioArmModel : public ArmModel
{
public:
  /// Throws std::invalid_argument if the description cannot be read, has not these joints or frames, or the
  /// base frame moves with them.
  PinocchioArmModel(
    const std::string & robot_description, const std::vector<std::string> & joints,
    const std::string & base_frame, const std::string & tcp_frame, bool compensate_gravity = false);
  ~PinocchioArmModel() override;

  void update(RobotState & state) noexcept override;
  const Vector7 & gravity() const noexcept override;

private:
  struct Implementation;  // keeps Pinocchio's headers, slow to compile, out of this one
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__PINOCCHIO_ARM_MODEL_HPP_
