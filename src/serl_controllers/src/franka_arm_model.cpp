// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/franka_arm_model.hpp"

#include <exception>
#include <limits>

namespace serl_controllers
{

FrankaArmModel::FrankaArmModel(const std::string & arm)
: names_{arm + "/robot_model", arm + "/robot_state"}, robot_(names_[0], names_[1])
{
}

void FrankaArmModel::assign(std::vector<hardware_interface::LoanedStateInterface> & interfaces)
{
  robot_.assign_loaned_state_interfaces(interfaces);
}

void FrankaArmModel::release()
{
  robot_.release_interfaces();
}

void FrankaArmModel::update(RobotState & state) noexcept
{
  try {
    const auto X_BE = robot_.getPoseMatrix(franka::Frame::kEndEffector);
    const auto J_BE = robot_.getZeroJacobian(franka::Frame::kEndEffector);
    const auto coriolis = robot_.getCoriolisForceVector();
    const Eigen::Map<const Eigen::Matrix4d> matrix(X_BE.data());
    state.X_BE.position = matrix.topRightCorner<3, 1>();
    state.X_BE.orientation = Eigen::Quaterniond(Eigen::Matrix3d(matrix.topLeftCorner<3, 3>()));
    state.J_BE = Eigen::Map<const Jacobian>(J_BE.data());
    state.coriolis = Eigen::Map<const Vector7>(coriolis.data());
  } catch (const std::exception &) {  // the interfaces were not there; the law takes NaN for what it is
    state.coriolis.setConstant(std::numeric_limits<double>::quiet_NaN());
  }
}

}  // namespace serl_controllers
