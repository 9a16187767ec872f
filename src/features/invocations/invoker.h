// Invoker: runs one execution of an install and logs it: HTTP calls of the gateway, test runs, events, schedules.
//
// Order: policy admits → the execution-log row begins → dispatch (with the retries that the caller allows) → policy
// observes → the row ends. What is refused before the row has begun has none; every other call has exactly one
// (contracts/extensions.md §4). Owned by the composition root; `run` is called on a core's thread and uses that core's
// dispatcher, log and randomness only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "features/executions/execution_log.h"
#include "features/extensions/installed.h"
#include "features/runners/dispatcher.h"
#include "platform/observe/metrics.h"

namespace bulkhead::invocations {

// What may be dispatched again, jittered and at most twice, after a failure of the transport (502, 503, 504).
enum class Retry : std::uint8_t {
  kNever,         // whoever calls tries again itself
  kIfNotStarted,  // only where the guest cannot have seen the call
  kAlways,        // safe methods: running twice does no harm
};

// The most that a call may take, whatever its install says: its organization's plan.
struct LimitCaps {
  Millis timeout = protocol::kMaxTimeout;
  Bytes memory = protocol::kMaxMemory;
  std::uint32_t concurrency = UINT32_MAX;
  std::uint32_t queue = UINT32_MAX;
};

struct Invocation {
  extensions::InstalledPtr install;
  const extensions::RunnableVersion* version = nullptr;  // one of the install's, which keeps it alive
  executions::ExecutionKind kind = executions::ExecutionKind::kHttp;
  Retry retry = Retry::kIfNotStarted;
  std::uint32_t hops = 0;  // events that led here, one causing the next
  std::string request_id;
  std::string trace_parent;                // W3C, of this server's span; or empty
  std::string user_json;                   // an object, or empty
  std::string method;                      // of the log row
  std::string path;                        // of the log row, cut to 2 KiB there; never with a query
  std::optional<Millis> timeout;           // in place of the install's
  runners::EarlyEnd* early_end = nullptr;  // the caller's; null: runs to its end
  std::variant<protocol::HttpCall, protocol::EventCall, protocol::ScheduleCall> call;
  LimitCaps caps{};                  // set by the policy
  std::uint32_t breaker_ticket = 0;  // the policy's own note from `admit` to `observe`
};

// Whether the guest's code ran.
enum class Fate : std::uint8_t { kRan, kNeverStarted, kUnknown };

struct Outcome {
  ExecutionId id;
  UtcMicros started_at;
  UtcMicros ended_at;
  std::expected<protocol::ExecuteResponse, runners::DispatchFailure> answer;
  executions::ExecutionStatus status = executions::ExecutionStatus::kOk;
  Fate fate = Fate::kNeverStarted;

  // The guest's, the runner's or the transport's error; null when the guest answered.
  const Error* failure() const;
};

// Decides about calls and learns from them: quarantine, circuit breaker, quotas. One object for all cores: both
// functions are called on the call's core and must not block.
class InvocationPolicy {
 public:
  virtual ~InvocationPolicy() = default;
  // Before anything is logged or dispatched. An error (kQuarantined, kQuotaExceeded, …) refuses the call.
  virtual Status admit(std::size_t core, Invocation& invocation) = 0;
  // Exactly once for each call that `admit` let through, also where it could not be dispatched (Fate::kNeverStarted:
  // the extension has nothing to do with that). `invocation.call` is spent by then.
  virtual void observe(std::size_t core, const Invocation& invocation, const Outcome& outcome) = 0;
};

class Invoker {
 public:
  struct Dependencies {
    std::vector<runners::Dispatcher*> dispatchers;  // one per core
    executions::ExecutionLog& log;
    const Clock& clock;
    InvocationPolicy* policy = nullptr;  // none: every call is admitted
  };
  Invoker(Dependencies dependencies, metrics::Registry& registry);
  ~Invoker();

  std::size_t cores() const { return dependencies_.dispatchers.size(); }
  // An error is a refusal: nothing was logged and nothing ran. On the core's own thread.
  Task<Result<Outcome>> run(std::size_t core, Invocation invocation);

 private:
  Status admit(std::size_t core, Invocation& invocation, const executions::ExecutionStart& start);

  struct CoreState;
  Dependencies dependencies_;
  std::vector<std::unique_ptr<CoreState>> cores_;
  metrics::Counter& retries_;
  metrics::Counter& dropped_lines_;
};

}  // namespace bulkhead::invocations
