// POST /api/installs/:id/test-run (contracts/extensions.md §2): one call of an install by its admin, answered with
// everything that is known of it: status, headers, body, error, usage and log lines. Logged like any call, as kind
// "test".
//
// Body: {"method","path","query"?,"headers"?,"body"?|"body_b64"?}; the path is matched against the manifest's
// endpoints.
#pragma once

#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/extensions/installed.h"
#include "features/invocations/invoker.h"

namespace bulkhead::gateway {

class TestRunService {
 public:
  struct Dependencies {
    access::Authorizer& authorizer;
    access::TenantResolver& tenants;
    extensions::InstallDirectory& installs;
    invocations::Invoker& invoker;
  };
  explicit TestRunService(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

  Task<net::Response> handle(access::RouteContext& context);

 private:
  Task<Result<extensions::InstalledPtr>> find(access::RouteContext& context);
  Task<Result<json::object>> run(access::RouteContext& context);
  Dependencies dependencies_;
};

// `service` outlives the routes.
access::Routes test_run_routes(TestRunService& service);

}  // namespace bulkhead::gateway
