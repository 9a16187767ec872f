// authorize(principal, permission, resource): the one function that decides, and the only maker of TenantScope outside
// the broker. Denials are logged and counted (authz_denied_total{route,reason}).
//
// Platform admins may do everything. API keys act in their own organization only, whatever their permissions say; a
// service principal acts where its permissions reach. `authorize_platform` is never granted to an API key.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/tenant_scope.h"
#include "features/access/denial_log.h"
#include "features/access/principal.h"
#include "features/access/route.h"
#include "platform/observe/metrics.h"

namespace bulkhead::access {

struct Decision {
  bool allow = false;
  // "role", "platform_admin", "service", "no_identity", "other_tenant", "missing_permission", "not_platform"
  std::string_view reason;
  std::uint64_t policy_version = 0;
};

// How a denial of another tenant's resource is answered (contracts/access.md, Statuses).
enum class OtherTenant : std::uint8_t { kForbidden, kNotFound };

class Authorizer {
 public:
  // `denials` takes refused privileged acts for the audit log; null: they are only logged and counted.
  explicit Authorizer(metrics::Registry& registry, DenialLog* denials = nullptr);
  Decision decide(const Principal& principal, std::string_view permission, const TenantId& tenant) const;
  Decision decide_platform(const Principal& principal, std::string_view permission) const;

  // The scope to act in `tenant`, or 401 kUnauthenticated / 403 kForbidden / 403 kTenantMismatch / 404 kNotFound.
  // The request's own route labels a denial's metric, its client and request id the audit row.
  Result<TenantScope> authorize(const RouteContext& context, std::string_view permission, const TenantId& tenant,
                                OtherTenant other = OtherTenant::kForbidden);
  // For acts on the platform itself, outside any tenant (ops:*, trust, organizations).
  Status authorize_platform(const RouteContext& context, std::string_view permission);

  // The same without a request. `route` labels the denial metric: the route's pattern, never the path.
  Result<TenantScope> authorize(const Principal& principal, std::string_view permission, const TenantId& tenant,
                                std::string_view route, OtherTenant other = OtherTenant::kForbidden);
  Status authorize_platform(const Principal& principal, std::string_view permission, std::string_view route);

 private:
  Error deny(const Principal& principal, std::string_view permission, const Decision& decision, std::string_view route,
             OtherTenant other);
  void note(const RouteContext& context, std::string_view permission, const Decision& decision);
  metrics::Registry& registry_;
  DenialLog* denials_;
};

}  // namespace bulkhead::access
