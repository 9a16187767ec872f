// The names a request goes by: x-request-id and W3C traceparent (contracts/extensions.md §4, last point).
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"
#include "platform/net/http.h"

namespace bulkhead::access {

// 1 to 128 of A-Z a-z 0-9 . _ : / + = @ -: fit for logs, headers and SQL.
bool is_valid_request_id(std::string_view text);
// The client's x-request-id when it is valid, else a UUIDv7.
std::string choose_request_id(const net::Headers& headers, UtcMicros now, Random& random);

// The traceparent of this server's span: same trace id and flags as the client's valid traceparent, a new span id;
// otherwise a new trace, not sampled. (https://www.w3.org/TR/trace-context/ §3.2, version 00; higher versions are read
// by their first four fields.)
std::string child_trace_parent(const net::Headers& headers, Random& random);
// The 32 hex digits of a traceparent made above.
std::string_view trace_id_of(std::string_view trace_parent);

}  // namespace bulkhead::access
