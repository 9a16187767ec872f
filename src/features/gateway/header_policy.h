// Which header fields cross the gateway, both ways (contracts/extensions.md §4). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "platform/net/http.h"
#include "protocol/execute.h"

namespace bulkhead::gateway {

struct GuestRequestIdentity {
  std::string_view request_id;
  std::string tenant_id;
  std::string extension_id;
  std::string idempotency_key;  // empty for GET and HEAD
};

// What the guest sees of the client's header: x-request-id, accept, content-type, accept-encoding and a normalized
// user-agent; and what we set: x-alga-tenant, x-alga-extension, x-idempotency-key. Nothing else, so authorization,
// cookie and forged x-alga-* never reach a guest.
protocol::StringPairs guest_request_headers(const net::Headers& client, const GuestRequestIdentity& identity);

// Copies what may pass of the guest's header (content-type, cache-control, etag, last-modified, location, x-ext-*) and
// adds the protective headers.
void add_client_headers(net::Headers& out, const protocol::StringPairs& guest);
// content-security-policy and x-content-type-options, on every answer: guest HTML or SVG must never run on our origin.
void add_protective_headers(net::Headers& out);

// `location` is followed only within our origin: one leading slash, then neither slash nor backslash.
bool is_safe_location(std::string_view value);
// The guest's cache-control so that it can't make a private answer public: "" drops it; a value that names neither
// private, no-store nor no-cache gets "private, " in front.
std::string safe_cache_control(std::string_view value);
// Printable ASCII only, at most 256 bytes.
std::string normalized_user_agent(std::string_view value);

}  // namespace bulkhead::gateway
