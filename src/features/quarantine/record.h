// What is known of a quarantined install. Plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/json.h"
#include "base/time.h"

namespace bulkhead::quarantine {

enum class Reason : std::uint8_t { kTraps, kOutOfMemory, kPolicyViolations };
std::string_view to_string(Reason reason);  // "traps", "out_of_memory", "policy_violations"
std::optional<Reason> parse_reason(std::string_view text);

struct Quarantine {
  TenantId tenant;
  InstallId install;
  ExtensionId extension;
  Reason reason = Reason::kTraps;
  std::string message;  // "20 of its last 31 calls crashed within 5 minutes."
  UtcMicros since;
  std::optional<UtcMicros> until;  // none: until an admin releases it

  bool holds_at(UtcMicros now) const { return !until || now < *until; }
};
json::object to_json(const Quarantine& quarantine);

}  // namespace bulkhead::quarantine
