// CallPolicy: what the last calls of an install mean for the next one. Refuses calls of quarantined installs and of
// those whose circuit breaker is open, and judges what came of the others (contracts/extensions.md §3).
//
// The two answer different questions. The breaker looks at seconds and heals by itself: an extension that fails most
// calls, for whatever reason, is paused for moments so that it does not use up what others need. Quarantine looks at
// minutes, counts only what no honest extension does, and ends when an admin ends it.
//
// One object for all cores: installs are spread over shards, each behind a mutex that is held for one look-up.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/random.h"
#include "features/guard/circuit_breaker.h"
#include "features/invocations/invoker.h"
#include "features/quarantine/failure_window.h"
#include "features/quarantine/quarantine_service.h"

namespace bulkhead::quarantine {

struct CallPolicyOptions {
  Thresholds thresholds;
  std::optional<Millis> quarantine_time;  // none: until an admin releases it
  bool breaker_enabled = true;
  guard::CircuitBreakerOptions breaker{.min_samples = 20};
};

class CallPolicy final : public invocations::InvocationPolicy {
 public:
  // All outlive it. `random` is used under locks of this class's own.
  CallPolicy(CallPolicyOptions options, QuarantineService& service, const Clock& clock, metrics::Registry& registry);
  ~CallPolicy() override;

  // kQuarantined with the time to wait.
  Status admit(std::size_t core, invocations::Invocation& invocation) override;
  void observe(std::size_t core, const invocations::Invocation& invocation,
               const invocations::Outcome& outcome) override;
  // It starts with a clean slate.
  void release(const InstallId& install);

 private:
  struct Watched;
  struct Shard;
  static constexpr std::size_t kShards = 16;
  Shard& shard_of(const InstallId& install);

  CallPolicyOptions options_;
  QuarantineService& service_;
  const Clock& clock_;
  metrics::Counter& refused_quarantined_;
  metrics::Counter& refused_paused_;
  metrics::Counter& opened_;
  std::array<metrics::Counter*, 8> outcomes_{};
  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace bulkhead::quarantine
