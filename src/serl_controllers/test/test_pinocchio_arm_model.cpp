// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// The model against its own numeric derivatives and against mechanics written down anew from the table of bodies.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "random_inputs.hpp"
#include "serl_controllers/orientation.hpp"
#include "serl_controllers/pinocchio_arm_model.hpp"
#include "test_arm.hpp"

namespace serl_controllers
{
namespace
{

using Matrix7 = Eigen::Matrix<double, 7, 7>;
constexpr double kStep = 1e-5;

RobotState at(ArmModel & model, const Vector7 & q, const Vector7 & dq = Vector7::Zero())
{
  RobotState state;
  state.q = q;
  state.dq = dq;
  model.update(state);
  return state;
}

Eigen::Isometry3d transform(const Eigen::Vector3d & xyz, const Eigen::Vector3d & rpy, double angle)
{
  Eigen::Isometry3d X = Eigen::Isometry3d::Identity();
  X.translation() = xyz;
  X.linear() = (Eigen::AngleAxisd(rpy.z(), Eigen::Vector3d::UnitZ()) *
                Eigen::AngleAxisd(rpy.y(), Eigen::Vector3d::UnitY()) *
                Eigen::AngleAxisd(rpy.x(), Eigen::Vector3d::UnitX()) *
                Eigen::AngleAxisd(angle, Eigen::Vector3d::UnitZ()))
                 .toRotationMatrix();
  return X;
}

/// Pose of a body in the root, by the table.
Eigen::Isometry3d pose_of(const std::string & name, const Vector7 & q)
{
  if (name == "world") {
    return Eigen::Isometry3d::Identity();
  }
  const auto & bodies = test_arm::bodies();
  const auto body = std::find_if(
    bodies.begin(), bodies.end(), [&](const test_arm::Body & other) { return name == other.name; });
  const std::string joint = body->joint;
  const double angle = joint.rfind("joint", 0) == 0 ? q[joint.back() - '1'] : 0.0;
  return pose_of(body->parent, q) * transform(body->xyz, body->rpy, angle);
}

/// Mass matrix, by the table and the Jacobians of the bodies in the root.
class Mechanics
{
public:
  Mechanics()
  {
    for (const auto & body : test_arm::bodies()) {
      models_[body.name] =
        std::make_unique<PinocchioArmModel>(test_arm::urdf(), test_arm::joints(), "", body.name);
    }
  }

  Matrix7 mass(const Vector7 & q)
  {
    Matrix7 M = Matrix7::Zero();
    for (const auto & body : test_arm::bodies()) {
      const RobotState state = at(*models_[body.name], q);
      const Eigen::Vector3d lever = state.X_BE.orientation * body.com;
      const Eigen::Matrix<double, 3, 7> J_angular = state.J_BE.bottomRows<3>();
      Eigen::Matrix<double, 3, 7> J_com = state.J_BE.topRows<3>();
      for (int i = 0; i < kJoints; ++i) {
        J_com.col(i) += Eigen::Vector3d(J_angular.col(i)).cross(lever);
      }
      M += body.mass * J_com.transpose() * J_com + body.inertia * J_angular.transpose() * J_angular;
    }
    return M;
  }

  double potential(const Vector7 & q)
  {
    double energy = 0.0;
    for (const auto & body : test_arm::bodies()) {
      energy += body.mass * 9.81 * (pose_of(body.name, q) * body.com).z();
    }
    return energy;
  }

private:
  std::map<std::string, std::unique_ptr<PinocchioArmModel>> models_;
};

TEST(PinocchioArmModel, PoseIsThatOfTheDescriptionInTheBaseFrame)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp");
  RandomInputs random(1);
  for (int i = 0; i < 100; ++i) {
    const Vector7 q = random.vector<Vector7>(-2.8, 2.8);
    const RobotState state = at(model, q);
    const Eigen::Isometry3d expected = pose_of("base", q).inverse() * pose_of("tcp", q);
    ASSERT_LT((state.X_BE.position - expected.translation()).norm(), 1e-12);
    ASSERT_LT((state.X_BE.orientation.toRotationMatrix() - expected.linear()).norm(), 1e-12);
  }
}

TEST(PinocchioArmModel, JacobianIsTheDerivativeOfThePoseOnBaseAxes)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp");
  RandomInputs random(2);
  for (int i = 0; i < 100; ++i) {
    const Vector7 q = random.vector<Vector7>(-2.8, 2.8);
    const Jacobian J_BE = at(model, q).J_BE;
    for (int joint = 0; joint < kJoints; ++joint) {
      Vector7 step = Vector7::Zero();
      step[joint] = kStep;
      const Vector6 derivative =
        pose_error(at(model, q + step).X_BE, at(model, q - step).X_BE) / (2.0 * kStep);
      ASSERT_LT((J_BE.col(joint) - derivative).norm(), 1e-8);
    }
  }
}

