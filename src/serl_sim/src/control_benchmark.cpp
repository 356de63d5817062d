// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// How well a controller manager keeps its rate, and what a controller's update costs: controllers take turns on one
// hardware, in one process, so that they are judged under the same conditions. The time of an update is the one that
// the controller manager itself takes round the call of that controller.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "ament_index_cpp/get_package_prefix.hpp"
#include "controller_manager/controller_manager.hpp"
#include "controller_manager_msgs/srv/switch_controller.hpp"
#include "rclcpp/rclcpp.hpp"
#include "real_time.hpp"

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

namespace serl_sim
{
namespace
{

constexpr double kBlockSeconds = 5.0;  // how long a controller has its turn
constexpr char kSteps[] = "physics/steps";
constexpr char kControllers[] = "benchmark_controllers";
constexpr char kUsage[] =
  "usage: control_benchmark [--hardware mujoco|mock] [--seconds S] [--json FILE] [--controllers FILE]\n"
  "  --hardware     what is controlled (mujoco: this package's lockstep hardware)\n"
  "  --seconds      measured time of each controller (60)\n"
  "  --json         file to write the figures to\n"
  "  --controllers  parameters; benchmark_controllers of controller_manager names who takes turns, the first "
  "being\n"
  "                 compared with each of the others (share/serl_sim/config/control_benchmark.yaml)\n";

struct Options
{
  std::string hardware = "mujoco", json;
  double seconds = 60.0;
  // By the index, since the executable may be a link out of the install folder.
  std::filesystem::path prefix = ament_index_cpp::get_package_prefix("serl_sim");
  std::filesystem::path controllers = prefix / "share/serl_sim/config/control_benchmark.yaml";
};

Options parse(int argc, char ** argv)
{
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (value.empty()) {
      throw std::invalid_argument(name + " needs a value, see --help");
    }
    if (name == "--hardware") {
      options.hardware = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--controllers") {
      options.controllers = value;
    } else if (name == "--seconds") {
      char * end = nullptr;
      options.seconds = std::strtod(value.c_str(), &end);
      if (*end != '\0' || !(options.seconds >= 1.0 && options.seconds <= 3600.0)) {
        throw std::invalid_argument("--seconds must lie in 1 to 3600, got " + value);
      }
    } else {
      throw std::invalid_argument("unknown option " + name + ", see --help");
    }
  }
  if (!std::filesystem::exists(options.controllers)) {
    throw std::invalid_argument("there is no file " + options.controllers.string());
  }
  return options;
}

/// A folder that goes with its owner.
class TemporaryFolder
{
public:
  TemporaryFolder()
  {
    std::string pattern = std::filesystem::temp_directory_path() / "control_benchmark.XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("no temporary folder could be made");
    }
    path = pattern;
  }

  ~TemporaryFolder()
  {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }

  std::filesystem::path path;
};

/// URDF of the hardware, by the command `describe`.
std::string describe(const Options & options, const std::filesystem::path & out)
{
  const std::string command = "'" + (options.prefix / "lib/serl_sim/describe").string() +
                              "' pcb_insertion --hardware '" + options.hardware + "' --out '" + out.string() +
                              "' > /dev/null";
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("the robot could not be described");
  }
  std::ifstream file(out / "robot.urdf");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// An executor at work in a thread of its own; with its owner goes the whole of ROS, hardware first.
class Spinner
{
public:
  explicit Spinner(std::shared_ptr<rclcpp::Executor> executor) : thread_([executor] { executor->spin(); }) {}

  ~Spinner()
  {
    rclcpp::shutdown();
    thread_.join();
  }

private:
  std::thread thread_;
};

/// The manager, with a look at the hardware's count of physics steps.
class Manager : public controller_manager::ControllerManager
{
public:
  using ControllerManager::ControllerManager;

  std::optional<hardware_interface::LoanedStateInterface> steps()
  {
    if (!resource_manager_->state_interface_exists(kSteps)) {
      return std::nullopt;
    }
    return resource_manager_->claim_state_interface(kSteps);
  }
};

