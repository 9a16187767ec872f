// JSON forms of execute.h: `POST /v1/execute` bodies and the guest's ABI v1 documents (extensions.md §3). Hand-written
// serializers: this is the runner's hot path.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/execute.h"

namespace bulkhead::protocol {

// /v1/execute. Unknown members are ignored (callers are other people's programs); wrong types are kBadRequest with
// pointers. Limits above the hard maximum are cut to it.
Result<ExecuteRequest> parse_execute_request(std::string_view body);
std::string serialize_execute_request(const ExecuteRequest& request);
std::string serialize_execute_response(const ExecuteResponse& response);
Result<ExecuteResponse> parse_execute_response(std::string_view body);

// What the guest's `handler` gets: {"context":{…},"http":{…}} (or event/schedule).
void append_guest_request(std::string& out, const ExecuteRequest& request);
// The object alone: the answer to context.get.
void append_guest_context(std::string& out, const ExecuteContext& context);

struct GuestResponse {
  int status = 200;
  StringPairs headers;
  std::string body;
};
// {"status"?,"headers"?,"body_b64"?}; bytes that aren't that JSON → 200 with the bytes as the body. Header names are
// lower-cased; names or values that are not valid HTTP field content are dropped.
GuestResponse parse_guest_response(std::string_view bytes);

}  // namespace bulkhead::protocol
