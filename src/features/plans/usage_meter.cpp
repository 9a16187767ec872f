#include "features/plans/usage_meter.h"

namespace bulkhead::plans {
namespace {

constexpr std::int64_t kMinute = 60'000'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::size_t kTenantsPerShard = 16'384;

struct Window {
  std::int64_t number = -1;
  Usage used;

  Usage& at(UtcMicros now, std::int64_t length) {
    if (const std::int64_t current = now.value / length; number != current) {
      number = current;
      used = {};
    }
    return used;
  }
  Usage read(UtcMicros now, std::int64_t length) const { return number == now.value / length ? used : Usage{}; }
};

struct Windows {
  Window minute;
  Window hour;
};

Millis left_of(UtcMicros now, std::int64_t length) { return Millis((length - now.value % length) / 1'000 + 1); }

bool used_up(std::int64_t used, std::int64_t limit) { return limit > 0 && used >= limit; }

}  // namespace

struct UsageMeter::Shard {
  std::mutex mutex;
  std::unordered_map<TenantId, Windows> tenants;  // guarded by mutex
};

UsageMeter::UsageMeter() {
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}
UsageMeter::~UsageMeter() = default;

UsageMeter::Shard& UsageMeter::shard_of(const TenantId& tenant) const {
  return *shards_.at(std::hash<TenantId>()(tenant) % kShards);
}

std::optional<UsageMeter::Refusal> UsageMeter::begin(const TenantId& tenant, const Plan& plan, UtcMicros now) {
  Shard& shard = shard_of(tenant);
  const std::lock_guard lock(shard.mutex);
  if (shard.tenants.size() >= kTenantsPerShard) {
    std::erase_if(shard.tenants, [&](const auto& entry) { return entry.second.hour.number != now.value / kHour; });
  }
  Windows& windows = shard.tenants[tenant];
  Usage& minute = windows.minute.at(now, kMinute);
  Usage& hour = windows.hour.at(now, kHour);
  const struct {
    bool used_up;
    std::string_view limit;
    std::int64_t length;
  } checks[] = {
      {used_up(hour.invocations, plan.invocations_per_hour), "invocations_per_hour", kHour},
      {used_up(hour.cpu_us, plan.cpu_ms_per_hour * 1'000), "cpu_ms_per_hour", kHour},
      {used_up(hour.egress_bytes, plan.egress_mb_per_hour * 1'000'000), "egress_mb_per_hour", kHour},
      {used_up(minute.invocations, plan.invocations_per_minute), "invocations_per_minute", kMinute},
      {used_up(minute.cpu_us, plan.cpu_ms_per_minute * 1'000), "cpu_ms_per_minute", kMinute},
  };
  for (const auto& check : checks) {
    if (check.used_up) return Refusal{check.limit, left_of(now, check.length)};
  }
  ++minute.invocations;
  ++hour.invocations;
  return std::nullopt;
}

void UsageMeter::end(const TenantId& tenant, std::int64_t cpu_us, std::int64_t egress_bytes, UtcMicros now) {
  Shard& shard = shard_of(tenant);
  const std::lock_guard lock(shard.mutex);
  Windows& windows = shard.tenants[tenant];
  for (Usage* used : {&windows.minute.at(now, kMinute), &windows.hour.at(now, kHour)}) {
    used->cpu_us += cpu_us;
    used->egress_bytes += egress_bytes;
  }
}

void UsageMeter::add_hour(const TenantId& tenant, const Usage& used, UtcMicros now) {
  Shard& shard = shard_of(tenant);
  const std::lock_guard lock(shard.mutex);
  Usage& hour = shard.tenants[tenant].hour.at(now, kHour);
  hour.invocations += used.invocations;
  hour.cpu_us += used.cpu_us;
  hour.egress_bytes += used.egress_bytes;
}

UsageNow UsageMeter::now(const TenantId& tenant, UtcMicros now) const {
  Shard& shard = shard_of(tenant);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(tenant);
  if (found == shard.tenants.end()) return {};
  return {.minute = found->second.minute.read(now, kMinute), .hour = found->second.hour.read(now, kHour)};
}

}  // namespace bulkhead::plans
