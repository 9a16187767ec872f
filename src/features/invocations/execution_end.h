// From an execution's answer to the end of its log row. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "features/executions/execution_record.h"
#include "protocol/execute.h"

namespace bulkhead::invocations {

// The end of the log row of `answer` or, when there is none, of `failure`.
executions::ExecutionEnd execution_end(const ExecutionId& id, const protocol::ExecuteResponse& answer, UtcMicros now);
executions::ExecutionEnd execution_end(const ExecutionId& id, const Error& failure, UtcMicros now);

// [{"at","level","text"}], or "" when there are none.
std::string logs_json(const std::vector<protocol::LogLine>& lines, bool truncated);

}  // namespace bulkhead::invocations
