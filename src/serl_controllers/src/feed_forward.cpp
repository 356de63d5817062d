// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include "serl_controllers/feed_forward.hpp"

namespace serl_controllers
{

void FeedForward::reset() noexcept
{
  *this = FeedForward{};
}

void FeedForward::set(const Vector6 & wrench, bool on_tcp_axes) noexcept
{
  is_fresh_ = wrench.allFinite();
  wrench_ = is_fresh_ ? wrench : Vector6::Zero().eval();
  on_tcp_axes_ = on_tcp_axes;
  age_ = 0.0;
}

Vector6 FeedForward::update(
  const Eigen::Quaterniond & R_BE, const FeedForwardLimits & limits, double dt) noexcept
{
  age_ += dt;
  if (age_ > limits.timeout) {
    reset();
  }
  Vector6 wrench = wrench_.cwiseMax(-limits.max_wrench).cwiseMin(limits.max_wrench);
  if (on_tcp_axes_) {
    wrench.head<3>() = R_BE * wrench.head<3>().eval();
    wrench.tail<3>() = R_BE * wrench.tail<3>().eval();
  }
  return wrench;
}

}  // namespace serl_controllers
