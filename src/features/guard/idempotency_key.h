// The client's idempotency key and the fingerprint that tells one request from another (contracts/extensions.md §4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/net/http.h"

namespace bulkhead::guard {

// The value of an Idempotency-Key field: a structured-field string (RFC 8941 §3.3.3, `"8e03978e-…"`) or the same
// characters bare; 1 to 255 visible ASCII characters (a string may also hold spaces). nullopt for anything else.
std::optional<std::string> parse_idempotency_key(std::string_view field);

// From `idempotency-key` or `x-idempotency-key`; nullopt without either. kBadRequest for a malformed key, a repeated
// field, or two fields that differ.
Result<std::optional<std::string>> idempotency_key(const net::Headers& headers);

// "sha256:…" over method, target and body. A JSON body up to 1 MiB counts in its canonical form, so that member order
// and white space don't make another request; everything else counts byte by byte.
std::string request_fingerprint(std::string_view method, std::string_view target, std::string_view body);

}  // namespace bulkhead::guard
