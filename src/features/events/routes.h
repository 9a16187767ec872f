// Subscriptions and dead letters of an install: /api/installs/:id/subscriptions, /dead-letters, /dead-letters/redrive.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/events/event_service.h"

namespace bulkhead::events {

struct RouteDependencies {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  EventService& service;
};

// The dependencies outlive the routes.
access::Routes event_routes(RouteDependencies dependencies);

}  // namespace bulkhead::events
