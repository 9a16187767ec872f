// The audit log: one append-only row per privileged act and per denial of one, hash-chained per tenant
// (contracts/access.md, Audit). Written in the same transaction as the act it records.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "features/access/principal.h"
#include "platform/sql/database.h"

namespace bulkhead::access {

struct AuditEntry {
  std::string actor;         // Principal::credential_id
  std::string action;        // "install.create"
  std::string resource;      // "install:<uuid>"
  json::value before;        // redacted; null when there was none
  json::value after;
  std::string ip;
  std::string request_id;
  std::string outcome = "ok";  // "ok" | "denied" | "error"
};

// Appends to the chain of `tx`'s tenant; the transaction decides whether both become durable.
Status append_audit(sql::TenantTx& tx, const AuditEntry& entry, UtcMicros now, Random& random);
// The platform's own chain (acts outside any tenant).
Status append_platform_audit(sql::SystemTx& tx, const AuditEntry& entry, UtcMicros now, Random& random);

}  // namespace bulkhead::access
