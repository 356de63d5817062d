// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// MuJoCo and the impedance law in lockstep: one law update for each physics step, without Python in between.

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "serl_controllers/cartesian_impedance_law.hpp"
#include "serl_sim/arm_physics.hpp"

namespace py = pybind11;
using serl_controllers::Pose;
using serl_controllers::Vector6;
using serl_controllers::Vector7;

namespace serl_sim
{
namespace
{

Eigen::Vector4d xyzw(const Eigen::Quaterniond & q)
{
  return q.coeffs();
}

/// State at the end of the last cycle; base frame axes.
struct Snapshot
{
  double time = 0.0;
  Vector7 q = Vector7::Zero(), dq = Vector7::Zero(), torque = Vector7::Zero();
  Eigen::Vector3d position = Eigen::Vector3d::Zero();
  Eigen::Vector4d quaternion_xyzw = Eigen::Vector4d(0, 0, 0, 1);
  Eigen::Vector3d target_position = Eigen::Vector3d::Zero();
  Eigen::Vector4d target_quaternion_xyzw = Eigen::Vector4d(0, 0, 0, 1);
  Vector6 twist = Vector6::Zero(), wrench = Vector6::Zero();
  double peak_force = 0.0;
  std::uint32_t flags = 0;
  double gripper_width = 0.0;
};

/// One row of the 1 kHz log.
struct Row
{
  double time;
  Pose measured, commanded, smoothed, clipped;
  Vector6 error, wrench, external_wrench;
  Vector7 torque;
  std::uint32_t flags;
};

class LockstepHost
{
public:
  LockstepHost(
    const std::string & model_bytes, const std::string & tcp_site,
    const std::vector<std::string> & tool_geoms, double gripper_width,
    const serl_controllers::ImpedanceGains & gains)
  : physics_(load_model_bytes(model_bytes), tcp_site, tool_geoms)
  {
    gripper_width_ = gripper_width;
    set_gains(gains);
  }

  void set_gains(const serl_controllers::ImpedanceGains & gains)
  {
    const std::string reason(law_.set_gains(gains));
    if (!reason.empty()) {
      throw std::invalid_argument(reason);
    }
  }

  Snapshot reset(const Vector7 & q)
  {
    if (!q.allFinite()) {
      throw std::invalid_argument("joint positions must be finite");
    }
    physics_.reset(q);
    if (!law_.reset(physics_.state())) {
      throw std::runtime_error("the law refused the start state");
    }
    command_.X_BE_target = physics_.state().X_BE;
    command_.q_nullspace = q;
    command_.feed_forward.setZero();
    trace_.clear();
    take_snapshot();
    return snapshot_;
  }

  Snapshot step(
    const Eigen::Vector3d & position, const Eigen::Vector4d & quaternion_xyzw, int cycles,
    const Vector6 & feed_forward)
  {
    require(cycles);
    command_.X_BE_target = pose(position, quaternion_xyzw);
    command_.feed_forward = feed_forward;
    start_block(cycles);
    for (int i = 0; i < cycles; ++i) {
      cycle();
    }
    finish_block();
    return snapshot_;
  }

  Snapshot move_to(const Eigen::Vector3d & position, const Eigen::Vector4d & quaternion_xyzw, double duration)
  {
    if (!(duration > 0.0) || duration > 60.0) {
      throw std::invalid_argument("duration must lie in (0, 60] s");
    }
    if (!position.allFinite() || !quaternion_xyzw.allFinite()) {
      throw std::invalid_argument("the pose must be finite");
    }
    const Pose from = law_.output().X_BE_commanded;
    const Pose to = pose(position, quaternion_xyzw);
    const int cycles = std::max(1, static_cast<int>(std::lround(duration / physics_.time_step())));
    require(cycles);
    command_.feed_forward.setZero();
    start_block(cycles);
    for (int i = 1; i <= cycles; ++i) {
      const double t = static_cast<double>(i) / cycles;
      const double s = t * t * t * (10.0 + t * (-15.0 + 6.0 * t));  // minimum jerk
      command_.X_BE_target.position = from.position + s * (to.position - from.position);
      command_.X_BE_target.orientation = from.orientation.slerp(s, to.orientation);
      cycle();
    }
    finish_block();
    return snapshot_;
  }

  void close_gripper(bool close) { physics_.close_gripper(close); }

  const Snapshot & snapshot() const { return snapshot_; }
  double time() const { return physics_.time(); }
  Eigen::VectorXd qpos() const { return physics_.qpos(); }

