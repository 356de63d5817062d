// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef UPDATE_WORKLOAD_HPP_
#define UPDATE_WORKLOAD_HPP_

#include <array>
#include <cstddef>
#include <random>

#include "serl_controllers/cartesian_impedance_law.hpp"

namespace serl_controllers
{

/// Inputs to time the law with: a ring of random states about one posture with targets in and out of the error
/// limits, so that neither the branch predictor nor the optimiser knows what comes.
class UpdateWorkload
{
public:
  UpdateWorkload()
  {
    std::mt19937 random(1);
    std::normal_distribution<double> normal;
    const auto draw = [&](auto & values, double scale) {
      for (auto & value : values.reshaped()) {
        value = scale * normal(random);
      }
    };
    Jacobian J_BE_mean;
    draw(J_BE_mean, 0.5);
    for (std::size_t i = 0; i < kSize; ++i) {
      RobotState & state = states_[i];
      Command & command = commands_[i];
      draw(state.q, 1.0);
      draw(state.dq, 0.1);
      draw(state.coriolis, 0.5);
      draw(state.J_BE, 0.01);
      state.J_BE += J_BE_mean;
      draw(state.X_BE.position, 0.005);
      Eigen::Vector4d orientation;
      draw(orientation, 0.05);
      state.X_BE.orientation.coeffs() = orientation + Eigen::Vector4d(1.0, 0.0, 0.0, 0.0);
      state.X_BE.orientation.normalize();
      draw(command.X_BE_target.position, 0.01);
      draw(orientation, 0.05);
      command.X_BE_target.orientation.coeffs() = orientation + Eigen::Vector4d(1.0, 0.0, 0.0, 0.0);
      command.X_BE_target.orientation.normalize();
      command.q_nullspace = state.q;
    }
    law_.reset(states_[0]);
  }

  /// One update of 1 ms; returns a number that depends on it.
  double step() noexcept
  {
    next_ = (next_ + 1) % kSize;
    return law_.update(states_[next_], commands_[next_], 1e-3).torque[0];
  }

private:
  static constexpr std::size_t kSize = 256;
  std::array<RobotState, kSize> states_;
  std::array<Command, kSize> commands_;
  std::size_t next_ = 0;
  CartesianImpedanceLaw law_;
};

}  // namespace serl_controllers

#endif  // UPDATE_WORKLOAD_HPP_
