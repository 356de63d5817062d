// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../benchmark/update_workload.hpp"
#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_controllers/orientation.hpp"

namespace py = pybind11;

namespace serl_controllers
{
namespace
{

/// Quaternion of four numbers x, y, z, w as they are: bad ones are for the law to detect.
Eigen::Quaterniond quaternion(const Eigen::Vector4d & xyzw)
{
  return Eigen::Quaterniond(xyzw[3], xyzw[0], xyzw[1], xyzw[2]);
}

/// A law with these gains; ValueError if they are refused.
void set_gains(CartesianImpedanceLaw & law, const ImpedanceGains & gains)
{
  const std::string reason(law.set_gains(gains));
  if (!reason.empty()) {
    throw py::value_error(reason);
  }
}

py::dict flags()
{
  py::dict names;
  names["ERROR_CLIPPED"] = static_cast<int>(kErrorClipped);
  names["DAMPING_CLAMPED"] = static_cast<int>(kDampingClamped);
  names["TORQUE_SATURATED"] = static_cast<int>(kTorqueSaturated);
  names["TORQUE_RATE_LIMITED"] = static_cast<int>(kTorqueRateLimited);
  names["HELD_NON_FINITE_TARGET"] = static_cast<int>(kHeldNonFiniteTarget);
  names["HELD_BAD_QUATERNION"] = static_cast<int>(kHeldBadQuaternion);
  names["IGNORED_FEED_FORWARD"] = static_cast<int>(kIgnoredFeedForward);
  names["HELD_NULLSPACE_POSTURE"] = static_cast<int>(kHeldNullspacePosture);
  names["BAD_STATE"] = static_cast<int>(kBadState);
  names["BAD_TIME_STEP"] = static_cast<int>(kBadTimeStep);
  names["NOT_RESET"] = static_cast<int>(kNotReset);
  return names;
}

/// Nanoseconds of one update in each of `repeats` batches of `iterations`, shortest first.
std::vector<double> time_updates(int iterations, int repeats)
{
  if (iterations < 1 || repeats < 1) {
    throw py::value_error("iterations and repeats must be at least 1");
  }
  py::gil_scoped_release release;
  const auto workload = std::make_unique<UpdateWorkload>();
  std::vector<double> nanoseconds;
  volatile double sink = 0.0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    double sum = 0.0;
    for (int i = 0; i < iterations; ++i) {
      sum += workload->step();
    }
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    sink = sum;
    nanoseconds.push_back(elapsed.count() / iterations);
  }
  static_cast<void>(sink);
  std::sort(nanoseconds.begin(), nanoseconds.end());
  return nanoseconds;
}

}  // namespace
}  // namespace serl_controllers

