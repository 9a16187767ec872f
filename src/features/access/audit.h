// The audit log: one append-only row per privileged act and per denial of one, hash-chained per tenant
// (contracts/access.md, Audit). Written in the same transaction as the act it records.
//
// The chain: row n holds seq = n (from 1), prev_hash = the hash of row n-1 (64 zeros for the first) and
//   hash = hex(SHA-256(canonical JSON of {v, tenant_id, seq, id, at, actor, action, resource, before, after, ip,
//                                         request_id, outcome, prev_hash}))
// where before/after are the stored canonical texts. The head row holds (count, hash of the last row) and is what an
// append locks: writers of one tenant queue up behind it on PostgreSQL, those of different tenants do not meet.
// `verify_audit` finds a changed, missing, reordered or cut-off row; a chain rewritten from some row to its end, head
// included, shows only against a head that was noted elsewhere before (`expected`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "features/access/principal.h"
#include "platform/sql/database.h"

namespace bulkhead::access {

struct AuditEntry {
  std::string actor;     // Principal::credential_id
  std::string action;    // "install.create"
  std::string resource;  // "install:<uuid>"
  json::value before;    // redacted; null when there was none
  json::value after;
  std::string ip;
  std::string request_id;
  std::string outcome = "ok";  // "ok" | "denied" | "error"
};

// Who acts, as the audit log names it. Services take it beside their own arguments.
struct Actor {
  std::string credential_id;
  std::string ip;
  std::string request_id;
};
// `before` and `after` are redacted here again (redaction.h).
AuditEntry audit_entry(const Actor& actor, std::string action, std::string resource, json::value before = nullptr,
                       json::value after = nullptr);

// Appends to the chain of `tx`'s tenant; the transaction decides whether both become durable.
Status append_audit(sql::TenantTx& tx, const AuditEntry& entry, UtcMicros now, Random& random);
// The platform's own chain (acts outside any tenant).
Status append_platform_audit(sql::SystemTx& tx, const AuditEntry& entry, UtcMicros now, Random& random);

struct AuditRow {
  std::int64_t seq = 0;
  AuditId id;
  UtcMicros at;
  std::string actor;
  std::string action;
  std::string resource;
  std::string before;  // canonical JSON
  std::string after;
  std::string ip;
  std::string request_id;
  std::string outcome;
  std::string prev_hash;
  std::string hash;
};
json::object to_json(const AuditRow& row);

// Newest first: rows with seq < `before_seq` (all when nullopt), at most `limit`.
Result<std::vector<AuditRow>> list_audit(sql::TenantTx& tx, std::optional<std::int64_t> before_seq, std::size_t limit);
Result<std::vector<AuditRow>> list_platform_audit(sql::SystemTx& tx, std::optional<std::int64_t> before_seq,
                                                  std::size_t limit);

struct AuditHead {
  std::int64_t count = 0;
  std::string hash;  // 64 zeros when count is 0
  bool operator==(const AuditHead&) const = default;
};
Result<AuditHead> audit_head(sql::TenantTx& tx);
Result<AuditHead> platform_audit_head(sql::SystemTx& tx);

struct AuditVerification {
  bool intact = true;
  AuditHead head;              // what the rows add up to
  std::int64_t broken_at = 0;  // seq of the first bad row (count + 1: rows are missing at the end)
  std::string reason;          // "changed", "missing", "link", "head", "rewritten"
};
// Recomputes the whole chain in one snapshot. `expected`: an earlier head that the chain must still contain.
Result<AuditVerification> verify_audit(sql::TenantTx& tx, const std::optional<AuditHead>& expected = {});
Result<AuditVerification> verify_platform_audit(sql::SystemTx& tx, const std::optional<AuditHead>& expected = {});

}  // namespace bulkhead::access
