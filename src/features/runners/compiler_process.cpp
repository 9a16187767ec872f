#include "features/runners/compiler_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "platform/process/child_process.h"
#include "platform/process/file.h"
#include "platform/process/memfd.h"
#include "protocol/compile_result.h"

namespace bulkhead::runners {
namespace {

// Descriptor numbers in the child, as `bulkhead compiler` expects them.
constexpr int kInputFd = 3;
constexpr int kOutputFd = 4;

// Waits for the child on a loop of this thread's own.
Result<process::ExitStatus> wait_blocking(process::ChildProcess& child, Millis timeout) {
  asio::io_context loop(1);
  std::optional<Result<process::ExitStatus>> outcome;
  asio::co_spawn(loop, child.wait(timeout), [&](std::exception_ptr escaped, Result<process::ExitStatus> status) {
    if (escaped) std::rethrow_exception(escaped);
    outcome.emplace(std::move(status));
  });
  loop.run();
  BH_ASSERT(outcome.has_value());
  return std::move(*outcome);
}

Result<std::string> read_output(int fd, Bytes limit) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return fail(ErrorCode::kInternal, "", "lseek on the compiler's output");
  return process::read_all(fd, limit);
}

process::ChildOptions child_options(const CompilerOptions& options, int input, int output) {
  process::ChildOptions child;
  child.program = options.program;
  child.arguments = options.arguments;
  child.directory = "/";
  child.stdout_to = process::Stdio::null();
  child.stderr_to = process::Stdio::inherit();
  child.fds = {{.fd = input, .as = kInputFd}, {.fd = output, .as = kOutputFd}};
  child.pid_namespace = process::ChildOptions::PidNamespace::kOwnIfPossible;
  const auto cpu_seconds = static_cast<rlim_t>(options.timeout.count() / 1000 + 1);
  child.limits = {{RLIMIT_CORE, 0, 0},
                  {RLIMIT_CPU, cpu_seconds, cpu_seconds + 1},  // SIGXCPU comes before the hard limit's SIGKILL
                  {RLIMIT_AS, options.memory.value, options.memory.value},
                  {RLIMIT_NOFILE, 32, 32}};
  return child;
}

}  // namespace

CompilerProcess::CompilerProcess(CompilerOptions options, metrics::Registry& registry)
    : options_(std::move(options)),
      duration_(registry.histogram("compile_duration_seconds", "Time to compile one module, its process included.",
                                   {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120})),
      failures_(registry.counter("compile_failures_total", "Modules that did not compile.")),
      threads_(options_.parallel, options_.queue) {}

Result<CompiledCode> CompilerProcess::run_child(const std::string& wasm) const {
  BH_TRY(const process::UniqueFd input, process::make_sealed_memfd("bulkhead-wasm", wasm));
  const process::UniqueFd output(::memfd_create("bulkhead-code", MFD_CLOEXEC));
  if (!output) return fail(ErrorCode::kUnavailable, "", "memfd_create");
  BH_TRY(auto child, process::ChildProcess::spawn(child_options(options_, input.get(), output.get())));
  const auto status = wait_blocking(child, options_.timeout);
  if (!status && status.error().code == ErrorCode::kDeadlineExceeded) {
    return fail(ErrorCode::kModuleRejected, "The module takes too long to compile.");
  }
  if (!status) return fail(status.error());
  // Its own limits end it with other signals: somebody else (the kernel when memory is short, an operator) did this,
  // and it says nothing about the module.
  if (status->signal == SIGKILL) {
    return fail(ErrorCode::kUnavailable, "The compiler was killed.", "the compiler ended with " + status->to_string());
  }
  BH_TRY(const std::string bytes, read_output(output.get(), options_.code_limit));
  if (!status->success() || bytes.empty()) {
    return fail(ErrorCode::kModuleRejected, "The module uses too much time or memory to compile.",
                "the compiler ended with " + status->to_string());
  }
  BH_TRY(const protocol::CompileResult result, protocol::parse_compile_result(bytes));
  return CompiledCode{std::string(result.code), result.target, result.engine_fingerprint, result.sandbox_json};
}

Task<Result<CompiledCode>> CompilerProcess::compile(std::string wasm) {
  // To the compiler an empty input is a question about itself, not a module.
  if (wasm.empty()) co_return fail(ErrorCode::kModuleRejected, "The module is empty.");
  const auto started = std::chrono::steady_clock::now();
  auto compiled = co_await threads_.run([this, wasm = std::move(wasm)] { return run_child(wasm); });
  duration_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  if (!compiled) failures_.add();
  co_return compiled;
}

Result<EngineIdentity> CompilerProcess::describe() {
  // An empty input asks for the description alone.
  BH_TRY(const CompiledCode described, run_child(""));
  return EngineIdentity{described.target, described.engine_fingerprint, described.sandbox_json};
}

}  // namespace bulkhead::runners
