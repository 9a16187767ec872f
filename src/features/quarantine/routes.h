// GET /api/v1/quarantine and POST /api/v1/quarantine/:install/release. They parse, check access and delegate.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/quarantine/quarantine_service.h"

namespace bulkhead::quarantine {

// All outlive the routes.
struct QuarantineRoom {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  QuarantineService& quarantines;
};
access::Routes quarantine_routes(QuarantineRoom room);

}  // namespace bulkhead::quarantine
