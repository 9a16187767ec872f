// Schedules of an install: /api/installs/:id/schedules, /schedules/:sid, /schedules/:sid/run.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/schedules/schedule_runner.h"
#include "features/schedules/schedule_service.h"

namespace bulkhead::schedules {

struct RouteDependencies {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  ScheduleService& service;
  ScheduleRunner& runner;
};

// The dependencies outlive the routes.
access::Routes schedule_routes(RouteDependencies dependencies);

}  // namespace bulkhead::schedules
