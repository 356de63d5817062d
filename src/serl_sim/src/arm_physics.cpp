// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_sim/arm_physics.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using serl_controllers::kJoints;
using serl_controllers::Vector6;
using serl_controllers::Vector7;

namespace serl_sim
{
namespace
{

// [s] Low-pass of the measured wrench, as an arm's estimate of it has one: the rigid shapes of a scene make impacts
// of a few milliseconds that no real arm, pad and board would show.
constexpr double kWrenchTimeConstant = 0.02;

bool ends_in(const std::string & text, const std::string & end)
{
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

ModelPtr load_model_bytes(const std::string & bytes)
{
  ModelPtr model(mj_loadModelBuffer(bytes.data(), static_cast<mjtSize>(bytes.size())), &mj_deleteModel);
  if (model == nullptr) {
    throw std::invalid_argument("the scene's bytes are no MuJoCo model of this version");
  }
  return model;
}

ModelPtr load_model_file(const std::string & path)
{
  char reason[500] = "it is missing, or was written by another version of MuJoCo";
  ModelPtr model(
    ends_in(path, ".xml") ? mj_loadXML(path.c_str(), nullptr, reason, sizeof(reason))
                          : mj_loadModel(path.c_str(), nullptr),
    &mj_deleteModel);
  if (model == nullptr) {
    throw std::invalid_argument("no MuJoCo model could be read from " + path + ": " + reason);
  }
  return model;
}

ArmPhysics::ArmPhysics(
  ModelPtr model, const std::string & tcp_site, const std::vector<std::string> & tool_geoms)
: model_(std::move(model)), data_(mj_makeData(model_.get()), &mj_deleteData)
{
  site_ = mj_name2id(model_.get(), mjOBJ_SITE, tcp_site.c_str());
  if (site_ < 0 || model_->nv < kJoints || model_->nu < kJoints) {
    throw std::invalid_argument("the scene has no site '" + tcp_site + "' or fewer than seven driven joints");
  }
  for (int j = 0; j < kJoints; ++j) {
    if (model_->jnt_type[j] != mjJNT_HINGE) {
      throw std::invalid_argument("the scene's first seven joints must be hinges");
    }
  }
  is_tool_.assign(model_->ngeom, false);
  for (const auto & name : tool_geoms) {
    const int id = mj_name2id(model_.get(), mjOBJ_GEOM, name.c_str());
    if (id < 0) {
      throw std::invalid_argument("the scene has no geom '" + name + "'");
    }
    is_tool_[id] = true;
  }
  jacobian_.assign(6 * model_->nv, 0.0);
}

void ArmPhysics::reset(const Vector7 & q) noexcept
{
  mj_resetData(model_.get(), data_.get());
  std::copy_n(q.data(), kJoints, data_->qpos);
  mj_step1(model_.get(), data_.get());
  wrench_.setZero();
  peak_force_ = 0.0;
  read_state();
}

void ArmPhysics::close_gripper(bool close) noexcept
{
  for (int i = kJoints; i < model_->nu; ++i) {
    data_->ctrl[i] = close ? model_->actuator_ctrlrange[2 * i + 1] : 0.0;
  }
}

double ArmPhysics::finger_travel() const noexcept
{
  double sum = 0.0;
  for (int i = kJoints; i < model_->nu; ++i) {
    sum += data_->actuator_length[i];
  }
  return sum;
}

void ArmPhysics::step(const Vector7 & torque) noexcept
{
  std::copy_n(torque.data(), kJoints, data_->ctrl);
  mj_step2(model_.get(), data_.get());
  const Vector6 contact = contact_wrench();  // its contacts are overwritten by the next line
  mj_step1(model_.get(), data_.get());       // everything that depends on the state just reached
  read_state();
  wrench_ += (1.0 - std::exp(-time_step() / kWrenchTimeConstant)) * (contact - wrench_);
  peak_force_ = std::max(peak_force_, wrench_.head<3>().norm());
}

bool ArmPhysics::diverged() const noexcept
{
  for (const int warning : {mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC}) {
    if (data_->warning[warning].number > 0) {
      return true;
    }
  }
  return false;
}

std::string ArmPhysics::joint_name(int joint) const
{
  const char * name = mj_id2name(model_.get(), mjOBJ_JOINT, joint);
  return name == nullptr ? "" : name;
}

Vector7 ArmPhysics::actuator_torque() const noexcept
{
  return Eigen::Map<const Vector7>(data_->qfrc_actuator);
}

Vector7 ArmPhysics::within_limits(const Vector7 & q) const noexcept
{
  Vector7 inside = q;
  for (int j = 0; j < kJoints; ++j) {
    if (model_->jnt_limited[j]) {
      inside[j] = std::clamp(q[j], model_->jnt_range[2 * j], model_->jnt_range[2 * j + 1]);
    }
  }
  return inside;
}

void ArmPhysics::read_state() noexcept
{
  std::copy_n(data_->qpos, kJoints, state_.q.data());
  std::copy_n(data_->qvel, kJoints, state_.dq.data());
  for (int j = 0; j < kJoints; ++j) {
    // What is left of the bias without gravity, which every body compensates.
    state_.coriolis[j] = data_->qfrc_bias[j] - data_->qfrc_gravcomp[j];
  }
  const int nv = model_->nv;
  mj_jacSite(model_.get(), data_.get(), jacobian_.data(), jacobian_.data() + 3 * nv, site_);
  for (int row = 0; row < 6; ++row) {
    for (int j = 0; j < kJoints; ++j) {
      state_.J_BE(row, j) = jacobian_[row * nv + j];
    }
  }
  state_.X_BE.position = Eigen::Map<const Eigen::Vector3d>(data_->site_xpos + 3 * site_);
  mjtNum q[4];
  mju_mat2Quat(q, data_->site_xmat + 9 * site_);
  state_.X_BE.orientation = Eigen::Quaterniond(q[0], q[1], q[2], q[3]);
}

/// Sum of the contact forces on the tool, about E.
Vector6 ArmPhysics::contact_wrench() const noexcept
{
  Vector6 sum = Vector6::Zero();
  for (int i = 0; i < data_->ncon; ++i) {
    const mjContact & contact = data_->contact[i];
    const bool first = is_tool_[contact.geom[0]], second = is_tool_[contact.geom[1]];
    if (first == second) {
      continue;
    }
    mjtNum local[6];
    mj_contactForce(model_.get(), data_.get(), i, local);
    const Eigen::Matrix<double, 3, 3, Eigen::RowMajor> frame(contact.frame);
    // MuJoCo's contact force acts on the second geom.
    const double sign = second ? 1.0 : -1.0;
    const Eigen::Vector3d force = sign * frame.transpose() * Eigen::Vector3d(local[0], local[1], local[2]);
    const Eigen::Vector3d torque = sign * frame.transpose() * Eigen::Vector3d(local[3], local[4], local[5]);
    const Eigen::Vector3d arm = Eigen::Vector3d(contact.pos) - state_.X_BE.position;
    sum.head<3>() += force;
    sum.tail<3>() += torque + arm.cross(force);
  }
  return sum;
}

}  // namespace serl_sim
