// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef SERL_CONTROLLERS__TYPES_HPP_
#define SERL_CONTROLLERS__TYPES_HPP_

#include <cmath>

#include <Eigen/Core>
#include <Eigen/Geometry>

namespace serl_controllers
{

/// Number of joints of the arm. The library serves one kind of arm, so sizes are known at compile time and
/// nothing on the control path can allocate.
constexpr int kJoints = 7;

/// Twist, wrench or pose error: the linear part in rows 0 to 2, the angular part in rows 3 to 5.
using Vector6 = Eigen::Matrix<double, 6, 1>;
/// One number for each joint, base to flange.
using Vector7 = Eigen::Matrix<double, kJoints, 1>;
/// Geometric Jacobian, rows ordered as Vector6.
using Jacobian = Eigen::Matrix<double, 6, kJoints>;

/// Pose of one frame in another; the names of variables say which (X_BE: frame E in base B).
struct Pose
{
  Eigen::Vector3d position = Eigen::Vector3d::Zero();               ///< [m]
  Eigen::Quaterniond orientation = Eigen::Quaterniond::Identity();  ///< unit length
};

/// How far the length of a quaternion may be from 1 before it is taken for garbage and not for rounding.
constexpr double kQuaternionLengthTolerance = 1e-3;

/// True if every number of the pose is finite (the length of the quaternion is not looked at).
inline bool is_finite(const Pose & pose) noexcept
{
  return pose.position.allFinite() && pose.orientation.coeffs().allFinite();
}

/// True if the quaternion has unit length within kQuaternionLengthTolerance; false for NaN.
inline bool is_unit(const Eigen::Quaterniond & orientation) noexcept
{
  return std::abs(orientation.norm() - 1.0) <= kQuaternionLengthTolerance;
}

}  // namespace serl_controllers

#endif  // SERL_CONTROLLERS__TYPES_HPP_