/// What was measured while one controller was active.
struct Record
{
  std::string name, type;
  std::shared_ptr<controller_manager::MovingAverageStatistics> update_statistics;
  std::vector<double> period_us, update_us, cycle_us;
  std::uint64_t missed = 0;
  double updates = 0.0, physics_steps = 0.0;  // between the same two instants
};

/// The control loop in a thread of its own, at the manager's rate. It records cycles to whatever record() names.
class Loop
{
public:
  explicit Loop(Manager & manager) : manager_(manager), steps_(manager.steps()), thread_([this] { run(); }) {}

  ~Loop()
  {
    ends_ = true;
    thread_.join();
  }

  void record(Record * record)
  {
    record_ = record;
    while (recorded_ != record) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

private:
  double steps() const { return steps_ ? steps_->get_optional().value_or(NAN) : NAN; }

  void run()
  {
    ask_for_real_time(manager_.get_logger());
    const nanoseconds period(1'000'000'000 / manager_.get_update_rate());
    const auto clock = manager_.get_trigger_clock();
    auto wake_up = steady_clock::now();
    auto before = wake_up - period;
    double steps_at_start = 0.0, cycle_at_start = 0.0;
    for (double cycle = 0.0; !ends_ && rclcpp::ok(); ++cycle) {
      const auto start = steady_clock::now();
      const rclcpp::Duration measured(start - before);
      const auto time = clock->now();
      manager_.read(time, measured);
      manager_.update(time, measured);
      manager_.write(time, measured);
      const auto end = steady_clock::now();

      Record * const record = record_;
      if (record != recorded_) {
        if (Record * const finished = recorded_; finished != nullptr) {
          finished->physics_steps += steps() - steps_at_start;
          finished->updates += cycle - cycle_at_start;
        }
        steps_at_start = steps();
        cycle_at_start = cycle;
        recorded_ = record;
      } else if (record != nullptr) {
        using Microseconds = std::chrono::duration<double, std::micro>;
        record->period_us.push_back(Microseconds(start - before).count());
        record->cycle_us.push_back(Microseconds(end - start).count());
        record->update_us.push_back(record->update_statistics->get_current_measurement());
      }
      before = start;
      wake_up += period;
      while (steady_clock::now() > wake_up) {
        if (record != nullptr) {
          ++record->missed;
        }
        wake_up += period;
      }
      std::this_thread::sleep_until(wake_up);
    }
  }

  Manager & manager_;
  std::optional<hardware_interface::LoanedStateInterface> steps_;
  std::atomic<Record *> record_{nullptr}, recorded_{nullptr};
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

struct Summary
{
  double p50, p99, max;
};

Summary summarise(std::vector<double> values)
{
  if (values.empty()) {
    return {NAN, NAN, NAN};
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double fraction) {
    return values[static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.50), at(0.99), values.back()};
}

std::string json(double value)
{
  if (!std::isfinite(value)) {
    return "null";
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string json(const Summary & summary)
{
  return "{\"p50\": " + json(summary.p50) + ", \"p99\": " + json(summary.p99) +
         ", \"max\": " + json(summary.max) + "}";
}

std::string report(const Options & options, const std::vector<Record> & records, double time_step)
{
  std::ostringstream text;
  text << "{\n  \"hardware\": \"" << options.hardware << "\",\n  \"seconds\": " << json(options.seconds)
       << ",\n  \"controllers\": {";
  std::vector<Summary> updates;
  for (const auto & record : records) {
    double wall_us = 0.0;
    std::vector<double> jitter_us;
    for (const double period : record.period_us) {
      wall_us += period;
      jitter_us.push_back(std::abs(period - 1e6 * time_step));
    }
    const auto count = static_cast<double>(record.period_us.size());
    updates.push_back(summarise(record.update_us));
    const auto period = summarise(record.period_us), jitter = summarise(jitter_us),
               cycle = summarise(record.cycle_us);
    const double per_simulated = record.updates / (record.physics_steps * time_step);
    text << (&record == records.data() ? "\n" : ",\n") << "    \"" << record.name
         << "\": {\n      \"type\": \"" << record.type << "\",\n      \"cycles\": " << json(count)
         << ",\n      \"updates_per_simulated_second\": " << json(per_simulated)
         << ",\n      \"updates_per_second\": " << json(1e6 * count / wall_us)
         << ",\n      \"missed_cycles\": " << record.missed << ",\n      \"period_us\": " << json(period)
         << ",\n      \"period_jitter_us\": " << json(jitter)
         << ",\n      \"update_us\": " << json(updates.back()) << ",\n      \"cycle_us\": " << json(cycle)
         << "\n    }";
  }
  text << "\n  },\n  \"update_ratio\": {";
  for (std::size_t i = 1; i < records.size(); ++i) {
    const Summary ratio{
      updates[0].p50 / updates[i].p50, updates[0].p99 / updates[i].p99, updates[0].max / updates[i].max};
    text << (i == 1 ? "\n" : ",\n") << "    \"" << records[0].name << "/" << records[i].name
         << "\": " << json(ratio);
  }
  text << "\n  }\n}\n";
  return text.str();
}

void require(controller_interface::return_type result, const std::string & what)
{
  if (result != controller_interface::return_type::OK) {
    throw std::runtime_error(what + "; see the log above");
  }
}

void run(const Options & options)
{
  const TemporaryFolder folder;
  const std::string urdf = describe(options, folder.path);
  const auto executor = std::make_shared<rclcpp::executors::MultiThreadedExecutor>();
  auto node_options = controller_manager::get_cm_node_options();
  node_options.arguments({"--ros-args", "--params-file", options.controllers.string()});
  const auto manager =
    std::make_shared<Manager>(executor, urdf, true, "controller_manager", "", node_options);
  const auto names = manager->get_parameter_or<std::vector<std::string>>(kControllers, {});
  if (names.empty()) {
    throw std::invalid_argument(
      options.controllers.string() + " has no parameter " + kControllers + " of controller_manager");
  }
  executor->add_node(manager);
  const Spinner spinner(executor);

  std::vector<Record> records;
  {
    Loop loop(*manager);
    const auto cycles = static_cast<std::size_t>(1.1 * options.seconds * manager->get_update_rate()) + 1000;
    for (const auto & name : names) {
      if (manager->load_controller(name) == nullptr) {
        throw std::runtime_error("no controller " + name);
      }
      require(manager->configure_controller(name), name + " cannot be configured");
    }
    for (const auto & name : names) {
      const auto loaded = manager->get_loaded_controllers();
      const auto spec =
        std::find_if(loaded.begin(), loaded.end(), [&](const auto & each) { return each.info.name == name; });
      Record record{name, spec->info.type, spec->execution_time_statistics, {}, {}, {}};
      for (auto * samples : {&record.period_us, &record.update_us, &record.cycle_us}) {
        samples->reserve(cycles);
      }
      records.push_back(std::move(record));
    }
    using SwitchController = controller_manager_msgs::srv::SwitchController::Request;
    std::vector<std::string> active;
    const int blocks = static_cast<int>(std::ceil(options.seconds / kBlockSeconds));
    for (int block = 0; block < blocks && rclcpp::ok(); ++block) {
      for (auto & record : records) {
        require(
          manager->switch_controller({record.name}, active, SwitchController::STRICT),
          record.name + " cannot be activated");
        active = {record.name};
        std::this_thread::sleep_for(
          std::chrono::milliseconds(500));  // what a switch costs is not the matter here
        loop.record(&record);
        std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds / blocks));
        loop.record(nullptr);
      }
    }
    require(
      manager->switch_controller({}, active, SwitchController::STRICT), "the last controller does not stop");
  }
  const std::string text = report(options, records, 1.0 / manager->get_update_rate());
  std::fputs(text.c_str(), stdout);
  if (!options.json.empty() && !(std::ofstream(options.json) << text)) {
    throw std::runtime_error("cannot write " + options.json);
  }
}

}  // namespace
}  // namespace serl_sim

int main(int argc, char ** argv)
{
  int status = 0;
  try {
    const auto options = serl_sim::parse(argc, argv);
    rclcpp::init(1, argv);
    serl_sim::run(options);
  } catch (const std::invalid_argument & error) {
    std::fprintf(stderr, "control_benchmark: %s\n", error.what());
    status = 2;
  } catch (const std::exception & error) {
    std::fprintf(stderr, "control_benchmark: %s\n", error.what());
    status = 1;
  }
  return status;
}
