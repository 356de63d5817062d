// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_LAW_HPP_
#define SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_LAW_HPP_

#include <cstdint>
#include <string_view>

#include "serl_controllers/impedance_gains.hpp"
#include "serl_controllers/reference_filter.hpp"
#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// What the robot measured in this cycle. E is the point that is controlled, B the base frame.
struct RobotState
{
  Vector7 q = Vector7::Zero();         ///< joint positions [rad]
  Vector7 dq = Vector7::Zero();        ///< joint velocities [rad/s]
  Vector7 coriolis = Vector7::Zero();  ///< Coriolis and centrifugal torques [Nm]; gravity is not among them
  Pose X_BE;                           ///< pose of E in B
  Jacobian J_BE = Jacobian::Zero();    ///< J_BE dq = V_BE, velocity of E and angular velocity, base axes
};

/// What is asked of the arm in this cycle.
struct Command
{
  Pose X_BE_target;                        ///< commanded pose of E in B
  Vector6 feed_forward = Vector6::Zero();  ///< wrench to add, at E, base axes [N, Nm]
  Vector7 q_nullspace = Vector7::Zero();   ///< posture that the null-space task pulls to [rad]
};

/// Bits of Output::flags.
enum Flag : std::uint32_t
{
  kErrorClipped = 1u << 0,          ///< reference limiting is at work
  kDampingClamped = 1u << 1,        ///< the damping wrench was at its bound
  kTorqueSaturated = 1u << 2,       ///< a joint was at max_torque
  kTorqueRateLimited = 1u << 3,     ///< a joint was at max_torque_rate
  kHeldNonFiniteTarget = 1u << 4,   ///< the target had a NaN or infinity: smoothed target held
  kHeldBadQuaternion = 1u << 5,     ///< the target's quaternion had not unit length: smoothed target held
  kIgnoredFeedForward = 1u << 6,    ///< the feed-forward wrench was not finite: taken as zero
  kHeldNullspacePosture = 1u << 7,  ///< q_nullspace was not finite: the last good one used
  kBadState = 1u << 8,  ///< the state (or a torque made from it) was not finite, or its quaternion not unit
  kBadTimeStep = 1u << 9,  ///< dt was not finite or not positive: nothing was done
  kNotReset = 1u << 10,    ///< update() before a successful reset(): zero torque
};

/// What one cycle made, with everything that a plot of the paper's Fig. 5 needs. In a cycle with a bad state
/// the targets and errors are those of the last good one.
struct Output
{
  Vector7 torque = Vector7::Zero();            ///< to command, without gravity [Nm]
  Vector7 task_torque = Vector7::Zero();       ///< J_BEᵀ wrench, before any torque limit [Nm]
  Vector7 nullspace_torque = Vector7::Zero();  ///< before any torque limit [Nm]
  Pose X_BE_commanded;                         ///< target as commanded (the held one when it was bad)
  Pose X_BE_smoothed;                          ///< target after smoothing
  Pose X_BE_clipped;                           ///< target after reference limiting
  Vector6 error = Vector6::Zero();             ///< smoothed target - measured pose, base axes [m, rad]
  Vector6 clipped_error = Vector6::Zero();     ///< clipped target - measured pose, base axes [m, rad]
  Vector6 integral_wrench = Vector6::Zero();   ///< part of wrench that comes from the integral [N, Nm]
  Vector6 wrench = Vector6::Zero();            ///< asked for at E, base axes, feed-forward included [N, Nm]
  std::uint32_t flags = 0;                     ///< union of Flag bits
};

