// One run of a guest: a fresh instance in a pooled slot, on a fiber of its own that the caller resumes step by step.
//
//   auto run = Execution::create(module, std::move(input), host_calls);
//   for (;;) switch (run->resume()) {
//     case Progress::kYielded: put it at the end of the fair queue, resume later
//     case Progress::kWaiting: resume after complete_host_call(), or cancel()
//     case Progress::kDone:    use take_result()
//   }
//
// Nothing is allocated in the pool before the first resume, and the slot is free again when kDone is returned, or when
// the Execution is destroyed in whatever state. Belongs to one thread at a time; resume never blocks and comes back
// after at most one tick of guest code (plus one host function or bulk memory instruction).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "protocol/execute.h"
#include "sandbox/host_calls.h"
#include "sandbox/module.h"

struct bh_execution;

namespace bulkhead::sandbox {

enum class Progress : std::uint8_t { kDone, kYielded, kWaiting };

struct ExecutionInput {
  std::string request;      // bytes for the guest's `handler`, see protocol::append_guest_request
  protocol::Limits limits;  // memory, fuel, response, log and host_calls are enforced here
  SteadyTime deadline;      // checked at every tick by the engine's clock; while kWaiting the caller's timer does it
};

struct ExecutionResult {
  // The guest's response bytes, or: kTrap, kTimeout, kMemoryExceeded, kHandlerError, kResponseTooLarge, kModuleInvalid
  // (alloc or out_ptr garbage), kRunnerOverloaded (no free slot), or what cancel() was given. Used-up fuel is kTimeout.
  // `message` is for the extension's author (kind of trap, abort message), `detail` holds the wasm backtrace.
  Result<std::string> response;
  std::optional<std::int32_t> handler_error;  // the number, with kHandlerError
  protocol::Usage usage;                      // all but egress_bytes
  std::vector<protocol::LogLine> logs;        // valid UTF-8, within Limits::log
  bool logs_truncated = false;
};

class Execution {
 public:
  // `host_calls` outlives the execution. kModuleInvalid: limits.fuel > 0 on an engine without Metering::kFuel.
  static Result<std::unique_ptr<Execution>> create(std::shared_ptr<const Module> module, ExecutionInput input,
                                                   HostCalls& host_calls);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // Runs the guest until it is done, has used up its tick, or waits for a host call. Not after kDone.
  Progress resume();
  // Gives the answer to the host call that the guest waits for; then resume. Not from HostCalls::start. A token that is
  // not (any more) waited for is ignored, so that late answers are harmless. Answers over Limits::memory become
  // kTooLarge for the guest.
  void complete_host_call(HostCallToken token, HostAnswer answer);
  // Ends a run that is between two resumes: the guest's stack is unwound, the slot freed, and take_result() gives
  // `reason`. Nothing happens when it is done already.
  void cancel(Error reason);

  bool is_done() const { return native_ == nullptr; }
  // Once, after kDone or cancel().
  ExecutionResult take_result();
  // What has been used so far.
  protocol::Usage usage() const;

  // For the owner: a value that HostCalls::start finds again (e.g. the runner's own call record).
  void set_context(void* context) { context_ = context; }
  void* context() const { return context_; }

 private:
  struct Delete {
    void operator()(bh_execution* execution) const;
  };
  using Native = std::unique_ptr<bh_execution, Delete>;

  Execution(std::shared_ptr<const Module> module, ExecutionInput input, HostCalls& host_calls);
  Progress run_slice();
  void answer(HostAnswer answer, bool is_new_slice);
  void finish(Result<std::string> response);
  void finish_as_native_says();
  Engine& engine() const { return *module_->engine(); }

  const std::shared_ptr<const Module> module_;
  const ExecutionInput input_;
  HostCalls& host_calls_;
  const SteadyTime created_;
  Native native_;                  // null when done
  HostAnswer answer_;              // native code reads it during the slice after the answer
  HostCallToken waiting_for_ = 0;  // the call whose answer is missing
  bool is_running_ = false;        // inside resume
  bool holds_slot_ = false;
  bool has_yielded_ = false;
  std::chrono::nanoseconds cpu_{0};
  std::string response_;
  std::optional<std::int32_t> handler_error_;
  std::optional<ExecutionResult> result_;
  protocol::Usage final_usage_;
  void* context_ = nullptr;
};

}  // namespace bulkhead::sandbox
