// Renders one log line: a JSON object and a line end. Apart from log.cpp only so that tests see the bytes.
// Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "platform/observe/log.h"

namespace bulkhead::log {

// Appends `text` as a JSON string (RFC 8259 §7) with its quotes. Each byte that is not part of well-formed UTF-8
// becomes U+FFFD, so that a line is valid JSON whatever a client sent.
void append_json_string(std::string& out, std::string_view text);

// {"ts":"…Z","level":"info","event":"…",<fields>}\n. `problem` (may be null) adds error_code, error_message,
// error_detail and error_causes. Numbers that JSON can't hold (NaN, infinities) become null.
std::string log_line(UtcMicros now, Level level, std::string_view event, std::span<const Field> fields,
                     const Error* problem);

}  // namespace bulkhead::log
