// An answer as it is kept for a replay: status, a few headers, and a sanitised JSON body of at most 64 KiB
// (contracts/extensions.md §4, Idempotency). Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/net/http.h"

namespace bulkhead::guard {

inline constexpr std::size_t kStoredBodyLimit = 64 * 1024;

// Why there is a body to replay, or none.
enum class BodyState : std::uint8_t { kStored, kEmpty, kRedacted, kNonJson, kTooLarge };
std::string_view to_string(BodyState state);
std::optional<BodyState> parse_body_state(std::string_view text);

struct StoredAnswer {
  int status = 200;
  std::string headers;              // JSON: [["content-type","application/json"],…]
  std::optional<std::string> body;  // JSON text; of a redacted answer the redacted one, for support, never replayed
  BodyState body_state = BodyState::kEmpty;
};

StoredAnswer sanitise(const net::Response& response);

// The stored answer with `idempotency-replayed: true`; where the body is not the original one, without it and with
// `idempotency-body: omitted`.
net::Response replay(const StoredAnswer& answer);

}  // namespace bulkhead::guard