PYBIND11_MODULE(_law, module)
{
  using namespace serl_controllers;
  module.doc() = "Cartesian impedance law with reference limiting (C++).";

  py::class_<Pose>(
    module, "Pose", "Pose of one frame in another: position [m] and unit quaternion x, y, z, w.")
    .def(py::init<>())
    .def(
      py::init([](const Eigen::Vector3d & position, const Eigen::Vector4d & orientation_xyzw) {
        return Pose{position, quaternion(orientation_xyzw)};
      }),
      py::arg("position"), py::arg("orientation_xyzw"))
    .def_readwrite("position", &Pose::position)
    .def_property(
      "orientation_xyzw", [](const Pose & pose) -> Eigen::Vector4d { return pose.orientation.coeffs(); },
      [](Pose & pose, const Eigen::Vector4d & xyzw) { pose.orientation = quaternion(xyzw); })
    .def("__repr__", [](const Pose & pose) {
      return py::str("Pose(position={}, orientation_xyzw={})")
        .format(pose.position, Eigen::Vector4d(pose.orientation.coeffs()));
    });

  py::class_<ImpedanceGains>(
    module, "ImpedanceGains", "Gains and limits of the law; units and ranges in impedance_gains.hpp.")
    .def(py::init<>())
    .def(py::init<const ImpedanceGains &>(), py::arg("other"))
    .def_static("compliant", &ImpedanceGains::compliant)
    .def_static("precise", &ImpedanceGains::precise)
    .def(
      "validate", [](const ImpedanceGains & gains) { return std::string(gains.validate()); },
      "Why these gains cannot be used; an empty string if they can.")
    .def_readwrite("stiffness", &ImpedanceGains::stiffness)
    .def_readwrite("damping", &ImpedanceGains::damping)
    .def_readwrite("error_min", &ImpedanceGains::error_min)
    .def_readwrite("error_max", &ImpedanceGains::error_max)
    .def_readwrite("integral_gain", &ImpedanceGains::integral_gain)
    .def_readwrite("integral_limit", &ImpedanceGains::integral_limit)
    .def_readwrite("nullspace_stiffness", &ImpedanceGains::nullspace_stiffness)
    .def_readwrite("nullspace_damping", &ImpedanceGains::nullspace_damping)
    .def_readwrite("target_time_constant", &ImpedanceGains::target_time_constant)
    .def_readwrite("gain_time_constant", &ImpedanceGains::gain_time_constant)
    .def_readwrite("max_torque", &ImpedanceGains::max_torque)
    .def_readwrite("max_torque_rate", &ImpedanceGains::max_torque_rate);

  py::class_<RobotState>(module, "RobotState", "What the robot measured in one cycle.")
    .def(py::init<>())
    .def_readwrite("q", &RobotState::q)
    .def_readwrite("dq", &RobotState::dq)
    .def_readwrite("coriolis", &RobotState::coriolis)
    .def_readwrite("X_BE", &RobotState::X_BE)
    .def_readwrite("J_BE", &RobotState::J_BE);

  py::class_<Command>(module, "Command", "What is asked of the arm in one cycle.")
    .def(py::init<>())
    .def_readwrite("X_BE_target", &Command::X_BE_target)
    .def_readwrite("feed_forward", &Command::feed_forward)
    .def_readwrite("q_nullspace", &Command::q_nullspace);

  py::class_<Output>(module, "Output", "What one cycle made.")
    .def_readonly("torque", &Output::torque)
    .def_readonly("task_torque", &Output::task_torque)
    .def_readonly("nullspace_torque", &Output::nullspace_torque)
    .def_readonly("X_BE_commanded", &Output::X_BE_commanded)
    .def_readonly("X_BE_smoothed", &Output::X_BE_smoothed)
    .def_readonly("X_BE_clipped", &Output::X_BE_clipped)
    .def_readonly("error", &Output::error)
    .def_readonly("clipped_error", &Output::clipped_error)
    .def_readonly("integral_wrench", &Output::integral_wrench)
    .def_readonly("wrench", &Output::wrench)
    .def_readonly("flags", &Output::flags);

  py::class_<CartesianImpedanceLaw>(
    module, "CartesianImpedanceLaw",
    "Cartesian impedance with reference limiting (SERL IV-E); equations in cartesian_impedance_law.hpp.")
    .def(
      py::init([](const ImpedanceGains & gains) {
        auto law = std::make_unique<CartesianImpedanceLaw>();
        set_gains(*law, gains);
        return law;
      }),
      py::arg("gains") = ImpedanceGains::compliant(), "Raises ValueError for gains that cannot be used.")
    .def(
      "reset",
      [](CartesianImpedanceLaw & law, const RobotState & state, const std::optional<Vector7> & torque) {
        return torque ? law.reset(state, *torque) : law.reset(state);
      },
      py::arg("state"), py::arg("torque") = py::none(),
      "Start from rest at a measured state, going on from a torque [Nm] (the Coriolis torque unless given); "
      "False, and nothing done, if the state is bad.")
    .def(
      "set_gains", &set_gains, py::arg("gains"),
      "Gains to glide to; ValueError, and the old ones kept, if they cannot be used.")
    .def_property_readonly("gains", [](const CartesianImpedanceLaw & law) { return law.gains(); })
    .def_property_readonly(
      "active_gains", [](const CartesianImpedanceLaw & law) { return law.active_gains(); })
    .def_property_readonly("output", [](const CartesianImpedanceLaw & law) { return law.output(); })
    .def(
      "update", &CartesianImpedanceLaw::update, py::arg("state"), py::arg("command"), py::arg("dt"),
      py::return_value_policy::copy, "One control cycle of dt [s]; returns a copy of its Output.");

  module.def(
    "orientation_error",
    [](const Eigen::Vector4d & to_xyzw, const Eigen::Vector4d & from_xyzw) {
      return orientation_error(quaternion(to_xyzw), quaternion(from_xyzw));
    },
    py::arg("to_xyzw"), py::arg("from_xyzw"),
    "Rotation vector [rad] that turns one unit quaternion into another, on parent axes.");
  module.def("time_updates", &time_updates, py::arg("iterations"), py::arg("repeats"));
  module.attr("FLAGS") = flags();
}
