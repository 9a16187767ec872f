// The gateway: /api/ext/{extensionId}/{...path} (contracts/extensions.md §4, complete).
//
// Order of checks: 401 (route service) → 403 tenant_mismatch → 404 extension_not_available → 404 endpoint_not_found or
// 405 → 403 forbidden → 413 → 429 → call. A call that is dispatched has exactly one execution-log row; what is refused
// before has none. Runs on the connection's core, with that core's dispatcher and journal.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "features/access/authorizer.h"
#include "features/access/route.h"
#include "features/access/tenant_resolver.h"
#include "features/extensions/installed.h"
#include "features/gateway/body_budget.h"
#include "features/gateway/endpoint_router.h"
#include "features/guard/idempotency.h"
#include "features/invocations/invoker.h"
#include "platform/observe/metrics.h"

namespace bulkhead::gateway {

inline constexpr Bytes kMaxRequestBody = 10'000'000_B;  // "10 MB"
// Of all bodies that are under way: a tenant's 32 calls at once (contracts/extensions.md §3) may all be of the largest.
inline constexpr Bytes kMaxTenantBodies = 320'000'000_B;
inline constexpr Bytes kMaxBodies = 1'024_MiB;

class GatewayService {
 public:
  struct Dependencies {
    access::Authorizer& authorizer;
    access::TenantResolver& tenants;
    extensions::InstallDirectory& installs;
    invocations::Invoker& invoker;
    guard::IdempotencyService& idempotency;
  };
  GatewayService(Dependencies dependencies, metrics::Registry& registry);

  Task<net::Response> handle(access::RouteContext& context);

 private:
  // All that is known of one call once the checks have passed.
  struct Call {
    explicit Call(TenantScope tenant_scope) : scope(tenant_scope) {}
    TenantScope scope;
    extensions::InstalledPtr install;
    const extensions::RunnableVersion* version = nullptr;  // kept alive by `install`
    EndpointMatch match;
    std::string body;
    std::string idempotency_key;  // the client's, for unsafe methods
  };
  // `fate` decides what becomes of the call's idempotency key.
  struct Ran {
    net::Response response;
    invocations::Fate fate = invocations::Fate::kNeverStarted;
  };

  // The tenant's install that the call means, from memory; nothing where a store has to be asked.
  std::optional<Result<extensions::InstalledPtr>> find_install_now(const access::RouteContext& context);
  Task<Result<extensions::InstalledPtr>> find_install(access::RouteContext& context);
  Result<Call> check(access::RouteContext& context, extensions::InstalledPtr install, MethodSet& allowed);
  Task<Status> read_body(access::RouteContext& context, Call& call, BodyBudget::Share& share);
  // For unsafe methods: what the idempotency key says.
  Task<net::Response> call_once(access::RouteContext& context, Call& call);
  Task<Ran> run(access::RouteContext& context, Call& call);
  // Takes the call's body.
  static Result<invocations::Invocation> make_invocation(access::RouteContext& context, Call& call);

  Dependencies dependencies_;
  BodyBudget bodies_{kMaxBodies, kMaxTenantBodies};
  metrics::Counter& calls_;
  metrics::Histogram& duration_;
};

}  // namespace bulkhead::gateway
