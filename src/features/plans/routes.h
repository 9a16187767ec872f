// GET and PUT /api/v1/orgs/:slug/plan. They parse, check access and delegate.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/plans/plan_service.h"

namespace bulkhead::plans {

// All outlive the routes.
struct PlansRoom {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  PlanService& plans;
  const UsageMeter& meter;
  const Clock& clock;
};
access::Routes plan_routes(PlansRoom room);

}  // namespace bulkhead::plans