/// Cartesian impedance with reference limiting (SERL IV-E, HIL-SERL D.2), the law itself:
///
///   x_s  ← x_s + (1 - e^(-dt/T)) (x_c - x_s)           smoothed target from commanded target x_c
///   e    = x_s - x                                     pose error, base axes; rotation as rotation vector
///   e_c  = min(max(e, e_min), e_max)                   reference limiting, axis by axis
///   x_cl = x + e_c                                     clipped target
///   F_d  = clamp(-k_d V, ± k_d (e_max - e_min) / dt)   damping
///   F_i  ← clamp(F_i + k_i e_c dt, ± integral_limit)   integral, kept as a wrench
///   F    = k_p e_c + F_d + F_i + F_ff                  wrench at E, base axes
///   τ    = Jᵀ F + τ_null + τ_coriolis                  see nullspace_task.hpp for τ_null
///   τ_cmd = rate_limit(saturate(τ, ± max_torque), ± max_torque_rate dt)
///
/// where x is the measured pose X_BE, V = J_BE dq the measured twist of E, and k_p, k_d, k_i, e_min, e_max
/// the gains in force, which glide to the ones set with the time constant gain_time_constant.
///
/// Sign: the papers write e = p - p_ref and leave the signs of the gains open. Here e points to the target.
///
/// Frame of the limits: the base frame, because the Jacobian and the feed-forward wrench are on its axes. The
/// force bound then holds on the very axes that the limits are given on. In tcp axes a turn of the
/// hand would mix the limits of a stiff and a soft direction, and what the arm may press on a board that is
/// fixed to the table would change with the hand.
///
/// Force bound: on each axis |F - F_i - F_ff| ≤ k_p |Δ| + 2 k_d |Δ| f with f = 1 / dt and
/// |Δ| = max(-e_min, e_max), in every state. With the papers' e_dot, a finite difference of the clipped error, the
/// second term follows by itself: that error changes by at most e_max - e_min in a cycle. But that
/// e_dot is zero for as long as the error is clipped, that is, there is no damping in fast motion and in hard
/// contact, where it is needed most. So e_dot is -V here, the motion measured, and the bound is kept by the
/// clamp, which needs about 20 m/s to be reached at 1 kHz with a limit of 1 cm. It also follows that an arm held at
/// rest by what it touches presses with k_p |Δ| at most, however the target moves.
///
/// Free space: clipping leaves the arm as fast as it would be for as long as the error stays inside the limits. A
/// clipped target can lead by |Δ| in each cycle, so limits cost nothing up to |a|max = M |Δ| in a block
/// of M cycles if the gains bring E to the clipped target within a cycle. With softer gains E moves at
/// k_p |Δ| / k_d at most (0.22 m/s for compliant()), since damping resists all motion; the cost-free action
/// is then min(M |Δ|, M dt k_p |Δ| / k_d).
///
/// Bad input is never passed on: see Flag. With a bad state the torque goes to zero (the arm floats in its
/// gravity compensation) at max_torque_rate, and the smoothed target and the integral stay; with the next
/// good state it goes on from there, within the same rate.
///
/// Limits: max_torque is lowered at once but the torque follows at max_torque_rate only, so it can be above
/// the new value for some cycles. There is no inertia shaping.
///
/// No function allocates, locks, throws or logs. One thread at a time may use an object.
class CartesianImpedanceLaw
{
public:
  /// Gains are ImpedanceGains::compliant() until set.
  CartesianImpedanceLaw() noexcept;

  /// Start from rest at the measured state: reference at X_BE, integral zero, gains at those set, previous
  /// torque at the Coriolis torque (within max_torque).
  ///
  /// Returns false, and stays as it was, if the state is not finite or its quaternion not of unit length.
  bool reset(const RobotState & state) noexcept;

  /// The same, but with `torque` [Nm] (within max_torque) as the previous one: what another controller commanded
  /// last, so that taking over from it makes no step. The Coriolis torque stands in where it is not finite.
  bool reset(const RobotState & state, const Vector7 & torque) noexcept;

  /// Gains to glide to. Returns why they were refused (see ImpedanceGains::validate); empty if taken.
  [[nodiscard]] std::string_view set_gains(const ImpedanceGains & gains) noexcept;

  /// The gains last set.
  const ImpedanceGains & gains() const noexcept { return goal_; }

  /// The gains in force in the last cycle, on their way to gains().
  const ImpedanceGains & active_gains() const noexcept { return active_; }

  /// One control cycle of dt [s]. The result is valid until the next call.
  const Output & update(const RobotState & state, const Command & command, double dt) noexcept;

  /// The result of the last cycle or reset.
  const Output & output() const noexcept { return output_; }

private:
  const Output & relax(double dt) noexcept;

  ImpedanceGains goal_;
  ImpedanceGains active_;
  ReferenceFilter filter_;
  Vector6 integral_wrench_ = Vector6::Zero();
  Vector7 q_nullspace_ = Vector7::Zero();
  Output output_;
  bool is_reset_ = false;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__CARTESIAN_IMPEDANCE_LAW_HPP_
