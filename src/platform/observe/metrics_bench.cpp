// What a request pays for being counted and logged.
#include <benchmark/benchmark.h>

#include "platform/observe/log_line.h"
#include "platform/observe/metrics.h"

namespace bulkhead {
namespace {

// One counter for all threads of the run: slots must keep them apart.
void counter_add(benchmark::State& state) {
  static metrics::Counter counter;
  for ([[maybe_unused]] auto _ : state) counter.add();
}
BENCHMARK(counter_add)->Threads(1)->Threads(2);

void histogram_observe(benchmark::State& state) {
  static metrics::Histogram histogram(metrics::latency_bounds());
  double value = 0.0001;
  for ([[maybe_unused]] auto _ : state) histogram.observe(value);
  benchmark::DoNotOptimize(value);
}
BENCHMARK(histogram_observe)->Threads(1)->Threads(2);

void render_log_line(benchmark::State& state) {
  const log::Field fields[] = {{"request_id", "01977a2e-7b1c-7c3e-9f41-2d6f0a4b8c11"}, {"status", 200}, {"ms", 1.25}};
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(
        log::log_line({1'700'000'000'000'000}, log::Level::kInfo, "request_served", fields, nullptr));
  }
}
BENCHMARK(render_log_line);

}  // namespace
}  // namespace bulkhead

BENCHMARK_MAIN();
