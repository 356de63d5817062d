// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "random_inputs.hpp"
#include "serl_controllers/orientation.hpp"

namespace serl_controllers
{
namespace
{

const double kPi = std::acos(-1.0);

Eigen::Quaterniond negated(const Eigen::Quaterniond & q)
{
  return Eigen::Quaterniond(-q.w(), -q.x(), -q.y(), -q.z());
}

TEST(OrientationError, TurnsOneOrientationIntoTheOther)
{
  RandomInputs random(1);
  for (int i = 0; i < 10000; ++i) {
    const Eigen::Quaterniond to = random.orientation();
    const Eigen::Quaterniond from = random.orientation();
    const Eigen::Vector3d error = orientation_error(to, from);
    ASSERT_LE(error.norm(), kPi + 1e-12);
    const Eigen::Matrix3d reached = (rotation_from_vector(error) * from).toRotationMatrix();
    ASSERT_LT((reached - to.toRotationMatrix()).norm(), 1e-12);
  }
}

TEST(OrientationError, IsTheSameForBothSignsOfEitherQuaternion)
{
  RandomInputs random(2);
  for (int i = 0; i < 10000; ++i) {
    const Eigen::Quaterniond to = random.orientation();
    const Eigen::Quaterniond from = random.orientation();
    const Eigen::Vector3d error = orientation_error(to, from);
    ASSERT_LT((orientation_error(negated(to), from) - error).norm(), 1e-12);
    ASSERT_LT((orientation_error(to, negated(from)) - error).norm(), 1e-12);
  }
}

TEST(OrientationError, IsOnBaseAxes)
{
  // From a frame that is already turned about x, a further turn of the base's z axis shows on z alone.
  const Eigen::Quaterniond from(Eigen::AngleAxisd(1.2, Eigen::Vector3d::UnitX()));
  const Eigen::Quaterniond to = Eigen::AngleAxisd(0.3, Eigen::Vector3d::UnitZ()) * from;
  EXPECT_LT((orientation_error(to, from) - Eigen::Vector3d(0.0, 0.0, 0.3)).norm(), 1e-14);
}

TEST(OrientationError, HasMagnitudePiAtHalfATurn)
{
  RandomInputs random(3);
  for (int i = 0; i < 1000; ++i) {
    const Eigen::Quaterniond from = random.orientation();
    const Eigen::Vector3d axis = random.vector<Eigen::Vector3d>(-1.0, 1.0).normalized();
    // The scalar part of this one is exactly zero: no rounding puts it on one side or the other.
    const Eigen::Quaterniond half_turn(0.0, axis.x(), axis.y(), axis.z());
    const Eigen::Vector3d exact = orientation_error(half_turn, Eigen::Quaterniond::Identity());
    ASSERT_NEAR(exact.norm(), kPi, 1e-12);
    const Eigen::Vector3d error = orientation_error(half_turn * from, from);
    ASSERT_TRUE(error.allFinite());
    ASSERT_NEAR(error.norm(), kPi, 1e-12);
    ASSERT_NEAR(std::abs(error.dot(axis)), kPi, 1e-12);
  }
}

TEST(OrientationError, IsExactForTinyAngles)
{
  for (const double angle : {0.0, 1e-300, 1e-160, 1e-12, 1e-10, 3e-10, 1e-8, 1e-4}) {
    const Eigen::Vector3d turn(0.0, angle, 0.0);
    const Eigen::Vector3d error =
      orientation_error(rotation_from_vector(turn), Eigen::Quaterniond::Identity());
    EXPECT_NEAR(error.y(), angle, 1e-12 * angle);
    EXPECT_EQ(error.x(), 0.0);
    EXPECT_EQ(error.z(), 0.0);
  }
}

}  // namespace
}  // namespace serl_controllers