  py::dict trace() const
  {
    const py::ssize_t n = static_cast<py::ssize_t>(trace_.size());
    py::dict out;
    auto fill = [&](const char * name, py::ssize_t width, auto get) {
      py::array_t<double> array({n, width});
      auto view = array.mutable_unchecked<2>();
      for (py::ssize_t i = 0; i < n; ++i) {
        const auto row = get(trace_[i]);
        for (py::ssize_t j = 0; j < width; ++j) {
          view(i, j) = row[j];
        }
      }
      out[name] = array;
    };
    auto fill_pose = [&](const std::string & name, Pose Row::* member) {
      fill((name + "_position").c_str(), 3, [&](const Row & r) -> Eigen::Vector3d {
        return (r.*member).position;
      });
      fill((name + "_quaternion_xyzw").c_str(), 4, [&](const Row & r) -> Eigen::Vector4d {
        return xyzw((r.*member).orientation);
      });
    };
    fill_pose("measured", &Row::measured);
    fill_pose("commanded", &Row::commanded);
    fill_pose("smoothed", &Row::smoothed);
    fill_pose("clipped", &Row::clipped);
    fill("error", 6, [](const Row & r) -> const Vector6 & { return r.error; });
    fill("wrench", 6, [](const Row & r) -> const Vector6 & { return r.wrench; });
    fill("external_wrench", 6, [](const Row & r) -> const Vector6 & { return r.external_wrench; });
    fill("torque", 7, [](const Row & r) -> const Vector7 & { return r.torque; });
    py::array_t<double> time(n);
    py::array_t<std::uint32_t> flags(n);
    for (py::ssize_t i = 0; i < n; ++i) {
      time.mutable_at(i) = trace_[i].time;
      flags.mutable_at(i) = trace_[i].flags;
    }
    out["time"] = time;
    out["flags"] = flags;
    return out;
  }

private:
  static Pose pose(const Eigen::Vector3d & position, const Eigen::Vector4d & q)
  {
    return Pose{position, Eigen::Quaterniond(q[3], q[0], q[1], q[2])};
  }

  void require(int cycles) const
  {
    if (cycles < 1 || cycles > 100000) {
      throw std::invalid_argument("cycles must lie in [1, 100000]");
    }
  }

  void start_block(int cycles)
  {
    trace_.clear();
    trace_.reserve(cycles);
    physics_.clear_peak_force();
  }

  void finish_block()
  {
    if (physics_.diverged()) {
      throw std::runtime_error("the physics diverged; reset the host");
    }
    take_snapshot();
  }

  void cycle()
  {
    const auto & output = law_.update(physics_.state(), command_, physics_.time_step());
    physics_.step(output.torque);
    trace_.push_back(
      Row{
        physics_.time(), physics_.state().X_BE, output.X_BE_commanded, output.X_BE_smoothed,
        output.X_BE_clipped, output.error, output.wrench, physics_.wrench(), output.torque, output.flags});
  }

  void take_snapshot()
  {
    const auto & state = physics_.state();
    snapshot_.time = physics_.time();
    snapshot_.q = state.q;
    snapshot_.dq = state.dq;
    snapshot_.torque = law_.output().torque;
    snapshot_.position = state.X_BE.position;
    snapshot_.quaternion_xyzw = xyzw(state.X_BE.orientation);
    snapshot_.target_position = law_.output().X_BE_commanded.position;
    snapshot_.target_quaternion_xyzw = xyzw(law_.output().X_BE_commanded.orientation);
    snapshot_.twist = state.J_BE * state.dq;
    snapshot_.wrench = physics_.wrench();
    snapshot_.peak_force = physics_.peak_force();
    snapshot_.flags = law_.output().flags;
    snapshot_.gripper_width = gripper_width_ - physics_.finger_travel();
  }

  ArmPhysics physics_;
  serl_controllers::CartesianImpedanceLaw law_;
  serl_controllers::Command command_;
  Snapshot snapshot_;
  double gripper_width_ = 0.0;  // of the open gripper, or of one that holds a part for good
  std::vector<Row> trace_;
};

}  // namespace

PYBIND11_MODULE(_host, m)
{
  py::module_::import("serl_controllers");
  py::class_<Snapshot>(m, "Snapshot")
    .def_readonly("time", &Snapshot::time)
    .def_readonly("q", &Snapshot::q)
    .def_readonly("dq", &Snapshot::dq)
    .def_readonly("torque", &Snapshot::torque)
    .def_readonly("position", &Snapshot::position)
    .def_readonly("quaternion_xyzw", &Snapshot::quaternion_xyzw)
    .def_readonly("target_position", &Snapshot::target_position)
    .def_readonly("target_quaternion_xyzw", &Snapshot::target_quaternion_xyzw)
    .def_readonly("twist", &Snapshot::twist)
    .def_readonly("wrench", &Snapshot::wrench)
    .def_readonly("peak_force", &Snapshot::peak_force)
    .def_readonly("flags", &Snapshot::flags)
    .def_readonly("gripper_width", &Snapshot::gripper_width);
  using NoGil = py::call_guard<py::gil_scoped_release>;
  py::class_<LockstepHost>(m, "Host")
    .def(
      py::init<
        const std::string &, const std::string &, const std::vector<std::string> &, double,
        const serl_controllers::ImpedanceGains &>())
    .def("set_gains", &LockstepHost::set_gains)
    .def("reset", &LockstepHost::reset, NoGil())
    .def(
      "step", &LockstepHost::step, py::arg("position"), py::arg("quaternion_xyzw"), py::arg("cycles") = 100,
      py::arg("feed_forward") = Vector6(Vector6::Zero()), NoGil())
    .def("move_to", &LockstepHost::move_to, NoGil())
    .def("close_gripper", &LockstepHost::close_gripper)
    .def("snapshot", &LockstepHost::snapshot)
    .def("trace", &LockstepHost::trace)
    .def_property_readonly("time", &LockstepHost::time)
    .def_property_readonly("qpos", &LockstepHost::qpos);
}

}  // namespace serl_sim
