// The answers: /v1/execute's response and the guest's own response document (execute_json.h).
#include <algorithm>
#include <array>

#include "protocol/execute_json.h"
#include "protocol/json_text.h"

namespace bulkhead::protocol {
namespace {

// The codes of extensions.md §3. Wire codes alone are not unique in the registry (signature_invalid is 422 at publish).
constexpr std::array kExecutionErrors = {
    ErrorCode::kBundleFetchFailed,
    ErrorCode::kArchiveHashMismatch,
    ErrorCode::kRunnerSignatureInvalid,
    ErrorCode::kModuleInvalid,
    ErrorCode::kAbiMissingExport,
    ErrorCode::kHandlerError,
    ErrorCode::kTrap,
    ErrorCode::kTimeout,
    ErrorCode::kMemoryExceeded,
    ErrorCode::kResponseTooLarge,
    ErrorCode::kCapabilityDenied,
    ErrorCode::kQuotaExceeded,
    ErrorCode::kConcurrencyExceeded,
    ErrorCode::kQuarantined,
    ErrorCode::kRunnerOverloaded,
    ErrorCode::kRunnerUnavailable,
    ErrorCode::kShuttingDown,
    ErrorCode::kCancelled,
};

ErrorCode execution_error(std::string_view wire_code) {
  for (const ErrorCode code : kExecutionErrors) {
    if (error_info(code).wire_code == wire_code) return code;
  }
  return ErrorCode::kInternal;
}

bool is_token(std::string_view text) {  // RFC 9110 §5.6.2
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.contains(c);
  });
}

