#include "features/executions/execution_store.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include "base/utf8.h"

namespace bulkhead::executions {
namespace {

constexpr std::size_t kColumns = 21;
constexpr std::size_t kRowsPerStatement = 40;  // 840 parameters: under SQLite's and PostgreSQL's limits
constexpr std::string_view kColumnList =
    "id, tenant_id, install_id, extension_id, version_id, kind, request_id, trace_id, method, path, status, "
    "http_status, "
    "error_code, error_message, started_at, ended_at, cpu_us, memory_bytes, egress_bytes, host_calls, logs";

std::string insert_statement(std::size_t rows, Offered offered) {
  std::string text = "INSERT INTO extension_execution_log (" + std::string(kColumnList) + ") VALUES ";
  std::size_t parameter = 1;
  for (std::size_t row = 0; row < rows; ++row) {
    text += row == 0 ? "(" : ", (";
    for (std::size_t column = 0; column < kColumns; ++column) {
      if (column > 0) text += ",";
      text += "$" + std::to_string(parameter++);
    }
    text += ")";
  }
  if (offered == Offered::kPerhapsBefore) text += " ON CONFLICT (id) DO NOTHING RETURNING id";
  return text;
}

sql::Value null_when_empty(const std::string& text, std::size_t most) {
  return text.empty() ? sql::Value() : sql::Value(clean_utf8(text, most));
}

// One by one: an initializer list would copy every text once more.
void append_row(sql::Values& values, const Execution& execution) {
  const ExecutionStart& start = execution.start;
  const ExecutionEnd& end = execution.end;
  values.emplace_back(start.id);
  values.emplace_back(start.tenant_id);
  values.emplace_back(start.install_id);
  values.emplace_back(start.extension_id);
  values.emplace_back(start.version_id);
  values.emplace_back(to_string(start.kind));
  values.emplace_back(clean_utf8(start.request_id, 128));
  values.emplace_back(clean_utf8(start.trace_id, 64));
  values.emplace_back(clean_utf8(start.method, 32));
  values.emplace_back(clean_utf8(start.path, 2048));
  values.emplace_back(to_string(end.status));
  values.emplace_back(std::int64_t{end.http_status});
  values.push_back(null_when_empty(end.error_code, 64));
  values.push_back(null_when_empty(end.error_message, 2048));
  values.emplace_back(start.started_at);
  values.emplace_back(end.ended_at);
  values.emplace_back(end.cpu_us);
  values.emplace_back(end.memory_bytes);
  values.emplace_back(end.egress_bytes);
  values.emplace_back(end.host_calls);
  values.push_back(null_when_empty(end.logs_json, 512 * 1024));
}

UsageWindow usage_of(const Execution& execution) {
  const auto wall_us = std::max<std::int64_t>(0, (execution.end.ended_at - execution.start.started_at).count());
  const double memory_mb = static_cast<double>(execution.end.memory_bytes) / (1024.0 * 1024.0);
  UsageWindow usage;
  usage.invocations = 1;
  usage.errors = execution.end.status == ExecutionStatus::kOk ? 0 : 1;
  usage.cpu_ms = static_cast<double>(execution.end.cpu_us) / 1000.0;
  usage.mem_mb_ms = memory_mb * static_cast<double>(wall_us) / 1000.0;
  usage.egress_bytes = static_cast<std::int64_t>(execution.end.egress_bytes);
  return usage;
}

// What a batch adds to the usage of installs, per window.
class UsageSums {
 public:
  void add(const Execution& execution) {
    const ExecutionStart& start = execution.start;
    UsageWindow& sum = sums_[{start.tenant_id, start.install_id,
                              start.started_at.value / kUsageWindow.count() * kUsageWindow.count()}];
    const UsageWindow one = usage_of(execution);
    sum.invocations += one.invocations;
    sum.errors += one.errors;
    sum.cpu_ms += one.cpu_ms;
    sum.mem_mb_ms += one.mem_mb_ms;
    sum.egress_bytes += one.egress_bytes;
  }

