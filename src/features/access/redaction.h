// Redaction: takes secrets out of JSON before it is stored (audit before/after, replayable answers).
//
// A member whose name says that it holds a secret, and any text that is a credential by its form (bh_key_…, bh_pat_…,
// a bearer header, a PEM private key), is replaced by "[redacted]". Pure functions.
#pragma once

#include <string_view>

#include "base/json.h"

namespace bulkhead::access {

inline constexpr std::string_view kRedacted = "[redacted]";

// Case, '-' and '_' don't matter: "apiKey", "api-key" and "API_KEY" are the same name.
bool is_secret_name(std::string_view name);

// Redacts in place; returns the number of values replaced.
std::size_t redact(json::value& value);

}  // namespace bulkhead::access