TEST(PinocchioArmModel, CoriolisTorquesAreThoseOfLagrangesEquation)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp");
  Mechanics mechanics;
  RandomInputs random(3);
  for (int i = 0; i < 10; ++i) {
    const Vector7 q = random.vector<Vector7>(-2.8, 2.8), dq = random.vector<Vector7>(-2.0, 2.0);
    const Vector7 ahead = q + kStep * dq, behind = q - kStep * dq;
    Vector7 expected = (mechanics.mass(ahead) - mechanics.mass(behind)) / (2.0 * kStep) * dq;
    for (int joint = 0; joint < kJoints; ++joint) {
      Vector7 step = Vector7::Zero();
      step[joint] = kStep;
      const Matrix7 slope = (mechanics.mass(q + step) - mechanics.mass(q - step)) / (2.0 * kStep);
      expected[joint] -= 0.5 * dq.dot(slope * dq);
    }
    ASSERT_LT((at(model, q, dq).coriolis - expected).norm(), 1e-6 * (1.0 + expected.norm()));
    ASSERT_LT(at(model, q).coriolis.norm(), 1e-12);
  }
}

TEST(PinocchioArmModel, GravityIsTheSlopeOfThePotentialEnergyWithTheFingersWeightInIt)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp", true);
  Mechanics mechanics;
  RandomInputs random(4);
  for (int i = 0; i < 50; ++i) {
    const Vector7 q = random.vector<Vector7>(-2.8, 2.8);
    at(model, q);
    const Vector7 gravity = model.gravity();
    for (int joint = 0; joint < kJoints; ++joint) {
      Vector7 step = Vector7::Zero();
      step[joint] = kStep;
      const double slope = (mechanics.potential(q + step) - mechanics.potential(q - step)) / (2.0 * kStep);
      ASSERT_NEAR(gravity[joint], slope, 1e-6);
    }
  }
}

TEST(PinocchioArmModel, StateThatIsNotFiniteGivesAModelThatIsNotButGravityStays)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp", true);
  EXPECT_TRUE(at(model, test_arm::home()).X_BE.position.allFinite());
  const Vector7 gravity = model.gravity();
  Vector7 q = test_arm::home();
  q[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(at(model, q).X_BE.position.allFinite());
  EXPECT_EQ(model.gravity(), gravity);
  EXPECT_TRUE(at(model, test_arm::home()).X_BE.position.allFinite());
}

TEST(PinocchioArmModel, LeavesGravityToAnArmThatBalancesItItself)
{
  PinocchioArmModel model(test_arm::urdf(), test_arm::joints(), "base", "tcp");
  at(model, test_arm::home());
  EXPECT_EQ(model.gravity(), Vector7::Zero().eval());
}

std::string complaint(
  const std::string & urdf, const std::vector<std::string> & joints, const std::string & base,
  const std::string & tcp)
{
  try {
    PinocchioArmModel model(urdf, joints, base, tcp);
  } catch (const std::invalid_argument & error) {
    return error.what();
  }
  return "";
}

TEST(PinocchioArmModel, SaysWhatIsWrongWithADescription)
{
  const std::string urdf = test_arm::urdf();
  const auto joints = test_arm::joints();
  const auto contains = [](const std::string & text, const std::string & part) {
    return text.find(part) != std::string::npos && text.find('\n') == std::string::npos;
  };
  EXPECT_TRUE(contains(complaint("", joints, "base", "tcp"), "robot description is empty"));
  EXPECT_TRUE(contains(complaint("<nonsense", joints, "base", "tcp"), "not a URDF"));
  EXPECT_TRUE(contains(complaint(urdf, {"joint1"}, "base", "tcp"), "7 joints, not 1"));
  EXPECT_TRUE(contains(complaint(urdf, joints, "nowhere", "tcp"), "no frame 'nowhere'"));
  EXPECT_TRUE(contains(complaint(urdf, joints, "base", "nothing"), "no frame 'nothing'"));
  EXPECT_TRUE(contains(complaint(urdf, joints, "link3", "tcp"), "'link3' moves with the arm"));
  auto unknown = joints;
  unknown[4] = "elbow";
  EXPECT_TRUE(contains(complaint(urdf, unknown, "base", "tcp"), "'elbow' is not a joint of one axis"));
}

}  // namespace
}  // namespace serl_controllers
