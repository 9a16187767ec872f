// /api/installs/:id/secrets (contracts/extensions.md §2): write-only. Nothing here answers a value.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/secrets/secret_service.h"

namespace bulkhead::secrets {

// All outlive the routes.
struct RouteDependencies {
  SecretService& secrets;
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
};
access::Routes secret_routes(RouteDependencies dependencies);

}  // namespace bulkhead::secrets
