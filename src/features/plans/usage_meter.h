// UsageMeter: what each organization has used in the minute and the hour that it is now (UTC), and whether its plan
// allows one call more.
//
// In memory, per node: a minute's count is lost with the process, an hour's is taken up again from what the execution
// log has stored (PlanService::load). Calls in flight count as invocations from their admission; their CPU time and
// egress when they end, so a window can be overdrawn by what runs at once, which the concurrency bounds. Thread-safe:
// shards behind mutexes held for one look-up.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/ids.h"
#include "base/time.h"
#include "features/plans/plan.h"

namespace bulkhead::plans {

struct Usage {
  std::int64_t invocations = 0;
  std::int64_t cpu_us = 0;
  std::int64_t egress_bytes = 0;
};

struct UsageNow {
  Usage minute;
  Usage hour;
};

class UsageMeter {
 public:
  UsageMeter();
  ~UsageMeter();

  struct Refusal {
    std::string_view limit;  // "invocations_per_minute"
    Millis retry_after;      // until the window ends
  };
  // Counts one invocation, or says which limit of the plan is used up.
  std::optional<Refusal> begin(const TenantId& tenant, const Plan& plan, UtcMicros now);
  void end(const TenantId& tenant, std::int64_t cpu_us, std::int64_t egress_bytes, UtcMicros now);
  // What was used in the hour of `now` before this process started.
  void add_hour(const TenantId& tenant, const Usage& used, UtcMicros now);
  UsageNow now(const TenantId& tenant, UtcMicros now) const;

 private:
  struct Shard;
  static constexpr std::size_t kShards = 16;
  Shard& shard_of(const TenantId& tenant) const;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace bulkhead::plans
