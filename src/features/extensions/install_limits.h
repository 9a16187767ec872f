// An install's own limits of a call, as its `limits` object: {"timeout_ms","memory_mb","fuel","concurrency","queue"},
// each optional and within the hard maximum (contracts/extensions.md §3).
#pragma once

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "protocol/execute.h"

namespace bulkhead::extensions {

// The canonical text to store; problems go to `problems` with pointers below /limits.
std::string read_limits(const json::value& value, std::vector<FieldError>& problems);
// The platform's defaults with what the stored text says.
protocol::Limits limits_from_text(const std::string& text);

}  // namespace bulkhead::extensions
