// What one execution is asked and answers: the shapes of contracts/extensions.md §3, shared by gateway, runner and CLI.
// JSON forms (`/v1/execute`) are in execute_json.h, the compact binary forms between our own processes in frames.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace bulkhead::protocol {

using StringPairs = std::vector<std::pair<std::string, std::string>>;

struct ExecuteContext {
  std::string request_id;
  TenantId tenant_id;
  ExtensionId extension_id;
  InstallId install_id;
  ContentHash content_hash;
  VersionId version_id;
  std::string config_json;   // an object, or empty
  std::string user_json;     // an object, or empty
  std::string trace_parent;  // W3C, or empty
  // How many events led to this execution, one causing the next. Serve's own: a runner is not told.
  std::uint32_t hops = 0;
};

struct HttpCall {
  std::string method;
  std::string path;
  std::string handler;  // the endpoint's, from the manifest
  StringPairs params;   // decoded path parameters
  StringPairs query;    // all, in order; JSON `query` keeps the last of a repeated key, `query_all` all of them
  StringPairs headers;  // lower-case names
  std::string body;
};
struct EventCall {
  std::string topic;
  std::string id;
  std::string payload_json;
  std::string handler = {};   // the subscription's, from the manifest
  std::uint32_t attempt = 1;  // counts from 1: a repetition has the same id
  std::string source = {};    // name of the extension that emitted it; empty: the platform
};
struct ScheduleCall {
  std::string id;
  std::string handler = {};       // from the manifest or from schedules.register
  std::string payload_json = {};  // of schedules.register, or empty
  std::string scheduled_at = {};  // RFC 3339; when it was due, which is before it ran
};

struct Limits {
  Millis timeout{5'000};          // wall clock, hard maximum 30 s
  Bytes memory = 256_MiB;         // hard maximum 1 GiB
  std::uint64_t fuel = 0;         // 0 = not metered
  Bytes response = 10'000'000_B;  // "10 MB"
  Bytes log = 64_KiB;
  std::uint32_t host_calls = 1'000;
  Bytes egress = 20'000'000_B;
  std::uint32_t tenant_concurrency = 32;
  std::uint32_t tenant_queue = 64;
};
inline constexpr Millis kMaxTimeout{30'000};
inline constexpr Bytes kMaxMemory = 1_GiB;

struct ExecuteRequest {
  ExecuteContext context;
  std::variant<HttpCall, EventCall, ScheduleCall> call;
  Limits limits;
  ExecutionHandle handle;  // zero = none was minted (outside callers); never part of the guest's view or of any log
};

struct Usage {
  std::uint64_t cpu_us = 0;
  std::uint64_t wall_us = 0;
  std::uint64_t memory_bytes = 0;  // high-water mark of linear memory
  std::optional<std::uint64_t> fuel;
  std::uint64_t egress_bytes = 0;
  std::uint32_t host_calls = 0;
  std::uint32_t denied_host_calls = 0;  // as the broker counts them; a runner is not asked
};

struct LogLine {
  enum class Level : std::uint8_t { kInfo, kWarn, kError } level = Level::kInfo;
  UtcMicros at;
  std::string text;
};

struct ExecuteResponse {
  int status = 200;
  StringPairs headers;
  std::string body;
  std::optional<Error> error;  // with a code of extensions.md §3; status is then error's
  Usage usage;
  std::vector<LogLine> logs;  // within Limits::log; not part of the /v1/execute JSON
  bool logs_truncated = false;
};

}  // namespace bulkhead::protocol
