// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__IMPEDANCE_GAINS_HPP_
#define SERL_CONTROLLERS__IMPEDANCE_GAINS_HPP_

#include <string_view>

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// Everything about CartesianImpedanceLaw that may be tuned, as plain data that can be copied between threads.
///
/// Six-vectors are on the axes of the base frame, linear part first. The defaults are zero gains and limits:
/// start from a preset.
struct ImpedanceGains
{
  Vector6 stiffness = Vector6::Zero();        ///< k_p [N/m, Nm/rad], ≥ 0
  Vector6 damping = Vector6::Zero();          ///< k_d [N s/m, Nm s/rad], ≥ 0
  Vector6 error_min = Vector6::Zero();        ///< lower limit of each axis of the pose error [m, rad], ≤ 0
  Vector6 error_max = Vector6::Zero();        ///< upper limit of each axis of the pose error [m, rad], ≥ 0
  Vector6 integral_gain = Vector6::Zero();    ///< k_i [N/(m s), Nm/(rad s)], ≥ 0
  Vector6 integral_limit = Vector6::Zero();   ///< largest integral wrench [N, Nm], ≥ 0; 0 switches it off
  double nullspace_stiffness = 0.0;           ///< [Nm/rad], ≥ 0
  double nullspace_damping = 0.0;             ///< [Nm s/rad], ≥ 0
  double target_time_constant = 0.0;          ///< of the smoothed target [s], ≥ 0; 0 is no smoothing
  double gain_time_constant = 0.0;            ///< of gains that glide to new values [s], ≥ 0; 0 is at once
  Vector7 max_torque = Vector7::Zero();       ///< largest torque of each joint [Nm], > 0
  Vector7 max_torque_rate = Vector7::Zero();  ///< fastest change of it [Nm/s], > 0

  /// For contact: an axis cannot push with more than about 20 N or turn with more than 7.5 Nm.
  ///
  /// Stiffness and damping as in the mode of that name of the papers' robots; torque limits of a Franka FR3.
  static ImpedanceGains compliant() noexcept;

  /// For free space and resets: stiffer in rotation, wider error limits (up to 100 N), so faster and more exact.
  static ImpedanceGains precise() noexcept;

  /// The same without spring and integral, with `new_damping` [N s/m, Nm s/rad]: for a commanded wrench alone
  /// (HIL-SERL D.2). Smoothing is off, so that the reference stays with a target at the measured pose.
  ImpedanceGains without_spring(const Vector6 & new_damping) const noexcept;

  /// Why these gains cannot be used, or an empty string when they can. Every number must be finite and
  /// within the range stated at its field. The text is static: nothing is allocated.
  std::string_view validate() const noexcept;

  /// Move stiffness, damping, error limits, integral and null-space gains by `fraction` of the way to those
  /// of `goal`; take over time constants and torque limits at once.
  void glide_towards(const ImpedanceGains & goal, double fraction) noexcept;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__IMPEDANCE_GAINS_HPP_
