// Plans: named sets of limits that the operator sells or grants to organizations, from [plans.NAME] of the
// configuration. A plan is a maximum: an install's own limits hold within it, an endpoint's within those
// (contracts/extensions.md §3). Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace bulkhead::plans {

struct Plan {
  std::string name = "default";
  // Of each call, and of the organization's calls at once.
  std::int64_t timeout_ms = 30'000;
  std::int64_t memory_mb = 1'024;
  std::int64_t concurrency = 1'000;
  std::int64_t queue = 10'000;
  // Of all calls of the organization in a window of UTC time; 0 = no limit.
  std::int64_t invocations_per_minute = 0;
  std::int64_t invocations_per_hour = 0;
  std::int64_t cpu_ms_per_minute = 0;
  std::int64_t cpu_ms_per_hour = 0;
  std::int64_t egress_mb_per_hour = 0;

  bool operator==(const Plan&) const = default;
};

struct PlanField {
  std::string_view name;
  std::int64_t Plan::* member;
  std::int64_t least;
  std::int64_t most;  // the hard maximum
};
inline constexpr std::int64_t kNoEnd = 1'000'000'000'000;
inline constexpr std::array<PlanField, 9> kPlanFields = {{
    {"timeout_ms", &Plan::timeout_ms, 1, 30'000},
    {"memory_mb", &Plan::memory_mb, 1, 1'024},
    {"concurrency", &Plan::concurrency, 1, 1'000},
    {"queue", &Plan::queue, 0, 10'000},
    {"invocations_per_minute", &Plan::invocations_per_minute, 0, kNoEnd},
    {"invocations_per_hour", &Plan::invocations_per_hour, 0, kNoEnd},
    {"cpu_ms_per_minute", &Plan::cpu_ms_per_minute, 0, kNoEnd},
    {"cpu_ms_per_hour", &Plan::cpu_ms_per_hour, 0, kNoEnd},
    {"egress_mb_per_hour", &Plan::egress_mb_per_hour, 0, kNoEnd},
}};

// By name. "default" is always there once PlanService is made.
using Plans = std::map<std::string, Plan, std::less<>>;

}  // namespace bulkhead::plans
