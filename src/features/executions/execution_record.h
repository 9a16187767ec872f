// One row of the execution log: what is known before dispatch (start) and before the answer (end).
// contracts/extensions.md §2 (extension_execution_log), §4 (every call has one row that correlates with it).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"

namespace bulkhead::executions {

enum class ExecutionKind : std::uint8_t { kHttp, kEvent, kSchedule, kTest };
std::string_view to_string(ExecutionKind kind);

enum class ExecutionStatus : std::uint8_t { kOk, kError, kTimeout, kOom, kPolicyDenied, kUpstreamError };
std::string_view to_string(ExecutionStatus status);
// The log's status for a wire code of extensions.md §3: "timeout" → timeout, "memory_exceeded" → oom,
// "capability_denied" and "quota_exceeded" → policy_denied, transport and bundle failures → upstream_error, "" → ok.
ExecutionStatus status_of_error(std::string_view wire_code);

struct ExecutionStart {
  ExecutionId id;
  TenantId tenant_id;
  InstallId install_id;
  ExtensionId extension_id;
  VersionId version_id;
  ExecutionKind kind = ExecutionKind::kHttp;
  UtcMicros started_at;
  std::string request_id;  // ≤ 128 bytes
  std::string trace_id;    // 32 hex digits, or empty
  std::string method;
  std::string path;  // without the query: queries carry secrets
};

struct ExecutionEnd {
  ExecutionId id;
  ExecutionStatus status = ExecutionStatus::kOk;
  int http_status = 200;
  std::string error_code;  // wire code, or empty
  std::string error_message;
  UtcMicros ended_at;
  std::uint64_t cpu_us = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t egress_bytes = 0;
  std::uint32_t host_calls = 0;
  std::string logs_json;  // [{"at","level","text"}], or empty
};

struct Execution {
  ExecutionStart start;
  ExecutionEnd end;
};

}  // namespace bulkhead::executions
