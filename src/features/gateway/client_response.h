// From an execution's answer to a client's answer. Pure.
#pragma once

#include "platform/net/http.h"
#include "protocol/execute.h"

namespace bulkhead::gateway {

// The guest's answer through the header policy, or problem+json for an error.
net::Response client_response(protocol::ExecuteResponse& answer, std::string_view request_id);

}  // namespace bulkhead::gateway
