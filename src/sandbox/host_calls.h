// The port through which a guest reaches the outside: every import of module `alga` that takes and gives JSON.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/frames.h"

namespace bulkhead::sandbox {

class Execution;

// Names one host call of one execution; the completion must carry it. Never 0, never reused within an execution.
using HostCallToken = std::uint32_t;

// The guest gets `code` as the import's result and, if the text is not empty, the JSON through its own `alloc`.
struct HostAnswer {
  protocol::HostCode code = protocol::HostCode::kOk;
  std::string response_json{};
};

// Implemented by the runner; used on the execution's thread, inside Execution::resume.
class HostCalls {
 public:
  virtual ~HostCalls() = default;

  // `name` is the dotted form ("storage.get"), one of kHostFunctions. `request_json` is what the guest wrote (at most
  // kMaxHostRequest bytes, not checked in any other way); both views die with this call. An answer continues the guest
  // at once; nullopt suspends it until Execution::complete_host_call(token, ...), which must not be called from here.
  // A refusal is an answer (HostCode::kDenied, ...), never a trap.
  virtual std::optional<HostAnswer> start(Execution& execution, HostCallToken token, std::string_view name,
                                          std::string_view request_json) = 0;
};

// Larger requests are answered kTooLarge without asking HostCalls.
inline constexpr std::size_t kMaxHostRequest = 2 * 1024 * 1024;

// extensions.md §3. log_* and env.abort are handled inside the sandbox.
inline constexpr std::array<std::string_view, 16> kHostFunctions = {
    "http.fetch",     "storage.get",        "storage.put",      "storage.set",
    "storage.delete", "storage.list",       "storage.bulk_put", "secrets.get",
    "events.emit",    "schedules.register", "schedules.cancel", "metrics.counter",
    "metrics.gauge",  "metrics.histogram",  "context.get",      "user.get"};

}  // namespace bulkhead::sandbox
