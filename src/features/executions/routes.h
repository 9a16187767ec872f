// Execution admin, scoped to the tenant (contracts/extensions.md §2): /api/installs/:id/executions, /logs (also as a
// live tail, server-sent events), /usage and /metrics.
#pragma once

#include <atomic>

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/executions/execution_log.h"
#include "platform/sql/database.h"

namespace bulkhead::executions {

struct RouteDependencies {
  sql::Database& database;
  const ExecutionLog& log;
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  const Clock& clock;
  const std::atomic<bool>& stopping;  // ends live tails, which no drain should wait for
};

// The dependencies outlive the routes.
access::Routes execution_routes(RouteDependencies dependencies);

}  // namespace bulkhead::executions
