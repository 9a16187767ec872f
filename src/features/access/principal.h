// Who is asking. Made by the Authenticator from a request's credential (contracts/access.md, resolver chain).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace bulkhead::access {

enum class PrincipalKind : std::uint8_t { kAnonymous, kApiKey, kPlatformAdmin, kService };

struct Principal {
  PrincipalKind kind = PrincipalKind::kAnonymous;
  std::optional<TenantId> tenant;        // the organization an API key belongs to
  std::string tenant_slug;               // its slug; empty when there is no tenant
  std::string credential_id;             // "key:<uuid>", "platform_admin", "service:<name>"; for audit and rate limits
  std::vector<std::string> permissions;  // of its role ∩ scopes; "extension:read", "key:*", "*"

  bool is_anonymous() const { return kind == PrincipalKind::kAnonymous; }
  bool has(std::string_view permission) const;  // honours "resource:*" and "*"
};
using PrincipalPtr = std::shared_ptr<const Principal>;  // cached: shared, never copied per request

}  // namespace bulkhead::access
