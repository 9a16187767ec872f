#include "features/invocations/invoker.h"

#include <algorithm>
#include <utility>

#include "features/access/request_identity.h"
#include "features/invocations/execution_end.h"
#include "platform/async/cores.h"

namespace bulkhead::invocations {
namespace {

constexpr int kMaxRetries = 2;
constexpr std::size_t kMaxLoggedPath = 2'048;

// Only what the transport says may be tried again; a guest's own 5xx is its answer.
bool may_retry(Retry retry, const runners::DispatchFailure& failure) {
  const int status = failure.error.http_status();
  const bool transport = status == 502 || status == 503 || status == 504;
  if (!transport || retry == Retry::kNever) return false;
  return retry == Retry::kAlways || !failure.dispatched;
}

// Whether the guest's code ran at all; the runner refuses these before it does.
bool guest_started(const protocol::ExecuteResponse& answer) {
  if (!answer.error) return true;
  switch (answer.error->code) {
    case ErrorCode::kBundleFetchFailed:
    case ErrorCode::kArchiveHashMismatch:
    case ErrorCode::kRunnerSignatureInvalid:
    case ErrorCode::kModuleInvalid:
    case ErrorCode::kAbiMissingExport:
    case ErrorCode::kConcurrencyExceeded:
    case ErrorCode::kRunnerOverloaded:
    case ErrorCode::kQuarantined:
      return false;
    default:
      return true;
  }
}

executions::ExecutionStart start_of(const Invocation& invocation, const ExecutionId& id, UtcMicros now) {
  const extensions::InstalledExtension& install = *invocation.install;
  const bool traced = !invocation.trace_parent.empty();
  return {.id = id,
          .tenant_id = install.tenant_id,
          .install_id = install.install_id,
          .extension_id = install.extension_id,
          .version_id = invocation.version->version_id,
          .kind = invocation.kind,
          .started_at = now,
          .request_id = invocation.request_id,
          .trace_id = traced ? std::string(access::trace_id_of(invocation.trace_parent)) : std::string(),
          .method = invocation.method,
          .path = invocation.path.substr(0, kMaxLoggedPath)};
}

// Takes the call, and the texts that the log row has its own copies of.
protocol::ExecuteRequest request_of(Invocation& invocation) {
  const extensions::InstalledExtension& install = *invocation.install;
  protocol::ExecuteRequest request;
  request.context = {.request_id = invocation.request_id,
                     .tenant_id = install.tenant_id,
                     .extension_id = install.extension_id,
                     .install_id = install.install_id,
                     .content_hash = invocation.version->content_hash,
                     .version_id = invocation.version->version_id,
                     .config_json = install.config_json,
                     .user_json = std::move(invocation.user_json),
                     .trace_parent = invocation.trace_parent,
                     .hops = invocation.hops};
  request.limits = install.limits;
  if (invocation.timeout) request.limits.timeout = *invocation.timeout;
  request.limits.timeout = std::min(request.limits.timeout, invocation.caps.timeout);
  request.limits.memory = std::min(request.limits.memory, invocation.caps.memory);
  request.limits.tenant_concurrency = std::min(request.limits.tenant_concurrency, invocation.caps.concurrency);
  request.limits.tenant_queue = std::min(request.limits.tenant_queue, invocation.caps.queue);
  request.call = std::move(invocation.call);
  return request;
}

// Without log.emit (contract: extensions.md, manifest) the call runs as it does with it; its lines are dropped.
std::size_t drop_ungranted_logs(const Invocation& invocation, protocol::ExecuteResponse& answer) {
  if (invocation.install->may("log.emit")) return 0;
  answer.logs_truncated = false;
  return std::exchange(answer.logs, {}).size();
}

Fate fate_of(const std::expected<protocol::ExecuteResponse, runners::DispatchFailure>& answer) {
  if (answer) return guest_started(*answer) ? Fate::kRan : Fate::kNeverStarted;
  return answer.error().dispatched ? Fate::kUnknown : Fate::kNeverStarted;
}

}  // namespace

const Error* Outcome::failure() const {
  if (!answer) return &answer.error().error;
  return answer->error ? &*answer->error : nullptr;
}

struct Invoker::CoreState {
  SystemRandom random;
};

Invoker::Invoker(Dependencies dependencies, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)),
      retries_(registry.counter("dispatch_retries_total", "Dispatches tried again after a transport failure.")),
      dropped_lines_(registry.counter("guest_log_lines_not_granted_total",
                                      "Log lines of guests that were dropped for want of log.emit.")) {
  for (std::size_t i = 0; i < dependencies_.dispatchers.size(); ++i) cores_.push_back(std::make_unique<CoreState>());
}

Invoker::~Invoker() = default;

Status Invoker::admit(std::size_t core, Invocation& invocation, const executions::ExecutionStart& start) {
  InvocationPolicy* policy = dependencies_.policy;
  if (policy != nullptr) BH_TRY_VOID(policy->admit(core, invocation));
  Status begun = dependencies_.log.at(core).begin(start);
  if (!begun && policy != nullptr) {
    const UtcMicros now = dependencies_.clock.now();
    policy->observe(core, invocation,
                    {.id = start.id,
                     .started_at = start.started_at,
                     .ended_at = now,
                     .answer = std::unexpected(runners::DispatchFailure{.error = begun.error(), .dispatched = false}),
                     .status = executions::ExecutionStatus::kUpstreamError,
                     .fate = Fate::kNeverStarted});
  }
  return begun;
}

Task<Result<Outcome>> Invoker::run(std::size_t core, Invocation invocation) {
  Random& random = cores_[core]->random;
  executions::Execution execution;
  const UtcMicros started = dependencies_.clock.now();
  execution.start = start_of(invocation, ExecutionId::v7(started, random), started);
  if (Status admitted = admit(core, invocation, execution.start); !admitted) co_return fail(admitted.error());

  protocol::ExecuteRequest request = request_of(invocation);
  runners::Dispatcher& dispatcher = *dependencies_.dispatchers[core];
  auto answer = co_await dispatcher.execute(request, invocation.install, invocation.early_end);
  for (int retry = 0; !answer && retry < kMaxRetries && may_retry(invocation.retry, answer.error()); ++retry) {
    retries_.add();
    // 50–150 ms, then 150–450 ms: about the time a runner takes to come back.
    const std::int64_t base = retry == 0 ? 50 : 150;
    co_await sleep_for(Millis(base + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * base)))));
    answer = co_await dispatcher.execute(request, invocation.install, invocation.early_end);
  }

  const UtcMicros ended = dependencies_.clock.now();
  if (answer) {
    if (const std::size_t dropped = drop_ungranted_logs(invocation, *answer); dropped > 0) dropped_lines_.add(dropped);
  }
  execution.end = answer ? execution_end(execution.start.id, *answer, ended)
                         : execution_end(execution.start.id, answer.error().error, ended);
  const Fate fate = fate_of(answer);
  Outcome outcome{.id = execution.start.id,
                  .started_at = started,
                  .ended_at = ended,
                  .answer = std::move(answer),
                  .status = execution.end.status,
                  .fate = fate};
  if (dependencies_.policy != nullptr) dependencies_.policy->observe(core, invocation, outcome);
  dependencies_.log.at(core).finish(std::move(execution));
  co_return outcome;
}

}  // namespace bulkhead::invocations
