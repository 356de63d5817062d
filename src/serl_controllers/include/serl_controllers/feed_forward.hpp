// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__FEED_FORWARD_HPP_
#define SERL_CONTROLLERS__FEED_FORWARD_HPP_

#include "serl_controllers/types.hpp"

namespace serl_controllers
{

/// What a feed-forward wrench must keep to.
struct FeedForwardLimits
{
  double timeout = 0.2;                  ///< how long a wrench holds without a new one [s], > 0
  Vector6 max_wrench = Vector6::Zero();  ///< of each axis it is given on [N, Nm], ≥ 0; 0 leaves the axis out
};

/// Commanded wrench at E (HIL-SERL D.2), open loop, with a time-out.
class FeedForward
{
public:
  /// No wrench until set.
  void reset() noexcept;

  /// A wrench at E [N, Nm], on base axes or on those of E. One that is not finite counts as zero.
  void set(const Vector6 & wrench, bool on_tcp_axes) noexcept;

  /// Wrench at E of this cycle of dt [s], base axes, bounded on the axes that it was given on.
  Vector6 update(const Eigen::Quaterniond & R_BE, const FeedForwardLimits & limits, double dt) noexcept;

  /// True from set() until the time-out.
  bool is_fresh() const noexcept { return is_fresh_; }

private:
  Vector6 wrench_ = Vector6::Zero();
  bool on_tcp_axes_ = false;
  bool is_fresh_ = false;
  double age_ = 0.0;
};

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__FEED_FORWARD_HPP_
