// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#ifndef TEST_ARM_HPP_
#define TEST_ARM_HPP_

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "serl_controllers/types.hpp"

namespace serl_controllers::test_arm
{

/// A body of the test arm and the joint that carries it, along z of the body's frame.
struct Body
{
  const char * name;
  const char * parent;
  const char * joint;
  const char * type;         ///< of the joint, as in URDF
  Eigen::Vector3d xyz, rpy;  ///< of the body's frame in its parent's at zero [m, rad]
  double mass;               ///< [kg]
  Eigen::Vector3d com;       ///< in the body's frame [m]
  double inertia;            ///< about com, the same on each axis [kg m²]
};

constexpr double kQuarter = 1.5707963267948966;

/// Seven revolute joints in the proportions of a Franka FR3, on a base that is turned and shifted in the root, with
/// two fingers that are none of the arm's joints.
inline const std::vector<Body> & bodies()
{
  static const std::vector<Body> bodies = {
    {"base", "world", "base_mount", "fixed", {0.1, -0.2, 0.3}, {0.2, -0.1, 0.7}, 3.0, {0.0, 0.0, 0.05}, 0.02},
    {"link1",
     "base",
     "joint1",
     "revolute",
     {0.0, 0.0, 0.333},
     {0.0, 0.0, 0.0},
     2.9,
     {0.0, -0.02, -0.1},
     0.03},
    {"link2",
     "link1",
     "joint2",
     "revolute",
     {0.0, 0.0, 0.0},
     {-kQuarter, 0.0, 0.0},
     2.6,
     {0.0, -0.08, 0.03},
     0.02},
    {"link3",
     "link2",
     "joint3",
     "revolute",
     {0.0, -0.316, 0.0},
     {kQuarter, 0.0, 0.0},
     2.3,
     {0.03, 0.03, -0.06},
     0.01},
    {"link4",
     "link3",
     "joint4",
     "revolute",
     {0.0825, 0.0, 0.0},
     {kQuarter, 0.0, 0.0},
     2.4,
     {-0.05, 0.09, 0.03},
     0.01},
    {"link5",
     "link4",
     "joint5",
     "continuous",
     {-0.0825, 0.384, 0.0},
     {-kQuarter, 0.0, 0.0},
     3.5,
     {0.0, 0.03, -0.1},
     0.02},
    {"link6",
     "link5",
     "joint6",
     "revolute",
     {0.0, 0.0, 0.0},
     {kQuarter, 0.0, 0.0},
     1.5,
     {0.06, -0.01, -0.01},
     0.004},
    {"link7",
     "link6",
     "joint7",
     "revolute",
     {0.088, 0.0, 0.0},
     {kQuarter, 0.0, 0.0},
     0.7,
     {0.01, 0.0, 0.08},
     0.002},
    {"tcp",
     "link7",
     "tcp_mount",
     "fixed",
     {0.01, 0.0, 0.21},
     {0.0, 0.0, -0.785},
     0.1,
     {0.0, 0.0, -0.02},
     0.0001},
    {"left",
     "link7",
     "finger1",
     "prismatic",
     {0.0, 0.02, 0.17},
     {0.0, 0.0, 0.0},
     0.05,
     {0.0, 0.0, 0.01},
     0.0001},
    {"right",
     "link7",
     "finger2",
     "prismatic",
     {0.0, -0.02, 0.17},
     {0.0, 0.0, 3.1},
     0.05,
     {0.0, 0.0, 0.01},
     0.0001},
  };
  return bodies;
}

inline std::vector<std::string> joints()
{
  return {"joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7"};
}

/// A posture with the tool pointing down, away from singularities [rad].
inline Vector7 home()
{
  return (Vector7() << 0.1, -0.6, 0.05, -2.2, 0.1, 1.7, 0.8).finished();
}

/// The arm as a robot description. With `hardware`, on ros2_control's mock hardware.
inline std::string urdf(bool hardware = false)
{
  std::ostringstream out;
  const auto triple = [](const Eigen::Vector3d & v) {
    std::ostringstream text;
    text.precision(17);
    text << v.x() << " " << v.y() << " " << v.z();
    return text.str();
  };
  out << "<robot name='test_arm'><link name='world'/>";
  for (const Body & body : bodies()) {
    const std::string i = std::to_string(body.inertia), type = body.type;
    out << "<link name='" << body.name << "'><inertial><origin xyz='" << triple(body.com)
        << "'/><mass value='" << body.mass << "'/><inertia ixx='" << i << "' iyy='" << i << "' izz='" << i
        << "' ixy='0' ixz='0' iyz='0'/></inertial></link>";
    out << "<joint name='" << body.joint << "' type='" << type << "'><parent link='" << body.parent
        << "'/><child link='" << body.name << "'/><origin xyz='" << triple(body.xyz) << "' rpy='"
        << triple(body.rpy) << "'/><axis xyz='0 0 1'/>";
    if (type == "revolute") {
      out << "<limit lower='-2.8' upper='2.8' effort='87' velocity='2.5'/>";
    }
    if (type == "continuous") {
      out << "<limit effort='87' velocity='2.5'/>";
    }
    if (type == "prismatic") {
      out << "<limit lower='0' upper='0.04' effort='20' velocity='0.2'/>";
    }
    out << "</joint>";
  }
  if (hardware) {
    out << "<ros2_control name='arm' "
           "type='system'><hardware><plugin>mock_components/GenericSystem</plugin></hardware>";
    const Vector7 q = home();
    const auto names = joints();
    for (int i = 0; i < kJoints; ++i) {
      out << "<joint name='" << names[i]
          << "'><command_interface name='effort'/><state_interface name='position'>"
          << "<param name='initial_value'>" << q[i]
          << "</param></state_interface><state_interface name='velocity'>"
          << "<param name='initial_value'>0.0</param></state_interface></joint>";
    }
    out << "</ros2_control>";
  }
  out << "</robot>";
  return out.str();
}

}  // namespace serl_controllers::test_arm

#endif  // TEST_ARM_HPP_
