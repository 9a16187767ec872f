#include "features/quarantine/call_signs.h"

#include <array>

namespace bulkhead::quarantine {

std::string_view to_string(Ending ending) {
  static constexpr std::array<std::string_view, kEndings> kNames = {
      "ok", "handler_error", "trap", "timeout", "out_of_memory", "policy_denied", "bad_module", "not_its_fault"};
  return kNames.at(static_cast<std::size_t>(ending));
}

Ending ending_of(const invocations::Outcome& outcome) {
  // The transport lost the call, or never took it: whatever the error is called, the guest did not cause it.
  if (!outcome.answer) return Ending::kNotItsFault;
  const Error* failure = outcome.failure();
  if (failure == nullptr) return Ending::kOk;
  switch (failure->code) {
    case ErrorCode::kHandlerError:
      return Ending::kHandlerError;
    case ErrorCode::kTrap:
      return Ending::kTrap;
    case ErrorCode::kTimeout:
      return Ending::kTimeout;
    case ErrorCode::kMemoryExceeded:
      return Ending::kOutOfMemory;
    case ErrorCode::kCapabilityDenied:
    case ErrorCode::kQuotaExceeded:
      return Ending::kPolicyDenied;
    case ErrorCode::kModuleInvalid:
    case ErrorCode::kAbiMissingExport:
    case ErrorCode::kArchiveHashMismatch:
    case ErrorCode::kRunnerSignatureInvalid:
    case ErrorCode::kResponseTooLarge:
      return Ending::kBadModule;
    default:
      return Ending::kNotItsFault;
  }
}

CallSigns signs_of(const invocations::Outcome& outcome) {
  const Ending ending = ending_of(outcome);
  return {.trapped = ending == Ending::kTrap,
          .out_of_memory = ending == Ending::kOutOfMemory,
          .violations = outcome.answer ? outcome.answer->usage.denied_host_calls : 0};
}

guard::CircuitBreaker::Outcome breaker_outcome_of(const invocations::Outcome& outcome) {
  using Result = guard::CircuitBreaker::Outcome;
  switch (ending_of(outcome)) {
    case Ending::kTrap:
    case Ending::kTimeout:
    case Ending::kOutOfMemory:
    case Ending::kBadModule:
      return Result::kFailure;
    case Ending::kNotItsFault:
      return Result::kUnknown;
    case Ending::kOk:
    case Ending::kHandlerError:
    case Ending::kPolicyDenied:
      return Result::kSuccess;
  }
  return Result::kUnknown;
}

}  // namespace bulkhead::quarantine
