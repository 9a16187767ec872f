// Which header fields of http.fetch pass (contracts/extensions.md §3, Host HTTP). Plain functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "platform/net/http.h"

namespace bulkhead::egress {

// `name` in lower case.
enum class FieldRule : std::uint8_t {
  kPass,
  kIgnored,    // traceparent, tracestate: the platform's own
  kForbidden,  // framing, hop-by-hop, host, cookies, proxies, what browsers reserve (sec-*)
};
FieldRule request_field_rule(std::string_view name);
// Fields that name or prove somebody; they don't follow a redirect to another origin.
bool is_credential_field(std::string_view name);
// Fields that describe a body; they go when a redirect drops it (Fetch standard, request-body-header name).
bool is_body_field(std::string_view name);

bool is_field_name(std::string_view text);   // RFC 9110 §5.6.2
bool is_field_value(std::string_view text);  // no controls but the tab: no CR, LF, NUL

enum class BodyForm : std::uint8_t { kAsSent, kDecoded };
// What the guest sees: names in lower case, repeated ones joined by ", "; without cookies, hop-by-hop fields and those
// that `connection` names. A body that was decoded has lost its content-encoding and content-length.
std::map<std::string, std::string> guest_headers(const net::Headers& headers, BodyForm form);

}  // namespace bulkhead::egress
