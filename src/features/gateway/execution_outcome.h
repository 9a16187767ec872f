// From an execution's answer to a client's answer and to a log row. Pure.
#pragma once

#include "base/error.h"
#include "features/executions/execution_record.h"
#include "platform/net/http.h"
#include "protocol/execute.h"

namespace bulkhead::gateway {

// The guest's answer through the header policy, or problem+json for an error.
net::Response client_response(protocol::ExecuteResponse& answer, std::string_view request_id);

// The end of the log row of `answer` or, when there is none, of `failure`.
executions::ExecutionEnd execution_end(const ExecutionId& id, const protocol::ExecuteResponse& answer, UtcMicros now);
executions::ExecutionEnd execution_end(const ExecutionId& id, const Error& failure, UtcMicros now);

// [{"at","level","text"}], or "" when there are none.
std::string logs_json(const std::vector<protocol::LogLine>& lines, bool truncated);

}  // namespace bulkhead::gateway
