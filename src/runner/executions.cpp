#include "runner/executions.h"

#include <algorithm>

#include "protocol/execute_json.h"
#include "protocol/json_text.h"

namespace bulkhead::runner {
namespace {

constexpr std::size_t kKeptTenants = 1'024;  // records of idle tenants, kept because most come back
constexpr std::int64_t kRetryAfterMillis = 1'000;
constexpr std::int64_t kMostRetryMillis = 30'000;

protocol::ExecuteResponse error_response(Error error) {
  protocol::ExecuteResponse response;
  // extensions.md §3: the runner says 507, the gateway 502.
  response.status = error.code == ErrorCode::kMemoryExceeded ? 507 : error.http_status();
  response.error = std::move(error);
  return response;
}

protocol::ExecuteResponse to_response(sandbox::ExecutionResult result) {
  protocol::ExecuteResponse response;
  if (result.response) {
    auto answer = protocol::parse_guest_response(*result.response);
    response.status = answer.status;
    response.headers = std::move(answer.headers);
    response.body = std::move(answer.body);
  } else {
    response = error_response(std::move(result.response.error()));
  }
  response.usage = result.usage;
  response.logs = std::move(result.logs);
  response.logs_truncated = result.logs_truncated;
  return response;
}

bool is_empty_object(std::string_view text) {
  protocol::JsonCursor cursor(text);
  std::string name;
  return cursor.open_object() && !cursor.next_member(name) && cursor.finished();
}

}  // namespace

struct Tenant : Claimant {
  using Pending = boost::intrusive::list<Call, boost::intrusive::base_hook<PendingHook>>;
  Flow flow;
  Pending pending;  // constant-time size
  std::uint32_t live = 0;
  WaitEstimate turn;  // for a place among its own

