// GET /api/installs/:id/metrics/custom: what the extension itself has counted; JSON, or the Prometheus text format
// where the client accepts text/plain.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/extension_metrics/series_table.h"
#include "features/extensions/installed.h"

namespace bulkhead::extension_metrics {

// All outlive the routes.
struct MetricsRoom {
  access::Authorizer& authorizer;
  access::TenantResolver& tenants;
  extensions::InstallDirectory& installs;
  const SeriesTable& table;
};
access::Routes metric_routes(MetricsRoom room);

}  // namespace bulkhead::extension_metrics
