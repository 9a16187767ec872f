// TenantScope: the proof that somebody may act in a tenant. Every tenant-scoped statement needs one (sql::TenantTx), so
// a forgotten check does not compile.
//
// Only these make one: access::Authorizer (after it allowed a permission), broker::ExecutionTable (from a live
// execution handle) and `for_background_job` (work that a stored row of that tenant demands: outbox, journal replay,
// provisioning; tools/check_layers.py lists the files that may call it).
#pragma once

#include <string_view>

#include "base/ids.h"

namespace bulkhead {

namespace access {
class Authorizer;
}
namespace broker {
class ExecutionTable;
}

class TenantScope {
 public:
  const TenantId& tenant() const { return tenant_; }
  // `reason` names the job, for the reader of the code and the allowlist.
  static TenantScope for_background_job(TenantId tenant, [[maybe_unused]] std::string_view reason) {
    return TenantScope(tenant);
  }

 private:
  friend class access::Authorizer;
  friend class broker::ExecutionTable;
  explicit TenantScope(TenantId tenant) : tenant_(tenant) {}
  TenantId tenant_;
};

}  // namespace bulkhead
