// What many guests at once cost a runner, and how exactly it stops them: memory of 1,000 live one-page instances (each
// waits in a host call), how far endless loops run over their time limit, CPU time of a runner that has nothing to do.
//
//   build/release/bin/bench_isolation
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "runner/runner_test_support.h"

namespace bulkhead::runner {
namespace {

using namespace testing;

constexpr std::uint32_t kInstances = 1'000;

std::uint64_t resident_kib() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1'024;
}

double process_cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

void send(SupervisorEnd& end, std::string_view frame, int fd = -1) {
  if (!end.send(frame, fd)) std::abort();
}

Frame expect(SupervisorEnd& end, FrameType type) {
  auto frame = end.receive();
  if (!frame || frame->type != type) std::abort();
  return std::move(*frame);
}

void load(SupervisorEnd& end, const SignedCode& code) {
  expect(end, FrameType::kNeedModule);
  std::string frame;
  protocol::append_module(frame, code.offer);
  const auto file = process::make_sealed_memfd("code", code.code);
  send(end, frame, file->get());
}

void execute(SupervisorEnd& end, std::uint64_t id, const protocol::ExecuteRequest& request) {
  std::string frame;
  protocol::append_execute(frame, id, request);
  send(end, frame);
}

RunnerOptions large_options() {
  RunnerOptions options = small_options();
  options.engine.slots = kInstances + 64;
  options.executions.max_live = options.engine.slots;
  return options;
}

// Twice: what the first round leaves in allocators and in warm slots is not what an instance takes.
void measure_density(const CodeMaker& maker) {
  const SignedCode code = maker.make("one_storage_get");
  RunningRunner runner(maker, large_options());
  SupervisorEnd& end = runner.end();
  auto request = request_for(code);
  request.limits.timeout = protocol::kMaxTimeout;
  request.limits.tenant_concurrency = kInstances + 64;
  const std::uint64_t before = resident_kib();
  std::vector<std::uint64_t> waiting;
  for (std::uint32_t i = 0; i < kInstances; ++i) {
    execute(end, i, request);
    if (i == 0) load(end, code);
    waiting.push_back(expect(end, FrameType::kHostCall).id);
  }
  const std::uint64_t full = resident_kib();
  for (const std::uint64_t id : waiting) {
    std::string frame;
    protocol::append_host_result(frame, id, {.code = protocol::HostCode::kOk, .response_json = "{}"});
    send(end, frame);
    expect(end, FrameType::kResult);
  }
  std::printf("density: RSS per live instance                %10.1f KiB\n",
              static_cast<double>(full - before) / kInstances);
  std::printf("density: RSS per slot that is warm and free   %10.1f KiB\n",
              static_cast<double>(resident_kib() - before) / kInstances);
}

void measure_overshoot(const CodeMaker& maker, int tenants) {
  constexpr int kRounds = 100;
  constexpr Millis kLimit{30};
  const SignedCode code = maker.make("loop");
  RunningRunner runner(maker);
  SupervisorEnd& end = runner.end();
  std::vector<double> over_ms;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < tenants; ++i) {
      auto request = request_for(code, tenant(static_cast<std::uint8_t>(i)));
      request.limits.timeout = kLimit;
      execute(end, static_cast<std::uint64_t>(i), request);
      if (round == 0 && i == 0) load(end, code);
    }
    for (int i = 0; i < tenants; ++i) {
      const auto result = protocol::parse_result(expect(end, FrameType::kResult).payload);
      if (!result || !result->error || result->error->code != ErrorCode::kTimeout) std::abort();
      if (round > 0) over_ms.push_back(static_cast<double>(result->usage.wall_us) / 1e3 - kLimit.count());
    }
  }
  std::ranges::sort(over_ms);
  const auto quantile = [&](double q) {
    return over_ms.at(static_cast<std::size_t>(q * static_cast<double>(over_ms.size() - 1)));
  };
  std::printf("overshoot: %d endless loops at once: p50       %10.2f ms\n", tenants, quantile(0.5));
  std::printf("overshoot: %d endless loops at once: p99       %10.2f ms\n", tenants, quantile(0.99));
}

void measure_idle(const CodeMaker& maker) {
  constexpr int kSeconds = 3;
  const SignedCode code = maker.make("hello");
  RunningRunner runner(maker);
  execute(runner.end(), 1, request_for(code));
  load(runner.end(), code);
  expect(runner.end(), FrameType::kResult);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // the ticker goes to sleep after 50 silent ticks
  const double before = process_cpu_ms();
  std::this_thread::sleep_for(std::chrono::seconds(kSeconds));
  std::printf("idle: CPU of runner and ticker                %10.3f %%\n",
              (process_cpu_ms() - before) / (kSeconds * 1e3) * 100);
}

}  // namespace
}  // namespace bulkhead::runner

int main() {
  using namespace bulkhead::runner;
  const testing::CodeMaker maker;
  measure_density(maker);
  measure_overshoot(maker, 1);
  measure_overshoot(maker, 8);
  measure_idle(maker);
  return 0;
}
