// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_SIM__ARM_PHYSICS_HPP_
#define SERL_SIM__ARM_PHYSICS_HPP_

#include <mujoco/mujoco.h>

#include <memory>
#include <string>
#include <vector>

#include "serl_controllers/cartesian_impedance_law.hpp"

namespace serl_sim
{

using ModelPtr = std::unique_ptr<mjModel, decltype(&mj_deleteModel)>;

/// Model from the bytes of an MJB file. Throws std::invalid_argument if they are none of this MuJoCo version.
ModelPtr load_model_bytes(const std::string & bytes);

/// Model from a file: MJB, or MJCF if the name ends in .xml. Throws std::invalid_argument with the reason.
ModelPtr load_model_file(const std::string & path);

/// One torque-controlled arm in MuJoCo: what both the embedded host and the ros2_control hardware step.
///
/// The arm is the model's first seven joints, driven by its first seven actuators; those that follow are fingers,
/// open at position 0. E is the tcp site, B the world. Only the constructor throws; of the others, all but
/// joint_name() never allocate. One thread at a time may use an object.
class ArmPhysics
{
public:
  /// Throws std::invalid_argument if the model lacks the site, one of the geoms or seven driven joints.
  ///
  /// The contacts of `tool_geoms` with everything else make the measured wrench.
  ArmPhysics(ModelPtr model, const std::string & tcp_site, const std::vector<std::string> & tool_geoms);

  /// At rest at joint positions q [rad], time zero, wrench and peak force zero. q must be finite.
  void reset(const serl_controllers::Vector7 & q) noexcept;

  /// Send the gripper, if the scene has one that moves, off to close or to open; reset() opens it.
  void close_gripper(bool close) noexcept;

  /// How far all fingers have closed together [m].
  double finger_travel() const noexcept;

  /// Apply joint torques [Nm], on top of gravity compensation, for one time step.
  void step(const serl_controllers::Vector7 & torque) noexcept;

  /// True once MuJoCo has found positions, velocities or accelerations that are not finite or huge. It answers
  /// them by a silent return to its start state, which no controller may mistake for motion. reset() clears it.
  bool diverged() const noexcept;

  /// Forget the peak force so far.
  void clear_peak_force() noexcept { peak_force_ = 0.0; }

  /// State now: everything that the impedance law asks of a robot.
  const serl_controllers::RobotState & state() const noexcept { return state_; }

  /// F_E_B: what contacts do to the tool, about E, base axes [N, Nm], through a first-order low-pass.
  const serl_controllers::Vector6 & wrench() const noexcept { return wrench_; }

  /// Largest norm of the wrench's force since reset() or clear_peak_force() [N].
  double peak_force() const noexcept { return peak_force_; }

  /// Torques that the actuators made in the last step, after their limits [Nm]; zero before the first.
  serl_controllers::Vector7 actuator_torque() const noexcept;

  /// Simulated time since reset() [s].
  double time() const noexcept { return data_->time; }

  /// Duration of a step [s].
  double time_step() const noexcept { return model_->opt.timestep; }

  /// Name of an arm joint, 0 to 6; empty if it has none.
  std::string joint_name(int joint) const;

  /// q brought inside the limits of the joints [rad].
  serl_controllers::Vector7 within_limits(const serl_controllers::Vector7 & q) const noexcept;

  /// Positions of all joints of the model.
  Eigen::Map<const Eigen::VectorXd> qpos() const noexcept { return {data_->qpos, model_->nq}; }

private:
  void read_state() noexcept;
  serl_controllers::Vector6 contact_wrench() const noexcept;

  ModelPtr model_;
  std::unique_ptr<mjData, decltype(&mj_deleteData)> data_{nullptr, &mj_deleteData};
  int site_ = -1;
  std::vector<bool> is_tool_;
  std::vector<mjtNum> jacobian_;
  serl_controllers::RobotState state_;
  serl_controllers::Vector6 wrench_ = serl_controllers::Vector6::Zero();
  double peak_force_ = 0.0;
};

}  // namespace serl_sim

#endif  // SERL_SIM__ARM_PHYSICS_HPP_
