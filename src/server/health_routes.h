// GET /healthz, /readyz, /metrics and /api/v1/internal/stats (contracts/access.md, Edge).
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/runners/runner_supervisor.h"
#include "platform/blob/store.h"
#include "platform/sql/database.h"

namespace bulkhead::server {

struct HealthDependencies {
  sql::Database& database;
  blob::Store& blobs;
  runners::RunnerSupervisor& runners;
  access::Authorizer& authorizer;
  metrics::Registry& registry;
  std::size_t wanted_runners = 1;
  std::string compiler_sandbox = {};  // JSON: the layers around the compiler
};

// The dependencies outlive the routes.
access::Routes health_routes(HealthDependencies dependencies);

}  // namespace bulkhead::server
