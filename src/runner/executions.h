// Executions: admits calls, runs them in fair turns on this thread, carries their host calls and ends each with exactly
// one answer.
//
// Limits (extensions.md §3): a tenant runs Limits::tenant_concurrency calls at once, all tenants together `max_live`.
// Whoever finds no place waits: Limits::tenant_queue calls of a tenant, `max_queued` of all. Places that become free go
// round between tenants (AdmissionQueue). Refused are calls beyond those bounds, and at once those that would wait
// longer than they have: for their own tenant's calls with concurrency_exceeded (429), for others' with
// runner_overloaded (503), both with retry-after. Owner: Runner; one thread. Must not be destroyed while its io_context
// still runs handlers.
#pragma once

#include <functional>
#include <unordered_map>

#include "runner/admission_queue.h"
#include "runner/call.h"

namespace bulkhead::runner {

struct ExecutionLimits {
  std::uint32_t max_live = 256;     // not more than the engine's slots
  std::uint32_t max_queued = 1024;  // over all tenants
  Micros quantum{1'000};            // run time that a tenant gets per round
  Micros turn{250};                 // run time before the loop looks at its sockets again
};

struct ExecutionCounts {
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;   // answered with an error, refusals included
  std::uint64_t refused = 0;  // never admitted
  std::uint64_t host_calls = 0;
};

class Executions final : public sandbox::HostCalls {
 public:
  Executions(Deadlines& deadlines, ModuleCache& modules, const ExecutionLimits& limits, const Clock& clock);
  ~Executions() override;

  // The call's answer goes to its origin, at the earliest before this returns (refusals). Then call run_turn.
  void submit(std::unique_ptr<Call> call);
  // Runs ready calls for about ExecutionLimits::turn. True when there is more to run.
  bool run_turn();

  // Ends a call early. `call` must be live, and not running.
  void cancel(Call& call, Error reason);
  // The call of that origin with that id, or null.
  Call* find(const CallOrigin& origin, std::uint64_t id);
  // Nobody waits for these answers any more: their calls end, silently.
  void origin_gone(const CallOrigin& origin);
  void link_gone(const BrokerLink& link);
  // The broker's answer; ignored when nobody waits for it (any more).
  void host_result(const BrokerLink& link, std::uint64_t id, protocol::HostResult result);

  // From now on every new call is refused with shutting_down.
  void drain() { draining_ = true; }
  std::uint32_t live() const { return live_; }
  std::uint32_t queued() const { return queued_; }
  bool idle() const { return all_.empty(); }
  const ExecutionCounts& counts() const { return counts_; }

  std::optional<sandbox::HostAnswer> start(sandbox::Execution& execution, sandbox::HostCallToken token,
                                           std::string_view name, std::string_view request_json) override;

 private:
  friend struct Call;
  using AllCalls =
      boost::intrusive::list<Call, boost::intrusive::base_hook<AllHook>, boost::intrusive::constant_time_size<false>>;

  Tenant& tenant_of(const TenantId& id);
  void forget_idle_tenants();
  std::optional<Error> refusal(const Tenant& tenant, const protocol::Limits& limits) const;
  void admit(Call& call);
  void admit_waiting();
  void module_arrived(Call& call, const Result<ModulePtr>& module);
  void make_ready(Call& call, ModulePtr module);
  void resume(Call& call);
  void end(Call& call, Error error);
  void finish(Call& call, protocol::ExecuteResponse response);
  void release(Call& call, Micros cpu);
  std::optional<sandbox::HostAnswer> answer_here(const Call& call, std::string_view name,
                                                 std::string_view request_json);
  void send_to_broker(Call& call, const std::string& name, const std::string& request_json);
  void handle_opened(Call& call, const protocol::HostResult& result);

  Deadlines& deadlines_;
  ModuleCache& modules_;
  ExecutionLimits limits_;
  const Clock& clock_;
  FairQueue ready_;
  AdmissionQueue waiting_;
  WaitEstimate room_;  // for a place among all
  bool admitting_ = false;
  AllCalls all_;
  std::unordered_map<TenantId, std::unique_ptr<Tenant>> tenants_;
  std::unordered_map<std::uint64_t, Call*> host_calls_;
  std::uint64_t next_host_call_ = 1;
  std::uint32_t live_ = 0;
  std::uint32_t queued_ = 0;
  bool draining_ = false;
  ExecutionCounts counts_;
};

}  // namespace bulkhead::runner
