// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/pinocchio_arm_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/parsers/urdf.hpp>

namespace serl_controllers
{
namespace
{

pinocchio::Model read(const std::string & robot_description)
{
  if (robot_description.empty()) {
    throw std::invalid_argument(
      "the robot description is empty: publish ~/robot_description to the controller manager");
  }
  pinocchio::Model model;
  try {
    pinocchio::urdf::buildModelFromXML(robot_description, model);
  } catch (const std::exception & error) {
    throw std::invalid_argument(std::string("the robot description is not a URDF: ") + error.what());
  }
  return model;
}

/// The model with every joint but these locked at its neutral position.
pinocchio::Model reduce(const pinocchio::Model & whole, const std::vector<std::string> & joints)
{
  if (joints.size() != kJoints) {
    throw std::invalid_argument("the model needs 7 joints, not " + std::to_string(joints.size()));
  }
  for (const std::string & name : joints) {
    if (!whole.existJointName(name) || whole.joints[whole.getJointId(name)].nv() != 1) {
      throw std::invalid_argument("'" + name + "' is not a joint of one axis in the robot description");
    }
  }
  std::vector<pinocchio::JointIndex> locked;
  for (pinocchio::JointIndex id = 1; id < static_cast<pinocchio::JointIndex>(whole.njoints); ++id) {
    if (std::find(joints.begin(), joints.end(), whole.names[id]) == joints.end()) {
      locked.push_back(id);
    }
  }
  return pinocchio::buildReducedModel(whole, locked, pinocchio::neutral(whole));
}

pinocchio::FrameIndex find_frame(const pinocchio::Model & model, const std::string & name)
{
  if (!model.existFrame(name)) {
    throw std::invalid_argument(
      "the robot description has no frame '" + name + "': see frames.base and frames.tcp");
  }
  return model.getFrameId(name);
}

}  // namespace

struct PinocchioArmModel::Implementation
{
  explicit Implementation(pinocchio::Model arm)
  : model(std::move(arm)), without_gravity(model), data(model), dynamics(model)
  {
    without_gravity.gravity.setZero();
  }

  pinocchio::Model model, without_gravity;
  pinocchio::Data data;      // of the kinematics, and of gravity
  pinocchio::Data dynamics;  // of the Coriolis torques
  pinocchio::FrameIndex base = 0, tcp = 0;
  std::array<pinocchio::JointIndex, kJoints> joints{};
  Eigen::VectorXd q, dq;
  pinocchio::Data::Matrix6x J_world;
  bool compensates_gravity = false;
  Vector7 gravity = Vector7::Zero();
};

PinocchioArmModel::PinocchioArmModel(
  const std::string & robot_description, const std::vector<std::string> & joints,
  const std::string & base_frame, const std::string & tcp_frame, bool compensate_gravity)
: implementation_(std::make_unique<Implementation>(reduce(read(robot_description), joints)))
{
  Implementation & arm = *implementation_;
  for (int i = 0; i < kJoints; ++i) {
    arm.joints[i] = arm.model.getJointId(joints[i]);
  }
  arm.base = base_frame.empty() ? 0 : find_frame(arm.model, base_frame);
  arm.tcp = find_frame(arm.model, tcp_frame.empty() ? joints.back() : tcp_frame);
  if (arm.model.frames[arm.base].parentJoint != 0) {
    throw std::invalid_argument(
      "frame '" + base_frame + "' moves with the arm: name a fixed one in frames.base");
  }
  arm.compensates_gravity = compensate_gravity;
  arm.q = pinocchio::neutral(arm.model);
  arm.dq = Eigen::VectorXd::Zero(arm.model.nv);
  arm.J_world = pinocchio::Data::Matrix6x::Zero(6, arm.model.nv);
}

PinocchioArmModel::~PinocchioArmModel() = default;

void PinocchioArmModel::update(RobotState & state) noexcept
{
  Implementation & arm = *implementation_;
  for (int i = 0; i < kJoints; ++i) {
    const auto & joint = arm.model.joints[arm.joints[i]];
    if (joint.nq() == 1) {
      arm.q[joint.idx_q()] = state.q[i];
    } else {  // a joint without limits is kept as cosine and sine
      arm.q[joint.idx_q()] = std::cos(state.q[i]);
      arm.q[joint.idx_q() + 1] = std::sin(state.q[i]);
    }
    arm.dq[joint.idx_v()] = state.dq[i];
  }
  pinocchio::computeJointJacobians(arm.model, arm.data, arm.q);
  const pinocchio::SE3 & X_WB = pinocchio::updateFramePlacement(arm.model, arm.data, arm.base);
  const pinocchio::SE3 & X_WE = pinocchio::updateFramePlacement(arm.model, arm.data, arm.tcp);
  pinocchio::getFrameJacobian(arm.model, arm.data, arm.tcp, pinocchio::LOCAL_WORLD_ALIGNED, arm.J_world);
  pinocchio::nonLinearEffects(arm.without_gravity, arm.dynamics, arm.q, arm.dq);

  const Eigen::Matrix3d R_BW = X_WB.rotation().transpose();
  state.X_BE.position = R_BW * (X_WE.translation() - X_WB.translation());
  state.X_BE.orientation = Eigen::Quaterniond(Eigen::Matrix3d(R_BW * X_WE.rotation()));
  for (int i = 0; i < kJoints; ++i) {
    const auto column = arm.model.joints[arm.joints[i]].idx_v();
    state.J_BE.col(i).head<3>() = R_BW * arm.J_world.col(column).head<3>();
    state.J_BE.col(i).tail<3>() = R_BW * arm.J_world.col(column).tail<3>();
    state.coriolis[i] = arm.dynamics.nle[column];
  }
  if (arm.compensates_gravity && state.q.allFinite()) {
    pinocchio::computeGeneralizedGravity(arm.model, arm.data, arm.q);
    for (int i = 0; i < kJoints; ++i) {
      arm.gravity[i] = arm.data.g[arm.model.joints[arm.joints[i]].idx_v()];
    }
  }
}

const Vector7 & PinocchioArmModel::gravity() const noexcept
{
  return implementation_->gravity;
}

}  // namespace serl_controllers
