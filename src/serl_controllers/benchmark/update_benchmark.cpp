// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <memory>

#include "update_workload.hpp"

static void update(benchmark::State & state)
{
  const auto workload = std::make_unique<serl_controllers::UpdateWorkload>();
  for (auto _ : state) {
    benchmark::DoNotOptimize(workload->step());
  }
}
BENCHMARK(update)->Repetitions(15)->ReportAggregatesOnly();

BENCHMARK_MAIN();
