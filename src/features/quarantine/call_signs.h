// What an invocation's outcome says about the extension, and about nobody else. Pure.
#pragma once

#include <string_view>

#include "features/guard/circuit_breaker.h"
#include "features/invocations/invoker.h"
#include "features/quarantine/failure_window.h"

namespace bulkhead::quarantine {

// How calls end, told apart in log, metric and API (contracts/extensions.md §3).
enum class Ending : std::uint8_t {
  kOk,
  kHandlerError,  // the extension's own answer
  kTrap,
  kTimeout,
  kOutOfMemory,
  kPolicyDenied,  // capability_denied, quota_exceeded
  kBadModule,     // could not be loaded, or answered too much
  kNotItsFault,   // refused, lost, cancelled, or a failure of ours
};
inline constexpr std::size_t kEndings = 8;
std::string_view to_string(Ending ending);  // "ok", "handler_error", "trap", …

Ending ending_of(const invocations::Outcome& outcome);
CallSigns signs_of(const invocations::Outcome& outcome);
// An error that the extension answers is an answer: callers can provoke those.
guard::CircuitBreaker::Outcome breaker_outcome_of(const invocations::Outcome& outcome);

}  // namespace bulkhead::quarantine
