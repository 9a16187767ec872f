#include "features/executions/log_tail.h"

#include <unordered_set>

#include "features/executions/execution_store.h"
#include "platform/async/cores.h"

namespace bulkhead::executions {
namespace {

constexpr Millis kPollInterval{250};
constexpr Millis kKeepAlive{15'000};
constexpr Micros kWindow = std::chrono::seconds(5);
constexpr int kPage = 500;
constexpr auto kLongest = std::chrono::hours(1);

std::string event_text(const Execution& execution) {
  return "event: execution\ndata: " + json::serialize(execution_json(execution)) + "\n\n";
}

}  // namespace

json::object execution_json(const Execution& execution) {
  const ExecutionStart& start = execution.start;
  const ExecutionEnd& end = execution.end;
  json::object object{{"execution_id", start.id.to_string()},
                      {"install_id", start.install_id.to_string()},
                      {"extension_id", start.extension_id.to_string()},
                      {"version_id", start.version_id.to_string()},
                      {"kind", to_string(start.kind)},
                      {"request_id", start.request_id},
                      {"trace_id", start.trace_id},
                      {"method", start.method},
                      {"path", start.path},
                      {"status", to_string(end.status)},
                      {"http_status", end.http_status},
                      {"started_at", to_rfc3339(start.started_at)},
                      {"ended_at", to_rfc3339(end.ended_at)},
                      {"duration_us", (end.ended_at - start.started_at).count()},
                      {"cpu_us", end.cpu_us},
                      {"memory_bytes", end.memory_bytes},
                      {"egress_bytes", end.egress_bytes},
                      {"host_calls", end.host_calls}};
  if (!end.error_code.empty()) {
    object["error"] = {{"code", end.error_code}, {"message", end.error_message}};
  }
  auto logs = end.logs_json.empty() ? Result<json::value>(json::array()) : parse_json(end.logs_json);
  object["logs"] = logs ? std::move(*logs) : json::value(json::array());
  return object;
}

Task<> tail_log(sql::Database& database, const Clock& clock, TenantScope scope, InstallId install,
                const std::atomic<bool>& stopping, net::ResponseWriter& writer) {
  if (!co_await writer.write(": tail of the execution log\n\n")) co_return;
  const SteadyTime end = clock.steady_now() + kLongest;
  SteadyTime next_keep_alive = clock.steady_now() + kKeepAlive;
  SteadyTime next_rotation = clock.steady_now() + 2 * kWindow;
  UtcMicros since = clock.now() - Micros(std::chrono::seconds(1));
  std::unordered_set<ExecutionId> shown, shown_before;  // of the last 10 to 20 s; the window reaches back 5 s
  while (!stopping && clock.steady_now() < end) {
    ExecutionFilter filter;
    filter.ended_since = since;
    filter.oldest_first = true;
    filter.limit = kPage;
    const auto page = co_await database.read(
        scope, [install, filter](sql::TenantTx& tx) { return list_executions(tx, install, filter); });
    if (page) {
      for (const Execution& execution : *page) {
        if (shown.contains(execution.start.id) || shown_before.contains(execution.start.id)) continue;
        shown.insert(execution.start.id);
        if (!co_await writer.write(event_text(execution))) co_return;
      }
      // A full page is followed at once from where it ended; otherwise the window moves along with the clock.
      const UtcMicros floor = clock.now() - kWindow;
      const bool full = page->size() == static_cast<std::size_t>(kPage);
      since = std::max(since, full ? page->back().end.ended_at : floor);
    }
    if (clock.steady_now() >= next_rotation) {
      next_rotation = clock.steady_now() + 2 * kWindow;
      shown_before = std::move(shown);
      shown.clear();
    }
    if (clock.steady_now() >= next_keep_alive) {
      next_keep_alive = clock.steady_now() + kKeepAlive;
      if (!co_await writer.write(": still here\n\n")) co_return;
    }
    co_await sleep_for(kPollInterval);
  }
}

}  // namespace bulkhead::executions
