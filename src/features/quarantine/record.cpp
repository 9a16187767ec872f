#include "features/quarantine/record.h"

#include <array>

namespace bulkhead::quarantine {
namespace {

constexpr std::array<std::string_view, 3> kReasons = {"traps", "out_of_memory", "policy_violations"};

}  // namespace

std::string_view to_string(Reason reason) { return kReasons.at(static_cast<std::size_t>(reason)); }

std::optional<Reason> parse_reason(std::string_view text) {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (kReasons.at(i) == text) return static_cast<Reason>(i);
  }
  return std::nullopt;
}

json::object to_json(const Quarantine& quarantine) {
  return {{"install_id", quarantine.install.to_string()},
          {"extension_id", quarantine.extension.to_string()},
          {"tenant_id", quarantine.tenant.to_string()},
          {"reason", to_string(quarantine.reason)},
          {"message", quarantine.message},
          {"since", to_rfc3339(quarantine.since)},
          {"until", quarantine.until ? json::value(to_rfc3339(*quarantine.until)) : json::value(nullptr)}};
}

}  // namespace bulkhead::quarantine
