// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__ARM_MODEL_HPP_
#define SERL_CONTROLLERS__ARM_MODEL_HPP_

#include <memory>
#include <string>
#include <vector>

#include "serl_controllers/cartesian_impedance_law.hpp"

namespace hardware_interface
{
class LoanedStateInterface;
}  // namespace hardware_interface

namespace serl_controllers
{

/// Kinematics and dynamics of an arm of kJoints joints, from whatever source.
class ArmModel
{
public:
  virtual ~ArmModel() = default;

  /// State interfaces that the source reads, besides those of the joints.
  virtual std::vector<std::string> state_interfaces() const { return {}; }

  /// Lend it these interfaces, which have those names, until release().
  virtual void assign(std::vector<hardware_interface::LoanedStateInterface> &) {}

  /// Give the interfaces back.
  virtual void release() {}

  /// Fill in coriolis, X_BE and J_BE for the q and dq of `state`; not finite where they are not known.
  /// Neither allocates nor blocks.
  virtual void update(RobotState & state) noexcept = 0;

  /// Torques to add that balance gravity at the last q that was finite [Nm]; zero for an arm that does so itself.
  virtual const Vector7 & gravity() const noexcept = 0;
};

/// Which model to make.
struct ArmModelOptions
{
  std::string source;               ///< "pinocchio" or "franka"
  std::vector<std::string> joints;  ///< base to flange
  std::string base_frame;           ///< B; empty: the root of the robot description
  std::string tcp_frame;            ///< E; empty: the last joint's frame
  std::string robot_description;    ///< URDF, for "pinocchio"
  bool compensate_gravity = false;  ///< for an arm that does not balance gravity itself; "pinocchio" only
  std::string franka_arm;           ///< name of the arm that prefixes its interfaces, for "franka"
};

/// Make the model. Throws std::invalid_argument with a one-line cause and remedy.
std::unique_ptr<ArmModel> make_arm_model(const ArmModelOptions & options);

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__ARM_MODEL_HPP_
