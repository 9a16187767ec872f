#include "features/invocations/execution_end.h"

#include <array>

#include "base/json.h"

namespace bulkhead::invocations {

std::string logs_json(const std::vector<protocol::LogLine>& lines, bool truncated) {
  if (lines.empty() && !truncated) return "";
  constexpr std::array<const char*, 3> kLevels = {"info", "warn", "error"};
  json::array items;
  for (const protocol::LogLine& line : lines) {
    items.push_back({{"at", to_rfc3339(line.at)},
                     {"level", kLevels.at(static_cast<std::size_t>(line.level))},
                     {"text", line.text}});
  }
  if (truncated) {
    items.push_back({{"at", lines.empty() ? "" : to_rfc3339(lines.back().at)},
                     {"level", "warn"},
                     {"text", "[the log is full: later lines were dropped]"}});
  }
  return json::serialize(items);
}

executions::ExecutionEnd execution_end(const ExecutionId& id, const protocol::ExecuteResponse& answer, UtcMicros now) {
  executions::ExecutionEnd end;
  if (answer.error) end = execution_end(id, *answer.error, now);
  end.id = id;
  end.ended_at = now;
  if (!answer.error) end.http_status = answer.status;
  end.cpu_us = answer.usage.cpu_us;
  end.memory_bytes = answer.usage.memory_bytes;
  end.egress_bytes = answer.usage.egress_bytes;
  end.host_calls = answer.usage.host_calls;
  end.logs_json = logs_json(answer.logs, answer.logs_truncated);
  return end;
}

executions::ExecutionEnd execution_end(const ExecutionId& id, const Error& failure, UtcMicros now) {
  executions::ExecutionEnd end;
  end.id = id;
  end.status = executions::status_of_error(failure.wire_code());
  end.http_status = failure.http_status();
  end.error_code = failure.wire_code();
  end.error_message = failure.message.empty() ? std::string(error_info(failure.code).title) : failure.message;
  end.ended_at = now;
  return end;
}

}  // namespace bulkhead::invocations
