// All SQL of the executions room: the execution log and usage per window.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "features/executions/execution_record.h"
#include "platform/sql/database.h"

namespace bulkhead::executions {

// Usage windows are whole hours (UTC).
inline constexpr Micros kUsageWindow = std::chrono::hours(1);

struct ExecutionFilter {
  std::optional<ExecutionStatus> status;
  std::optional<std::string> request_id;
  std::optional<UtcMicros> ended_before;  // exclusive; with `before_id` the cursor of the next page
  std::optional<ExecutionId> before_id;
  std::optional<UtcMicros> ended_since;  // inclusive
  bool oldest_first = false;
  int limit = 50;
};

struct UsageWindow {
  UtcMicros start;
  std::int64_t invocations = 0;
  std::int64_t errors = 0;
  double cpu_ms = 0;     // fractional: most calls take less than one
  double mem_mb_ms = 0;  // peak memory × wall time
  std::int64_t egress_bytes = 0;
};

// Whether some of the rows may be in the log already: after a replay, or a write whose outcome is not known.
enum class Offered : std::uint8_t { kOnce, kPerhapsBefore };

// Inserts what is not there yet and adds the usage of exactly the inserted rows. Returns how many were new. With kOnce,
// which is cheaper, a row that is there already is an error (kAlreadyExists).
Result<std::int64_t> record_executions(sql::SystemTx& tx, std::span<const Execution> executions, Offered offered);

Result<std::vector<Execution>> list_executions(sql::TenantTx& tx, const InstallId& install,
                                               const ExecutionFilter& filter);
// Newest window first.
Result<std::vector<UsageWindow>> list_usage(sql::TenantTx& tx, const InstallId& install, UtcMicros since, int limit);

// What each organization has used in the window of `now`.
Result<std::vector<std::pair<TenantId, UsageWindow>>> sum_usage_by_tenant(sql::SystemTx& tx, UtcMicros now);

// Deletes at most `limit` rows that started before `cutoff`. Returns how many.
Result<std::int64_t> forget_executions(sql::SystemTx& tx, UtcMicros cutoff, int limit);

}  // namespace bulkhead::executions
