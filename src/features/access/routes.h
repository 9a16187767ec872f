// The routes of this room (contracts/access.md, Organizations, people, keys): organizations, their API keys and audit
// log, and who one is. Parses, checks access, delegates.
#pragma once

#include "features/access/api_key_service.h"
#include "features/access/authorizer.h"
#include "features/access/organization.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"

namespace bulkhead::access {

// All outlive the routes.
struct AccessRoom {
  sql::Database& database;
  OrganizationService& organizations;
  ApiKeyService& api_keys;
  TenantResolver& tenants;
  Authorizer& authorizer;
  const Clock& clock;
};
Routes access_routes(AccessRoom room);

}  // namespace bulkhead::access
