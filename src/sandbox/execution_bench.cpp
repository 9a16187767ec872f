// What a run costs with everything on, against the bare loop: the least that Wasmtime needs for a fresh pooled
// instance, alloc, handler and drop (bh_bare_run). Then what loading and keeping modules costs.
//   build/release/bin/bench_execution
#include <bulkhead_native.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/execution.h"
#include "sandbox/test_guests.h"

namespace bulkhead::sandbox {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Times {
  double p50 = 0;
  double p99 = 0;
};

Times measure(int rounds, const std::function<void()>& work) {
  for (int i = 0; i < rounds / 10; ++i) work();
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) {
    const auto start = SteadyClock::now();
    work();
    times.push_back(std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count());
  }
  std::ranges::sort(times);
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

class NoCalls final : public HostCalls {
 public:
  std::optional<HostAnswer> start(Execution&, HostCallToken, std::string_view, std::string_view) override {
    return HostAnswer{.response_json = R"({"value":"0123456789"})"};
  }
};

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s failed\n", what);
  std::abort();
}

std::size_t proportional_memory() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("Pss:")) return std::stoul(line.substr(4)) * 1024;
  }
  return 0;
}

// A module with `functions` functions that do a little arithmetic each.
std::string large_guest(int functions, int salt) {
  std::string fields;
  for (int i = 0; i < functions; ++i) {
    fields += "(func $f" + std::to_string(i) + " (param i32) (result i32) (i32.mul (i32.add (local.get 0) (i32.const " +
              std::to_string(i + salt) + ")) (i32.xor (local.get 0) (i32.load offset=" + std::to_string(i % 1000) +
              " (i32.const 64)))))";
  }
  return testing::guest(testing::kEcho, fields);
}

int run() {
  const SystemClock clock;
  const std::size_t process = proportional_memory();
  const auto engine = Engine::create({}, clock).value();
  std::printf("idle engine of %u slots: %.1f KiB PSS more, process %.1f MiB\n", engine->settings().slots,
              static_cast<double>(proportional_memory() - process) / 1024,
              static_cast<double>(proportional_memory()) / 1024 / 1024);
  const std::string request(512, 'r');
  NoCalls calls;
  protocol::Limits limits;

  const auto execute = [&](const std::shared_ptr<const Module>& module) {
    auto execution = Execution::create(
        module, {.request = request, .limits = limits, .deadline = clock.steady_now() + limits.timeout}, calls);
    while ((*execution)->resume() != Progress::kDone) {
    }
    auto result = (*execution)->take_result();
    check(result.response.has_value(), "execution");
  };

  const auto echo = testing::load_text(engine, testing::guest(testing::kEcho));
  const auto logging = testing::load_text(
      engine, testing::guest("(call $log (i32.const 0) (i32.const 80)) " + std::string(testing::kEcho),
                             "(import \"alga\" \"log_info\" (func $log (param i32 i32)))"));
  const auto calling = testing::load_text(
      engine,
      testing::guest("(drop (call $get (i32.const 0) (i32.const 40) (i32.const 8))) " + std::string(testing::kEcho),
                     "(import \"alga\" \"storage.get\" (func $get (param i32 i32 i32) (result i32)))"));

  const Times bare = measure(100'000, [&] {
    check(bh_bare_run(echo->native(), native_bytes(request), request.size()) == request.size(), "bare run");
  });
  const Times full = measure(100'000, [&] { execute(echo); });
  const Times logs = measure(100'000, [&] { execute(logging); });
  const Times host = measure(100'000, [&] { execute(calling); });
  std::printf("bare loop (no limits)      p50 %6.2f us   p99 %6.2f us\n", bare.p50, bare.p99);
  std::printf("execution, all limits      p50 %6.2f us   p99 %6.2f us   %.2f x bare\n", full.p50, full.p99,
              full.p50 / bare.p50);
  std::printf("  and a log line           p50 %6.2f us   p99 %6.2f us   %.2f x bare\n", logs.p50, logs.p99,
              logs.p50 / bare.p50);
  std::printf("  and a host call          p50 %6.2f us   p99 %6.2f us   %.2f x bare\n", host.p50, host.p99,
              host.p50 / bare.p50);

  const auto compiler = Compiler::create(Metering::kNone).value();
  for (const int functions : {0, 10'000}) {
    const std::string wasm = testing::wasm_of(large_guest(functions, 0));
    const auto start = SteadyClock::now();
    const std::string code = compiler->compile(wasm).value();
    const double compiled = std::chrono::duration<double, std::milli>(SteadyClock::now() - start).count();
    const int fd = testing::sealed_file(code);
    const Times load = measure(200, [&] { check(Module::load(engine, fd).has_value(), "load"); });
    close(fd);
    std::printf("module of %7zu B wasm, %8zu B code: compile %8.1f ms, load p50 %7.1f us\n", wasm.size(), code.size(),
                compiled, load.p50);
  }

  constexpr int kModules = 1'000;
  std::vector<int> files;
  for (int i = 0; i < kModules; ++i) {
    files.push_back(testing::sealed_file(compiler->compile(testing::wasm_of(large_guest(20, i * 100))).value()));
  }
  std::vector<std::shared_ptr<const Module>> modules;
  const std::size_t before = proportional_memory();
  for (const int fd : files) modules.push_back(Module::load(engine, fd).value());
  const std::size_t loaded = proportional_memory();
  for (const auto& module : modules) execute(module);
  const std::size_t used = proportional_memory();
  std::printf("%d modules: %.1f KiB PSS each when loaded, %.1f KiB after a run of each; process before %.1f MiB\n",
              kModules, static_cast<double>(loaded - before) / 1024 / kModules,
              static_cast<double>(used - before) / 1024 / kModules, static_cast<double>(before) / 1024 / 1024);
  for (const int fd : files) close(fd);
  return 0;
}

}  // namespace
}  // namespace bulkhead::sandbox

int main() { return bulkhead::sandbox::run(); }
