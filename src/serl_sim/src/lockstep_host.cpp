// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// MuJoCo and the impedance law in lockstep: one law update for each physics step, without Python in between.

#include <mujoco/mujoco.h>
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "serl_controllers/cartesian_impedance_law.hpp"

namespace py = pybind11;
using serl_controllers::kJoints;
using serl_controllers::Pose;
using serl_controllers::Vector6;
using serl_controllers::Vector7;

namespace serl_sim
{
namespace
{

// [s] Low-pass of the measured wrench, as an arm's estimate of it has one: the rigid shapes of a scene make impacts
// of a few milliseconds that no real arm, pad and board would show.
constexpr double kWrenchTimeConstant = 0.02;

Eigen::Vector4d xyzw(const Eigen::Quaterniond & q) {return q.coeffs();}

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
    const std::string & model_bytes, const std::string & tcp_site, const std::vector<std::string> & tool_geoms,
    double gripper_width, const serl_controllers::ImpedanceGains & gains)
  : model_(mj_loadModelBuffer(model_bytes.data(), static_cast<mjtSize>(model_bytes.size())), &mj_deleteModel)
  {
    if (model_ == nullptr) {throw std::invalid_argument("the scene's bytes are no MuJoCo model of this version");}
    data_.reset(mj_makeData(model_.get()));
    site_ = mj_name2id(model_.get(), mjOBJ_SITE, tcp_site.c_str());
    if (site_ < 0 || model_->nv < kJoints || model_->nu < kJoints) {
      throw std::invalid_argument("the scene has no site '" + tcp_site + "' or fewer than seven driven joints");
    }
    is_tool_.assign(model_->ngeom, false);
    for (const auto & name : tool_geoms) {
      const int id = mj_name2id(model_.get(), mjOBJ_GEOM, name.c_str());
      if (id < 0) {throw std::invalid_argument("the scene has no geom '" + name + "'");}
      is_tool_[id] = true;
    }
    snapshot_.gripper_width = gripper_width;
    set_gains(gains);
    jacobian_.assign(6 * model_->nv, 0.0);
  }

  void set_gains(const serl_controllers::ImpedanceGains & gains)
  {
    const std::string reason(law_.set_gains(gains));
    if (!reason.empty()) {throw std::invalid_argument(reason);}
  }

  Snapshot reset(const Vector7 & q)
  {
    if (!q.allFinite()) {throw std::invalid_argument("joint positions must be finite");}
    mj_resetData(model_.get(), data_.get());
    std::copy_n(q.data(), kJoints, data_->qpos);
    mj_step1(model_.get(), data_.get());
    wrench_.setZero();
    read_state();
    if (!law_.reset(state_)) {throw std::runtime_error("the law refused the start state");}
    command_.X_BE_target = state_.X_BE;
    command_.q_nullspace = q;
    command_.feed_forward.setZero();
    trace_.clear();
    peak_force_ = 0.0;
    take_snapshot();
    return snapshot_;
  }

  Snapshot step(
    const Eigen::Vector3d & position, const Eigen::Vector4d & quaternion_xyzw, int cycles, const Vector6 & feed_forward)
  {
    require(cycles);
    command_.X_BE_target = pose(position, quaternion_xyzw);
    command_.feed_forward = feed_forward;
    start_block(cycles);
    for (int i = 0; i < cycles; ++i) {cycle();}
    finish_block();
    return snapshot_;
  }

