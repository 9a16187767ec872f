#include "features/executions/execution_record.h"

#include <array>

namespace bulkhead::executions {

std::string_view to_string(ExecutionKind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"http", "event", "schedule", "test"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string_view to_string(ExecutionStatus status) {
  constexpr std::array<std::string_view, 6> kNames = {"ok",  "error",         "timeout",
                                                      "oom", "policy_denied", "upstream_error"};
  return kNames.at(static_cast<std::size_t>(status));
}

ExecutionStatus status_of_error(std::string_view wire_code) {
  if (wire_code.empty()) return ExecutionStatus::kOk;
  if (wire_code == "timeout" || wire_code == "deadline_exceeded") return ExecutionStatus::kTimeout;
  if (wire_code == "memory_exceeded") return ExecutionStatus::kOom;
  for (const std::string_view denied :
       {"capability_denied", "quota_exceeded", "concurrency_exceeded", "quarantined", "rate_limited"}) {
    if (wire_code == denied) return ExecutionStatus::kPolicyDenied;
  }
  for (const std::string_view upstream :
       {"bundle_fetch_failed", "archive_hash_mismatch", "signature_invalid", "runner_overloaded", "runner_unavailable",
        "unavailable", "shutting_down", "outcome_unknown"}) {
    if (wire_code == upstream) return ExecutionStatus::kUpstreamError;
  }
  return ExecutionStatus::kError;
}

}  // namespace bulkhead::executions