  Status write(sql::SystemTx& tx) const {
    for (const auto& [key, usage] : sums_) {
      const auto& [tenant, install, start] = key;
      BH_TRY_VOID(tx.execute(
          "INSERT INTO extension_quota_usage (tenant_id, install_id, window_start, invocations, errors, cpu_ms, "
          "mem_mb_ms, egress_bytes) VALUES ($1,$2,$3,$4,$5,$6,$7,$8) "
          "ON CONFLICT (tenant_id, install_id, window_start) DO UPDATE SET "
          "invocations = extension_quota_usage.invocations + excluded.invocations, "
          "errors = extension_quota_usage.errors + excluded.errors, "
          "cpu_ms = extension_quota_usage.cpu_ms + excluded.cpu_ms, "
          "mem_mb_ms = extension_quota_usage.mem_mb_ms + excluded.mem_mb_ms, "
          "egress_bytes = extension_quota_usage.egress_bytes + excluded.egress_bytes",
          {tenant, install, start, usage.invocations, usage.errors, usage.cpu_ms, usage.mem_mb_ms,
           usage.egress_bytes}));
    }
    return {};
  }

 private:
  std::map<std::tuple<TenantId, InstallId, std::int64_t>, UsageWindow> sums_;
};

ExecutionStatus parse_status(const std::string& text) {
  for (int i = 0; i <= static_cast<int>(ExecutionStatus::kUpstreamError); ++i) {
    if (to_string(static_cast<ExecutionStatus>(i)) == text) return static_cast<ExecutionStatus>(i);
  }
  return ExecutionStatus::kError;
}

ExecutionKind parse_kind(const std::string& text) {
  for (int i = 0; i <= static_cast<int>(ExecutionKind::kTest); ++i) {
    if (to_string(static_cast<ExecutionKind>(i)) == text) return static_cast<ExecutionKind>(i);
  }
  return ExecutionKind::kHttp;
}

Execution read_row(const sql::Row& row) {
  Execution execution;
  execution.start = {.id = row.id<ExecutionId>(0),
                     .tenant_id = row.id<TenantId>(1),
                     .install_id = row.id<InstallId>(2),
                     .extension_id = row.id<ExtensionId>(3),
                     .version_id = row.id<VersionId>(4),
                     .kind = parse_kind(row.text(5)),
                     .started_at = row.time(14),
                     .request_id = row.text(6),
                     .trace_id = row.text(7),
                     .method = row.text(8),
                     .path = row.text(9)};
  execution.end = {.id = execution.start.id,
                   .status = parse_status(row.text(10)),
                   .http_status = static_cast<int>(row.integer(11)),
                   .error_code = row.optional_text(12).value_or(""),
                   .error_message = row.optional_text(13).value_or(""),
                   .ended_at = row.time(15),
                   .cpu_us = static_cast<std::uint64_t>(row.integer(16)),
                   .memory_bytes = static_cast<std::uint64_t>(row.integer(17)),
                   .egress_bytes = static_cast<std::uint64_t>(row.integer(18)),
                   .host_calls = static_cast<std::uint32_t>(row.integer(19)),
                   .logs_json = row.optional_text(20).value_or("")};
  return execution;
}

}  // namespace

Result<std::int64_t> record_executions(sql::SystemTx& tx, std::span<const Execution> executions, Offered offered) {
  UsageSums usage;
  std::int64_t inserted = 0;
  static const std::string full_statement = insert_statement(kRowsPerStatement, Offered::kOnce);
  for (std::size_t at = 0; at < executions.size(); at += kRowsPerStatement) {
    const auto chunk = executions.subspan(at, std::min(kRowsPerStatement, executions.size() - at));
    sql::Values values;
    values.reserve(chunk.size() * kColumns);
    for (const Execution& execution : chunk) append_row(values, execution);
    const bool is_full = chunk.size() == kRowsPerStatement && offered == Offered::kOnce;
    BH_TRY(const sql::Rows rows, tx.query(is_full ? full_statement : insert_statement(chunk.size(), offered), values));

    std::unordered_set<std::string> fresh;
    for (const sql::Row& row : rows) fresh.insert(row.text(0));
    for (const Execution& execution : chunk) {
      if (offered == Offered::kPerhapsBefore && !fresh.contains(execution.start.id.to_string())) continue;
      usage.add(execution);
      ++inserted;
    }
  }
  BH_TRY_VOID(usage.write(tx));
  return inserted;
}

Result<std::vector<Execution>> list_executions(sql::TenantTx& tx, const InstallId& install,
                                               const ExecutionFilter& filter) {
  std::string statement =
      "SELECT " + std::string(kColumnList) + " FROM extension_execution_log WHERE tenant_id = $1 AND install_id = $2";
  sql::Values values = {install};
  const auto bind = [&](sql::Value value) {
    values.push_back(std::move(value));
    return "$" + std::to_string(values.size() + 1);
  };
  if (filter.status) statement += " AND status = " + bind(to_string(*filter.status));
  if (filter.request_id) statement += " AND request_id = " + bind(*filter.request_id);
  if (filter.ended_since) statement += " AND ended_at >= " + bind(*filter.ended_since);
  if (filter.ended_before) {
    const std::string time = bind(*filter.ended_before);
    statement += " AND (ended_at < " + time;
    if (filter.before_id) statement += " OR (ended_at = " + time + " AND id < " + bind(*filter.before_id) + ")";
    statement += ")";
  }
  statement += filter.oldest_first ? " ORDER BY ended_at, id" : " ORDER BY ended_at DESC, id DESC";
  statement += " LIMIT " + bind(filter.limit);
  BH_TRY(const sql::Rows rows, tx.query(statement, std::move(values)));
  std::vector<Execution> executions;
  executions.reserve(rows.size());
  for (const sql::Row& row : rows) executions.push_back(read_row(row));
  return executions;
}

Result<std::vector<UsageWindow>> list_usage(sql::TenantTx& tx, const InstallId& install, UtcMicros since, int limit) {
  BH_TRY(
      const sql::Rows rows,
      tx.query("SELECT window_start, invocations, errors, cpu_ms, mem_mb_ms, egress_bytes FROM extension_quota_usage "
               "WHERE tenant_id = $1 AND install_id = $2 AND window_start >= $3 ORDER BY window_start DESC LIMIT $4",
               {install, since, limit}));
  std::vector<UsageWindow> windows;
  for (const sql::Row& row : rows) {
    windows.push_back({row.time(0), row.integer(1), row.integer(2), row.real(3), row.real(4), row.integer(5)});
  }
  return windows;
}

Result<std::vector<std::pair<TenantId, UsageWindow>>> sum_usage_by_tenant(sql::SystemTx& tx, UtcMicros now) {
  const UtcMicros start{now.value / kUsageWindow.count() * kUsageWindow.count()};
  BH_TRY(const auto rows,
         tx.query("SELECT tenant_id, CAST(SUM(invocations) AS BIGINT), CAST(SUM(cpu_ms) AS DOUBLE PRECISION), "
                  "CAST(SUM(egress_bytes) AS BIGINT) FROM extension_quota_usage WHERE window_start = $1 "
                  "GROUP BY tenant_id",
                  {start}));
  std::vector<std::pair<TenantId, UsageWindow>> sums;
  for (const auto& row : rows) {
    UsageWindow usage;
    usage.start = start;
    usage.invocations = row.integer(1);
    usage.cpu_ms = row.real(2);
    usage.egress_bytes = row.integer(3);
    sums.emplace_back(row.id<TenantId>(0), usage);
  }
  return sums;
}

Result<std::int64_t> forget_executions(sql::SystemTx& tx, UtcMicros cutoff, int limit) {
  // The smallest UUIDv7 of that millisecond: ids sort by start time.
  std::array<std::uint8_t, 16> least{};
  const auto millis = static_cast<std::uint64_t>(cutoff.value / 1000);
  for (std::size_t i = 0; i < 6; ++i) least[i] = static_cast<std::uint8_t>(millis >> (40 - 8 * i));
  return tx.execute(
      "DELETE FROM extension_execution_log WHERE id IN "
      "(SELECT id FROM extension_execution_log WHERE id < $1 ORDER BY id LIMIT $2)",
      {Uuid::from_bytes(least).to_string(), limit});
}

}  // namespace bulkhead::executions