  Snapshot move_to(const Eigen::Vector3d & position, const Eigen::Vector4d & quaternion_xyzw, double duration)
  {
    if (!(duration > 0.0) || duration > 60.0) {throw std::invalid_argument("duration must lie in (0, 60] s");}
    if (!position.allFinite() || !quaternion_xyzw.allFinite()) {throw std::invalid_argument("the pose must be finite");}
    const Pose from = law_.output().X_BE_commanded;
    const Pose to = pose(position, quaternion_xyzw);
    const int cycles = std::max(1, static_cast<int>(std::lround(duration / model_->opt.timestep)));
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

  const Snapshot & snapshot() const {return snapshot_;}
  double time() const {return data_->time;}
  Eigen::VectorXd qpos() const {return Eigen::Map<const Eigen::VectorXd>(data_->qpos, model_->nq);}

  py::dict trace() const
  {
    const py::ssize_t n = static_cast<py::ssize_t>(trace_.size());
    py::dict out;
    auto fill = [&](const char * name, py::ssize_t width, auto get) {
        py::array_t<double> array({n, width});
        auto view = array.mutable_unchecked<2>();
        for (py::ssize_t i = 0; i < n; ++i) {
          const auto row = get(trace_[i]);
          for (py::ssize_t j = 0; j < width; ++j) {view(i, j) = row[j];}
        }
        out[name] = array;
      };
    auto fill_pose = [&](const std::string & name, Pose Row::* member) {
        fill((name + "_position").c_str(), 3, [&](const Row & r) -> Eigen::Vector3d {return (r.*member).position;});
        fill((name + "_quaternion_xyzw").c_str(), 4,
          [&](const Row & r) -> Eigen::Vector4d {return xyzw((r.*member).orientation);});
      };
    fill_pose("measured", &Row::measured);
    fill_pose("commanded", &Row::commanded);
    fill_pose("smoothed", &Row::smoothed);
    fill_pose("clipped", &Row::clipped);
    fill("error", 6, [](const Row & r) -> const Vector6 & {return r.error;});
    fill("wrench", 6, [](const Row & r) -> const Vector6 & {return r.wrench;});
    fill("external_wrench", 6, [](const Row & r) -> const Vector6 & {return r.external_wrench;});
    fill("torque", 7, [](const Row & r) -> const Vector7 & {return r.torque;});
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
    if (cycles < 1 || cycles > 100000) {throw std::invalid_argument("cycles must lie in [1, 100000]");}
  }

  void start_block(int cycles)
  {
    trace_.clear();
    trace_.reserve(cycles);
    peak_force_ = 0.0;
  }

  void finish_block()
  {
    // MuJoCo answers a divergence by a silent return to its start state, which no controller may mistake for motion.
    for (const int warning : {mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC}) {
      if (data_->warning[warning].number > 0) {throw std::runtime_error("the physics diverged; reset the host");}
    }
    take_snapshot();
  }

  void read_state()
  {
    std::copy_n(data_->qpos, kJoints, state_.q.data());
    std::copy_n(data_->qvel, kJoints, state_.dq.data());
    for (int j = 0; j < kJoints; ++j) {
      // What is left of the bias without gravity, which every body compensates.
      state_.coriolis[j] = data_->qfrc_bias[j] - data_->qfrc_gravcomp[j];
    }
    const int nv = model_->nv;
    mj_jacSite(model_.get(), data_.get(), jacobian_.data(), jacobian_.data() + 3 * nv, site_);
    for (int row = 0; row < 6; ++row) {
      for (int j = 0; j < kJoints; ++j) {state_.J_BE(row, j) = jacobian_[row * nv + j];}
    }
    state_.X_BE.position = Eigen::Map<const Eigen::Vector3d>(data_->site_xpos + 3 * site_);
    mjtNum q[4];
    mju_mat2Quat(q, data_->site_xmat + 9 * site_);
    state_.X_BE.orientation = Eigen::Quaterniond(q[0], q[1], q[2], q[3]);
  }

  /// Sum of the contact forces on the tool, about E.
  Vector6 contact_wrench() const
  {
    Vector6 sum = Vector6::Zero();
    for (int i = 0; i < data_->ncon; ++i) {
      const mjContact & contact = data_->contact[i];
      const bool first = is_tool_[contact.geom[0]], second = is_tool_[contact.geom[1]];
      if (first == second) {continue;}
      mjtNum local[6];
      mj_contactForce(model_.get(), data_.get(), i, local);
      const Eigen::Matrix<double, 3, 3, Eigen::RowMajor> frame(contact.frame);
      // MuJoCo's contact force acts on the second geom.
      const double sign = second ? 1.0 : -1.0;
      const Eigen::Vector3d force = sign * frame.transpose() * Eigen::Vector3d(local[0], local[1], local[2]);
      const Eigen::Vector3d torque = sign * frame.transpose() * Eigen::Vector3d(local[3], local[4], local[5]);
      const Eigen::Vector3d arm = Eigen::Vector3d(contact.pos) - state_.X_BE.position;
      sum.head<3>() += force;
      sum.tail<3>() += torque + arm.cross(force);
    }
    return sum;
  }

  void cycle()
  {
    const double dt = model_->opt.timestep;
    const auto & output = law_.update(state_, command_, dt);
    std::copy_n(output.torque.data(), kJoints, data_->ctrl);
    mj_step2(model_.get(), data_.get());
    const Vector6 contact = contact_wrench();  // its contacts are overwritten by the next line
    mj_step1(model_.get(), data_.get());  // everything that depends on the state just reached
    read_state();
    wrench_ += (1.0 - std::exp(-dt / kWrenchTimeConstant)) * (contact - wrench_);
    peak_force_ = std::max(peak_force_, wrench_.head<3>().norm());
    trace_.push_back(Row{data_->time, state_.X_BE, output.X_BE_commanded, output.X_BE_smoothed, output.X_BE_clipped,
        output.error, output.wrench, wrench_, output.torque, output.flags});
  }

  void take_snapshot()
  {
    snapshot_.time = data_->time;
    snapshot_.q = state_.q;
    snapshot_.dq = state_.dq;
    snapshot_.torque = law_.output().torque;
    snapshot_.position = state_.X_BE.position;
    snapshot_.quaternion_xyzw = xyzw(state_.X_BE.orientation);
    snapshot_.target_position = law_.output().X_BE_commanded.position;
    snapshot_.target_quaternion_xyzw = xyzw(law_.output().X_BE_commanded.orientation);
    snapshot_.twist = state_.J_BE * state_.dq;
    snapshot_.wrench = wrench_;
    snapshot_.peak_force = peak_force_;
    snapshot_.flags = law_.output().flags;
  }

  std::unique_ptr<mjModel, decltype(&mj_deleteModel)> model_;
  std::unique_ptr<mjData, decltype(&mj_deleteData)> data_{nullptr, &mj_deleteData};
  int site_ = -1;
  std::vector<bool> is_tool_;
  std::vector<mjtNum> jacobian_;
  serl_controllers::CartesianImpedanceLaw law_;
  serl_controllers::RobotState state_;
  serl_controllers::Command command_;
  Vector6 wrench_ = Vector6::Zero();
  double peak_force_ = 0.0;
  Snapshot snapshot_;
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
  .def(py::init<const std::string &, const std::string &, const std::vector<std::string> &, double,
    const serl_controllers::ImpedanceGains &>())
  .def("set_gains", &LockstepHost::set_gains)
  .def("reset", &LockstepHost::reset, NoGil())
  .def("step", &LockstepHost::step, py::arg("position"), py::arg("quaternion_xyzw"), py::arg("cycles") = 100,
    py::arg("feed_forward") = Vector6(Vector6::Zero()), NoGil())
  .def("move_to", &LockstepHost::move_to, NoGil())
  .def("snapshot", &LockstepHost::snapshot)
  .def("trace", &LockstepHost::trace)
  .def_property_readonly("time", &LockstepHost::time)
  .def_property_readonly("qpos", &LockstepHost::qpos);
}

}  // namespace serl_sim