  // It has a call that waits for nothing but room.
  bool may_claim() const { return !pending.empty() && live < pending.front().request.limits.tenant_concurrency; }
};

void Call::on_deadline() {
  // A guest that never began has not taken too long.
  const bool has_module = state != State::kWaitingForModule;
  owner->cancel(
      *this,
      has_module
          ? fail(ErrorCode::kTimeout, "The call reached its time limit.").error()
          : fail(ErrorCode::kBundleFetchFailed, "The bundle was not there within the call's time limit.").error());
}

void Call::on_module(const Result<ModulePtr>& module) { owner->module_arrived(*this, module); }

Executions::Executions(Deadlines& deadlines, ModuleCache& modules, const ExecutionLimits& limits, const Clock& clock)
    : deadlines_(deadlines),
      modules_(modules),
      limits_(limits),
      clock_(clock),
      ready_(limits.quantum),
      waiting_(limits.quantum) {}

Executions::~Executions() {
  while (!all_.empty()) {
    all_.front().origin = nullptr;
    cancel(all_.front(), fail(ErrorCode::kShuttingDown).error());
  }
}

Tenant& Executions::tenant_of(const TenantId& id) {
  if (const auto found = tenants_.find(id); found != tenants_.end()) return *found->second;
  if (tenants_.size() >= kKeptTenants) forget_idle_tenants();
  return *tenants_.emplace(id, std::make_unique<Tenant>()).first->second;
}

void Executions::forget_idle_tenants() {
  std::erase_if(tenants_, [](const auto& entry) { return entry.second->live == 0 && entry.second->pending.empty(); });
}

std::optional<Error> Executions::refusal(const Tenant& tenant, const protocol::Limits& limits) const {
  Error error;
  error.retry_after_ms = kRetryAfterMillis;
  if (draining_) {
    error.code = ErrorCode::kShuttingDown;
    return error;
  }
  const bool own_turn = tenant.live >= limits.tenant_concurrency;
  if (!own_turn && tenant.pending.empty() && live_ < limits_.max_live) return std::nullopt;
  const SteadyTime now = clock_.steady_now();
  const std::size_t ahead = tenant.pending.size() + 1;
  // Round by round each waiting tenant gets a place: this call's comes in its tenant's round `ahead`.
  const std::size_t claimants = waiting_.size() + (tenant.waits() ? 0 : 1);
  const std::size_t position = std::min<std::size_t>(queued_ + 1, ahead * claimants);
  const Micros own_wait = own_turn && ahead > 1 ? tenant.turn.for_position(ahead, now) : Micros(0);
  const Micros room_wait = live_ >= limits_.max_live && queued_ > 0 ? room_.for_position(position, now) : Micros(0);
  const Micros wait = std::max(own_wait, room_wait);
  const bool too_late = wait > limits.timeout;
  if (!too_late && queued_ < limits_.max_queued && tenant.pending.size() < limits.tenant_queue) return std::nullopt;
  error.retry_after_ms =
      std::clamp<std::int64_t>(std::chrono::duration_cast<Millis>(wait).count(), kRetryAfterMillis, kMostRetryMillis);
  if (!own_turn || queued_ >= limits_.max_queued) {
    error.code = ErrorCode::kRunnerOverloaded;
    return error;
  }
  error.code = ErrorCode::kConcurrencyExceeded;
  error.message = "The organization has " + std::to_string(tenant.live) + " calls running and " +
                  std::to_string(tenant.pending.size()) + " waiting.";
  return error;
}

void Executions::submit(std::unique_ptr<Call> owned) {
  Tenant& tenant = tenant_of(owned->request.context.tenant_id);
  if (auto refused = refusal(tenant, owned->request.limits)) {
    ++counts_.refused;
    ++counts_.failed;
    owned->origin->finished(*owned, error_response(std::move(*refused)));
    return;
  }
  Call& call = *owned.release();  // freed by `release`
  all_.push_back(call);
  call.owner = this;
  call.tenant = &tenant;
  call.arrived = clock_.steady_now();
  call.deadline = call.arrived + call.request.limits.timeout;
  const bool own_turn = tenant.live >= call.request.limits.tenant_concurrency;
  if (!own_turn && tenant.pending.empty() && live_ < limits_.max_live) {
    admit(call);
    return;
  }
  // The first that waits begins the measurement.
  if (tenant.pending.empty()) tenant.turn.begin(call.arrived);
  if (queued_ == 0) room_.begin(call.arrived);
  tenant.pending.push_back(call);
  ++queued_;
  if (tenant.may_claim()) waiting_.wait(tenant);
  deadlines_.set(call, call.deadline);
}

void Executions::admit(Call& call) {
  call.charged_us = waiting_.admit(*call.tenant);
  ++call.tenant->live;
  ++live_;
  const ContentHash& hash = call.request.context.content_hash;
  if (ModulePtr module = modules_.find(hash)) {
    make_ready(call, std::move(module));
    return;
  }
  if (call.link == nullptr) {
    end(call, fail(ErrorCode::kBundleFetchFailed, "The runner has no supervisor to ask for the module.").error());
    return;
  }
  call.state = Call::State::kWaitingForModule;
  deadlines_.set(call, call.deadline);
  modules_.wait(hash, call, *call.link);
}

void Executions::module_arrived(Call& call, const Result<ModulePtr>& module) {
  if (module) {
    make_ready(call, *module);
  } else {
    end(call, module.error());
  }
}

void Executions::make_ready(Call& call, ModulePtr module) {
  sandbox::ExecutionInput input;
  protocol::append_guest_request(input.request, call.request);
  input.limits = call.request.limits;
  input.deadline = call.deadline;
  auto execution = sandbox::Execution::create(std::move(module), std::move(input), *this);
  if (!execution) {
    end(call, std::move(execution.error()));
    return;
  }
  call.execution = std::move(*execution);
  call.execution->set_context(&call);
  // The guest has its own copy of the body from here on.
  if (auto* http = std::get_if<protocol::HttpCall>(&call.request.call)) std::string().swap(http->body);
  deadlines_.clear(call);
  call.state = Call::State::kReady;
  ready_.push(call.tenant->flow, call);
}

bool Executions::run_turn() {
  SteadyTime now = clock_.steady_now();
  const SteadyTime stop = now + limits_.turn;
  while (now < stop) {
    ReadyHook* next = ready_.pop();
    if (next == nullptr) return false;
    auto& call = static_cast<Call&>(*next);
    Flow& flow = call.tenant->flow;
    resume(call);
    const SteadyTime after = clock_.steady_now();
    ready_.charge(flow, std::chrono::duration_cast<Micros>(after - now));
    now = after;
  }
  return !ready_.empty();
}

void Executions::resume(Call& call) {
  call.state = Call::State::kRunning;
  switch (call.execution->resume()) {
    case sandbox::Progress::kDone:
      finish(call, to_response(call.execution->take_result()));
      return;
    case sandbox::Progress::kYielded:
      call.state = Call::State::kReady;
      ready_.push(call.tenant->flow, call);
      return;
    case sandbox::Progress::kWaiting:
      call.state = Call::State::kWaitingForHost;
      deadlines_.set(call, call.deadline);
  }
}

void Executions::cancel(Call& call, Error reason) {
  if (!call.execution) {
    end(call, std::move(reason));
    return;
  }
  if (call.state == Call::State::kReady) ready_.remove(call.tenant->flow, call);
  call.execution->cancel(std::move(reason));
  finish(call, to_response(call.execution->take_result()));
}

// Answers a call that has not come as far as having an instance.
void Executions::end(Call& call, Error error) { finish(call, error_response(std::move(error))); }

void Executions::finish(Call& call, protocol::ExecuteResponse response) {
  const auto wall = std::chrono::duration_cast<Micros>(clock_.steady_now() - call.arrived);
  response.usage.wall_us = static_cast<std::uint64_t>(wall.count());
  ++counts_.finished;
  if (response.error) ++counts_.failed;
  const Micros cpu(static_cast<std::int64_t>(response.usage.cpu_us));
  if (call.origin != nullptr) call.origin->finished(call, std::move(response));
  release(call, cpu);
}

void Executions::release(Call& call, Micros cpu) {
  Tenant& tenant = *call.tenant;
  deadlines_.clear(call);
  if (call.host_call != 0) host_calls_.erase(call.host_call);
  if (call.PendingHook::is_linked()) {
    tenant.pending.erase(Tenant::Pending::s_iterator_to(call));
    --queued_;
    if (!tenant.may_claim()) waiting_.withdraw(tenant);
  } else {
    const SteadyTime now = clock_.steady_now();
    --tenant.live;
    --live_;
    waiting_.settle(tenant, call.charged_us, cpu);
    room_.moved(now, queued_);
    tenant.turn.moved(now, tenant.pending.size());
    if (tenant.may_claim()) waiting_.wait(tenant);
  }
  all_.erase(AllCalls::s_iterator_to(call));
  delete &call;
  admit_waiting();
}

// Gives out the places that are free. Admitting can end a call, which frees its place: that comes back here.
void Executions::admit_waiting() {
  if (std::exchange(admitting_, true)) return;
  while (live_ < limits_.max_live) {
    Claimant* claimant = waiting_.next();
    if (claimant == nullptr) break;
    auto& tenant = static_cast<Tenant&>(*claimant);
    Call& call = tenant.pending.front();
    tenant.pending.pop_front();
    --queued_;
    admit(call);
    if (!tenant.may_claim()) waiting_.withdraw(tenant);
  }
  admitting_ = false;
}

Call* Executions::find(const CallOrigin& origin, std::uint64_t id) {
  // Cancelling is rare and the calls are few: no index for it.
  const auto found =
      std::ranges::find_if(all_, [&](const Call& call) { return call.origin == &origin && call.id == id; });
  return found == all_.end() ? nullptr : &*found;
}

void Executions::origin_gone(const CallOrigin& origin) {
  while (true) {
    const auto found = std::ranges::find_if(all_, [&](const Call& call) { return call.origin == &origin; });
    if (found == all_.end()) return;
    found->origin = nullptr;
    cancel(*found, fail(ErrorCode::kCancelled).error());
  }
}

void Executions::link_gone(const BrokerLink& link) {
  for (Call& call : all_) {
    if (call.link != &link) continue;
    call.link = nullptr;
    if (call.host_call == 0) continue;
    host_result(link, call.host_call, {.code = protocol::HostCode::kInternal, .response_json = {}});
  }
}

std::optional<sandbox::HostAnswer> Executions::start(sandbox::Execution& execution, sandbox::HostCallToken token,
                                                     std::string_view name, std::string_view request_json) {
  Call& call = *static_cast<Call*>(execution.context());
  ++counts_.host_calls;
  if (auto answer = answer_here(call, name, request_json)) return answer;
  if (call.link == nullptr) return sandbox::HostAnswer{.code = protocol::HostCode::kInternal, .response_json = {}};
  call.host_token = token;
  call.host_call = next_host_call_++;
  host_calls_.emplace(call.host_call, &call);
  if (call.request.handle == ExecutionHandle()) {
    call.held = Call::HeldHostCall{.name = std::string(name), .request_json = std::string(request_json)};
    call.link->send_open(call.host_call, call.request.context);
  } else {
    send_to_broker(call, std::string(name), std::string(request_json));
  }
  return std::nullopt;
}

// What the guest was given anyway needs no broker; a user that is not there may be a denial, which only the broker
// knows.
std::optional<sandbox::HostAnswer> Executions::answer_here(const Call& call, std::string_view name,
                                                           std::string_view request_json) {
  const bool context = name == "context.get";
  if (!context && (name != "user.get" || call.request.context.user_json.empty())) return std::nullopt;
  sandbox::HostAnswer answer;
  if (!is_empty_object(request_json)) {
    answer.code = protocol::HostCode::kInvalid;
  } else if (context) {
    protocol::append_guest_context(answer.response_json, call.request.context);
  } else {
    answer.response_json = call.request.context.user_json;
  }
  return answer;
}

void Executions::send_to_broker(Call& call, const std::string& name, const std::string& request_json) {
  call.link->send_host_call(call.host_call,
                            {.handle = call.request.handle, .name = name, .request_json = request_json});
}

void Executions::host_result(const BrokerLink& link, std::uint64_t id, protocol::HostResult result) {
  const auto found = host_calls_.find(id);
  if (found == host_calls_.end()) return;
  Call& call = *found->second;
  // Only the link that was asked may answer.
  if (call.link != &link && call.link != nullptr) return;
  host_calls_.erase(found);
  call.host_call = 0;
  if (call.held && result.code == protocol::HostCode::kOk && call.link != nullptr) {
    handle_opened(call, result);
    return;
  }
  call.held.reset();
  call.execution->complete_host_call(call.host_token,
                                     {.code = result.code, .response_json = std::move(result.response_json)});
  deadlines_.clear(call);
  call.state = Call::State::kReady;
  ready_.push(call.tenant->flow, call);
}

// The broker has minted a handle: now the host call itself can be sent.
void Executions::handle_opened(Call& call, const protocol::HostResult& result) {
  const Call::HeldHostCall held = std::move(*call.held);
  call.held.reset();
  std::array<std::uint8_t, 16> bytes{};
  if (result.response_json.size() == bytes.size()) {
    std::ranges::copy(result.response_json, bytes.begin());
    call.request.handle = ExecutionHandle::from_bytes(bytes);
  }
  call.host_call = next_host_call_++;
  host_calls_.emplace(call.host_call, &call);
  if (call.request.handle == ExecutionHandle()) {
    host_result(*call.link, call.host_call, {.code = protocol::HostCode::kInternal, .response_json = {}});
    return;
  }
  send_to_broker(call, held.name, held.request_json);
}

}  // namespace bulkhead::runner
