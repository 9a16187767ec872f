// authorize(principal, permission, resource): the one function that decides, and the only maker of TenantScope outside
// the broker. Denials are logged and counted (authz_denied_total{route,reason}).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/tenant_scope.h"
#include "features/access/principal.h"
#include "platform/observe/metrics.h"

namespace bulkhead::access {

struct Decision {
  bool allow = false;
  std::string_view reason;  // "role", "platform_admin", "no_identity", "other_tenant", "missing_permission"
  std::uint64_t policy_version = 0;
};

// How a denial of another tenant's resource is answered (contracts/access.md, Statuses).
enum class OtherTenant : std::uint8_t { kForbidden, kNotFound };

class Authorizer {
 public:
  explicit Authorizer(metrics::Registry& registry);
  Decision decide(const Principal& principal, std::string_view permission, const TenantId& tenant) const;
  // The scope to act in `tenant`, or 401 kUnauthenticated / 403 kForbidden / 403 kTenantMismatch / 404 kNotFound.
  // `route` labels the denial metric: the route's pattern, never the path.
  Result<TenantScope> authorize(const Principal& principal, std::string_view permission, const TenantId& tenant,
                                std::string_view route, OtherTenant other = OtherTenant::kForbidden);
  // For acts on the platform itself, outside any tenant (ops:*, trust, organizations).
  Status authorize_platform(const Principal& principal, std::string_view permission, std::string_view route);

 private:
  Error deny(const Principal& principal, std::string_view permission, const Decision& decision,
             std::string_view route, OtherTenant other);
  metrics::Registry& registry_;
};

}  // namespace bulkhead::access
