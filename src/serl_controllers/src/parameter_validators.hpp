// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef PARAMETER_VALIDATORS_HPP_
#define PARAMETER_VALIDATORS_HPP_

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rclcpp/parameter.hpp>
#include <tl/expected.hpp>

namespace serl_controllers
{

/// Every element is a number in [low, high]. Unlike element_bounds of the library, NaN is none.
template <typename T>
tl::expected<void, std::string> in_range(const rclcpp::Parameter & parameter, T low, T high)
{
  for (const T value : parameter.get_value<std::vector<T>>()) {
    if (!(value >= low && value <= high)) {
      return tl::unexpected(
        fmt::format(
          "{} has an element of {}: give numbers in [{}, {}]", parameter.get_name(), value, low, high));
    }
  }
  return {};
}

/// The array is empty or has `size` elements.
template <typename T>
tl::expected<void, std::string> empty_or_size(const rclcpp::Parameter & parameter, int size)
{
  const std::size_t elements = parameter.get_value<std::vector<T>>().size();
  if (elements == 0 || elements == static_cast<std::size_t>(size)) {
    return {};
  }
  return tl::unexpected(
    fmt::format("{} has {} elements: give {}, or none", parameter.get_name(), elements, size));
}

}  // namespace serl_controllers

#endif  // PARAMETER_VALIDATORS_HPP_
