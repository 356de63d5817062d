// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string_view>

#include "random_inputs.hpp"
#include "serl_controllers/orientation.hpp"
#include "serl_controllers/target_tracker.hpp"

namespace serl_controllers
{
namespace
{

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Pose moved(const Pose & X_BE, const Eigen::Vector3d & by, const Eigen::Vector3d & rotation_vector)
{
  return Pose{X_BE.position + by, rotation_from_vector(rotation_vector) * X_BE.orientation};
}

TEST(CheckTarget, RefusesEveryNumberThatIsNotFinite)
{
  RandomInputs random(1);
  const Pose measured = random.pose(0.5);
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    for (int i = 0; i < 3; ++i) {
      Pose target = measured;
      target.position[i] = bad;
      EXPECT_EQ(check_target(target, measured, TargetLimits{}), Hold::kNotFinite);
    }
    for (int i = 0; i < 4; ++i) {
      Pose target = measured;
      target.orientation.coeffs()[i] = bad;
      EXPECT_EQ(check_target(target, measured, TargetLimits{}), Hold::kNotFinite);
    }
  }
}

TEST(CheckTarget, RefusesAQuaternionThatIsNotOfUnitLength)
{
  RandomInputs random(2);
  const Pose measured = random.pose(0.5);
  for (const double length : {0.0, 0.5, 0.99, 1.01, 2.0}) {
    Pose target = measured;
    target.orientation.coeffs() *= length;
    EXPECT_EQ(check_target(target, measured, TargetLimits{}), Hold::kBadQuaternion) << length;
  }
}

TEST(CheckTarget, BoundsTheJumpInMetresAndRadiansWhicheverTheSignOfTheQuaternion)
{
  RandomInputs random(3);
  const TargetLimits limits;
  for (int run = 0; run < 500; ++run) {
    const Pose measured = random.pose(0.5);
    const Eigen::Vector3d direction = random.pose(1.0).position.normalized();
    for (const double share : {0.5, 0.999, 1.001, 3.0}) {
      const Hold expected = share <= 1.0 ? Hold::kNone : Hold::kJump;
      Pose far = moved(measured, share * limits.max_translation * direction, Eigen::Vector3d::Zero());
      Pose turned = moved(measured, Eigen::Vector3d::Zero(), share * limits.max_rotation * direction);
      if (run % 2 == 0) {
        turned.orientation.coeffs() *= -1.0;
      }
      ASSERT_EQ(check_target(far, measured, limits), expected) << share;
      ASSERT_EQ(check_target(turned, measured, limits), expected) << share;
    }
  }
}

TEST(CheckTarget, RefusesWhatIsOutsideTheBoxOnAnySideButNotItsFace)
{
  TargetLimits limits;
  limits.box_min = Eigen::Vector3d(0.3, -0.2, 0.0);
  limits.box_max = Eigen::Vector3d(0.6, 0.2, 0.1);
  Pose measured;
  measured.position << 0.45, 0.0, 0.05;
  for (int axis = 0; axis < 3; ++axis) {
    for (const bool upper : {false, true}) {
      Pose target = measured;
      const double face = (upper ? limits.box_max : limits.box_min)[axis];
      target.position[axis] = face;
      EXPECT_EQ(check_target(target, measured, limits), Hold::kNone);
      target.position[axis] = face + (upper ? 1e-4 : -1e-4);
      EXPECT_EQ(check_target(target, measured, limits), Hold::kOutsideBox);
    }
  }
}

TEST(CheckTarget, RefusesEverythingWhileTheMeasuredPoseIsUnknown)
{
  Pose measured;
  measured.position[0] = kNan;
  EXPECT_EQ(check_target(Pose{}, measured, TargetLimits{}), Hold::kJump);
}

TEST(TargetTracker, HoldsWhereItWasResetUntilTheFirstTarget)
{
  RandomInputs random(4);
  const Pose start = random.pose(0.5), elsewhere = random.pose(0.5);
  TargetTracker tracker;
  tracker.reset(start);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(tracker.update(elsewhere, 0.05, 0.001).position, start.position);
    EXPECT_EQ(tracker.hold(), Hold::kNoTarget);
  }
}

TEST(TargetTracker, HoldsTheClippedPoseOfTheMomentWhenTheTargetGoesStale)
{
  RandomInputs random(5);
  TargetTracker tracker;
  tracker.reset(random.pose(0.5));
  const Pose target = random.pose(0.5);
  tracker.follow(target);
  const double dt = 0.001, timeout = 0.1;
  for (int cycle = 1; cycle <= 10000; ++cycle) {
    Pose clipped;
    clipped.position.x() = cycle;
    const Pose & pose = tracker.update(clipped, timeout, dt);
    if (cycle < 100) {
      ASSERT_EQ(tracker.hold(), Hold::kNone);
      ASSERT_EQ(pose.position, target.position);
    } else if (cycle > 101) {
      ASSERT_EQ(tracker.hold(), Hold::kStale);
      ASSERT_NEAR(pose.position.x(), 101.0, 1.0);
    }
  }
  tracker.follow(target);
  EXPECT_EQ(tracker.update(Pose{}, timeout, dt).position, target.position);
  EXPECT_EQ(tracker.hold(), Hold::kNone);
}

TEST(TargetTracker, HoldsAtTheFirstOfManyRefusalsAndNamesTheLast)
{
  TargetTracker tracker;
  tracker.reset(Pose{});
  tracker.follow(Pose{});
  Pose first, second;
  first.position.x() = 1.0;
  second.position.x() = 2.0;
  tracker.refuse(Hold::kJump, first);
  tracker.refuse(Hold::kNotFinite, second);
  EXPECT_EQ(tracker.update(second, 0.1, 0.001).position.x(), 1.0);
  EXPECT_EQ(tracker.hold(), Hold::kNotFinite);
  for (int i = 0; i < 1000; ++i) {
    tracker.update(second, 0.1, 0.001);
  }
  EXPECT_EQ(tracker.hold(), Hold::kNotFinite);
}

TEST(Hold, EveryReasonHasALineOfItsOwn)
{
  std::set<std::string_view> lines;
  for (std::size_t i = 0; i < kHolds; ++i) {
    lines.insert(describe(static_cast<Hold>(i)));
  }
  EXPECT_EQ(lines.size(), kHolds);
  EXPECT_EQ(lines.count(describe(static_cast<Hold>(kHolds))), 0u);
}

}  // namespace
}  // namespace serl_controllers
