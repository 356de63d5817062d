// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef RANDOM_INPUTS_HPP_
#define RANDOM_INPUTS_HPP_

#include <random>

#include "serl_controllers/cartesian_impedance_law.hpp"

namespace serl_controllers
{

/// Seeded source of states, commands and gains for property tests.
class RandomInputs
{
public:
  explicit RandomInputs(unsigned seed) : generator_(seed) {}

  double uniform(double low, double high)
  {
    return std::uniform_real_distribution<double>(low, high)(generator_);
  }

  /// Vector of type V with elements in [low, high].
  template <typename V>
  V vector(double low, double high)
  {
    return V::NullaryExpr([&](Eigen::Index) { return uniform(low, high); });
  }

  /// Any orientation, both signs of the quaternion alike.
  Eigen::Quaterniond orientation()
  {
    std::normal_distribution<double> normal;
    return Eigen::Quaterniond(normal(generator_), normal(generator_), normal(generator_), normal(generator_))
      .normalized();
  }

  Pose pose(double reach) { return Pose{vector<Eigen::Vector3d>(-reach, reach), orientation()}; }

  RobotState state(double max_speed)
  {
    RobotState state;
    state.q = vector<Vector7>(-3.0, 3.0);
    state.dq = vector<Vector7>(-max_speed, max_speed);
    state.coriolis = vector<Vector7>(-2.0, 2.0);
    state.X_BE = pose(1.0);
    state.J_BE = Jacobian::NullaryExpr([&](Eigen::Index, Eigen::Index) { return uniform(-1.0, 1.0); });
    return state;
  }

  Command command()
  {
    Command command;
    command.X_BE_target = pose(1.0);
    command.feed_forward = vector<Vector6>(-10.0, 10.0);
    command.q_nullspace = vector<Vector7>(-3.0, 3.0);
    return command;
  }

  ImpedanceGains gains()
  {
    ImpedanceGains gains = ImpedanceGains::compliant();
    gains.stiffness = vector<Vector6>(0.0, 3000.0);
    gains.damping = vector<Vector6>(0.0, 100.0);
    gains.error_min = vector<Vector6>(-0.05, 0.0);
    gains.error_max = vector<Vector6>(0.0, 0.05);
    gains.integral_gain = vector<Vector6>(0.0, 500.0);
    gains.integral_limit = vector<Vector6>(0.0, 5.0);
    gains.nullspace_stiffness = uniform(0.0, 20.0);
    gains.nullspace_damping = uniform(0.0, 5.0);
    gains.target_time_constant = uniform(0.0, 0.2);
    gains.gain_time_constant = uniform(0.0, 0.2);
    gains.max_torque = vector<Vector7>(5.0, 100.0);
    gains.max_torque_rate = vector<Vector7>(100.0, 2000.0);
    return gains;
  }

private:
  std::mt19937 generator_;
};

}  // namespace serl_controllers

#endif  // RANDOM_INPUTS_HPP_
