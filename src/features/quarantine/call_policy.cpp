#include "features/quarantine/call_policy.h"

#include "features/quarantine/call_signs.h"
#include "platform/observe/log.h"

namespace bulkhead::quarantine {
namespace {

constexpr std::size_t kWatchedPerShard = 4'096;
// Without an end nobody knows when to ask again; an admin's release takes a while to come.
constexpr Millis kAskAgain{60'000};

std::unexpected<Error> refuse(std::string message, Millis retry_after) {
  auto refused = fail(ErrorCode::kQuarantined, std::move(message));
  refused.error().retry_after_ms = std::max<std::int64_t>(1, retry_after.count());
  return refused;
}

}  // namespace

struct CallPolicy::Watched {
  Watched(const guard::CircuitBreakerOptions& options, const Clock& clock, Random& random)
      : breaker(options, clock, random) {}
  FailureWindow window;
  guard::CircuitBreaker breaker;
};

struct CallPolicy::Shard {
  std::mutex mutex;
  SystemRandom random;
  std::unordered_map<InstallId, Watched> installs;  // guarded by mutex
};

CallPolicy::CallPolicy(CallPolicyOptions options, QuarantineService& service, const Clock& clock,
                       metrics::Registry& registry)
    : options_(std::move(options)),
      service_(service),
      clock_(clock),
      refused_quarantined_(registry.counter("extension_calls_refused_total", "Calls refused for what earlier ones did.",
                                            {{"why", "quarantined"}})),
      refused_paused_(registry.counter("extension_calls_refused_total", "Calls refused for what earlier ones did.",
                                       {{"why", "circuit_open"}})),
      opened_(registry.counter("extension_circuit_opened_total", "Circuit breakers of installs that opened.")) {
  for (std::size_t i = 0; i < kEndings; ++i) {
    outcomes_.at(i) = &registry.counter("extension_calls_total", "Calls of extensions by how they ended.",
                                        {{"ending", std::string(to_string(static_cast<Ending>(i)))}});
  }
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}

CallPolicy::~CallPolicy() = default;

CallPolicy::Shard& CallPolicy::shard_of(const InstallId& install) {
  return *shards_.at(std::hash<InstallId>()(install) % kShards);
}

Status CallPolicy::admit(std::size_t, invocations::Invocation& invocation) {
  const InstallId& install = invocation.install->install_id;
  if (const auto quarantine = service_.find(install)) {
    refused_quarantined_.add();
    const Millis left =
        quarantine->until ? std::chrono::duration_cast<Millis>(*quarantine->until - clock_.now()) : kAskAgain;
    return refuse("The extension is quarantined: " + quarantine->message + " An admin can release it.", left);
  }
  if (!options_.breaker_enabled) return {};
  Shard& shard = shard_of(install);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.installs.find(install);
  if (found == shard.installs.end()) return {};
  const auto admission = found->second.breaker.admit();
  invocation.breaker_ticket = admission.ticket.generation;
  if (admission.allowed) return {};
  refused_paused_.add();
  return refuse("The extension failed too often in the last seconds and is paused.", admission.retry_after);
}

void CallPolicy::observe(std::size_t, const invocations::Invocation& invocation, const invocations::Outcome& outcome) {
  outcomes_.at(static_cast<std::size_t>(ending_of(outcome)))->add();
  const extensions::InstalledExtension& install = *invocation.install;
  const CallSigns signs = signs_of(outcome);
  const auto breaker_outcome = breaker_outcome_of(outcome);
  const SteadyTime now = clock_.steady_now();
  std::optional<FailureWindow::Verdict> verdict;
  bool opened = false;
  {
    Shard& shard = shard_of(install.install_id);
    const std::lock_guard lock(shard.mutex);
    if (shard.installs.size() >= kWatchedPerShard) {
      std::erase_if(shard.installs, [&](const auto& entry) {
        return entry.second.window.is_quiet(now, options_.thresholds) && entry.second.breaker.is_quiet();
      });
    }
    auto [entry, added] = shard.installs.try_emplace(install.install_id, options_.breaker, clock_, shard.random);
    Watched& watched = entry->second;
    // 0: admitted before anybody watched, which is the breaker's first state.
    const std::uint32_t ticket = std::max(1U, invocation.breaker_ticket);
    if (options_.breaker_enabled) opened = watched.breaker.record({ticket}, breaker_outcome);
    if (outcome.fate != invocations::Fate::kNeverStarted) watched.window.count(signs, now, options_.thresholds);
    if (signs.trapped || signs.out_of_memory || signs.violations > 0) {
      verdict = watched.window.verdict(now, options_.thresholds);
    }
    if (verdict) watched.window.reset();
  }
  if (opened) {
    opened_.add();
    log::warn("install_circuit_opened", {{"install_id", install.install_id.to_string()}});
  }
  if (!verdict || service_.find(install.install_id)) return;
  Quarantine quarantine{.tenant = install.tenant_id,
                        .install = install.install_id,
                        .extension = install.extension_id,
                        .reason = verdict->reason,
                        .message = std::move(verdict->message),
                        .since = clock_.now(),
                        .until = {}};
  if (options_.quarantine_time) quarantine.until = quarantine.since + Micros(*options_.quarantine_time);
  service_.hold(std::move(quarantine));
}

void CallPolicy::release(const InstallId& install) {
  Shard& shard = shard_of(install);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.installs.find(install);
  if (found == shard.installs.end()) return;
  found->second.window.reset();
  found->second.breaker.reset();
}

}  // namespace bulkhead::quarantine