bool is_field_value(std::string_view text) {  // RFC 9110 §5.5, obs-text allowed
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

void lower_case(std::string& text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool skip_null(JsonCursor& cursor) {
  if (cursor.peek() != JsonCursor::Kind::kNull) return false;
  cursor.skip();
  return true;
}

constexpr std::size_t kMaxGuestHeaders = 128;

// False when the value is not an object of strings.
bool read_headers(JsonCursor& cursor, StringPairs& headers) {
  if (skip_null(cursor)) return true;
  if (!cursor.open_object()) return false;
  std::string name;
  while (cursor.next_member(name)) {
    const auto value = cursor.read_string();
    if (!value) return false;
    if (!is_token(name) || !is_field_value(*value) || headers.size() == kMaxGuestHeaders) continue;
    lower_case(name);
    headers.emplace_back(name, *value);
  }
  return !cursor.failed();
}

bool read_body(JsonCursor& cursor, std::string& body) {
  if (skip_null(cursor)) return true;
  const auto text = cursor.read_string();
  if (!text) return false;
  auto decoded = base64_decode(*text);
  if (!decoded) return false;
  body = std::move(*decoded);
  return true;
}

bool read_status(JsonCursor& cursor, int& status) {
  if (skip_null(cursor)) return true;
  const auto number = cursor.read_integer();
  // 1xx is for the connection, not for an answer.
  if (!number || *number < 200 || *number > 599) return false;
  status = static_cast<int>(*number);
  return true;
}

// True when `bytes` is the document of ABI v1: an object with no other members than its three.
bool read_guest_document(std::string_view bytes, GuestResponse& response) {
  JsonCursor cursor(bytes);
  if (!cursor.open_object()) return false;
  enum : unsigned { kStatus = 1, kHeaders = 2, kBody = 4 };
  unsigned seen = 0;
  const auto once = [&seen](unsigned bit) {
    const bool first = (seen & bit) == 0;
    seen |= bit;
    return first;
  };
  std::string name;
  while (cursor.next_member(name)) {
    bool good = false;
    if (name == "status") {
      good = once(kStatus) && read_status(cursor, response.status);
    } else if (name == "headers") {
      good = once(kHeaders) && read_headers(cursor, response.headers);
    } else if (name == "body_b64") {
      good = once(kBody) && read_body(cursor, response.body);
    }
    if (!good) return false;
  }
  return cursor.finished();
}

void append_usage(std::string& out, const Usage& usage) {
  out += R"(,"usage":{"cpu_us":)";
  append_number(out, usage.cpu_us);
  out += R"(,"wall_us":)";
  append_number(out, usage.wall_us);
  out += R"(,"memory_bytes":)";
  append_number(out, usage.memory_bytes);
  if (usage.fuel) {
    out += R"(,"fuel":)";
    append_number(out, *usage.fuel);
  }
  out += R"(,"egress_bytes":)";
  append_number(out, usage.egress_bytes);
  out += R"(,"host_calls":)";
  append_number(out, std::uint64_t{usage.host_calls});
  out += '}';
}

std::uint64_t seconds_rounded_up(std::int64_t millis) { return static_cast<std::uint64_t>((millis + 999) / 1000); }

void append_response_headers(std::string& out, const ExecuteResponse& response) {
  out += R"(,"headers":{)";
  bool comma = false;
  for (const auto& [name, value] : response.headers) {
    if (comma) out += ',';
    comma = true;
    append_json_string(out, name);
    out += ':';
    append_json_string(out, value);
  }
  if (response.error && response.error->retry_after_ms > 0) {
    if (comma) out += ',';
    out += R"("retry-after":")";
    append_number(out, seconds_rounded_up(response.error->retry_after_ms));
    out += '"';
  }
  out += '}';
}

bool read_error(JsonCursor& cursor, std::optional<Error>& error) {
  if (skip_null(cursor)) return true;
  if (!cursor.open_object()) return false;
  error.emplace();
  std::string name;
  while (cursor.next_member(name)) {
    if (name == "code") {
      const auto code = cursor.read_string();
      if (!code) return false;
      error->code = execution_error(*code);
      if (error->code == ErrorCode::kInternal) error->detail = "the runner's code: " + std::string(code->substr(0, 64));
    } else if (name == "message") {
      const auto message = cursor.read_string();
      if (!message) return false;
      error->message.assign(*message);
    } else {
      cursor.skip();
    }
  }
  return !cursor.failed();
}

bool read_usage(JsonCursor& cursor, Usage& usage) {
  if (!cursor.open_object()) return false;
  std::string name;
  while (cursor.next_member(name)) {
    const auto number = cursor.read_integer();
    if (!number) {
      cursor.skip();
      continue;
    }
    if (*number < 0) return false;
    const auto value = static_cast<std::uint64_t>(*number);
    if (name == "cpu_us") usage.cpu_us = value;
    if (name == "wall_us") usage.wall_us = value;
    if (name == "memory_bytes") usage.memory_bytes = value;
    if (name == "fuel") usage.fuel = value;
    if (name == "egress_bytes") usage.egress_bytes = value;
    if (name == "host_calls") usage.host_calls = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
  }
  return !cursor.failed();
}

// `retry-after` in seconds belongs to the error, not to the guest's headers.
void take_retry_after(ExecuteResponse& response) {
  if (!response.error) return;
  std::erase_if(response.headers, [&](const auto& header) {
    if (header.first != "retry-after") return false;
    JsonCursor cursor(header.second);
    const auto seconds = cursor.read_integer();
    if (seconds && *seconds > 0 && *seconds <= 86'400) response.error->retry_after_ms = *seconds * 1'000;
    return true;
  });
}

}  // namespace

std::string serialize_execute_response(const ExecuteResponse& response) {
  std::string out;
  out.reserve(256 + response.body.size() / 3 * 4 + 64 * response.headers.size());
  out += R"({"status":)";
  append_number(out, std::int64_t{response.status});
  append_response_headers(out, response);
  out += R"(,"body_b64":")";
  base64_append(out, response.body);
  out += '"';
  if (response.error) {
    const Error& error = *response.error;
    out += R"(,"error":{"code":)";
    append_json_string(out, error.wire_code());
    out += R"(,"message":)";
    append_json_string(out, error.message.empty() ? error_info(error.code).title : std::string_view(error.message));
    out += '}';
  }
  append_usage(out, response.usage);
  out += '}';
  return out;
}

Result<ExecuteResponse> parse_execute_response(std::string_view body) {
  JsonCursor cursor(body);
  ExecuteResponse response;
  bool good = cursor.open_object();
  std::string name;
  while (good && cursor.next_member(name)) {
    if (name == "status") {
      const auto number = cursor.read_integer();
      good = number && *number >= 100 && *number <= 599;
      if (good) response.status = static_cast<int>(*number);
    } else if (name == "headers") {
      response.headers.clear();
      good = read_headers(cursor, response.headers);
    } else if (name == "body_b64") {
      good = read_body(cursor, response.body);
    } else if (name == "error") {
      good = read_error(cursor, response.error);
    } else if (name == "usage") {
      good = read_usage(cursor, response.usage);
    } else {
      cursor.skip();
    }
  }
  if (!good || !cursor.finished()) {
    return fail(ErrorCode::kBadRequest,
                "The runner's answer is not an execute response (byte " + std::to_string(cursor.offset()) + ").");
  }
  take_retry_after(response);
  return response;
}

GuestResponse parse_guest_response(std::string_view bytes) {
  GuestResponse response;
  if (read_guest_document(bytes, response)) return response;
  return GuestResponse{.status = 200, .headers = {}, .body = std::string(bytes)};
}

}  // namespace bulkhead::protocol
