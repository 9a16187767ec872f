#include "features/access/audit.h"

#include "base/bytes.h"
#include "base/sha256.h"
#include "features/access/redaction.h"

namespace bulkhead::access {
namespace {

const std::string kNoHash(64, '0');
constexpr std::int64_t kVerifyPage = 1'000;

// The two chains are the same but for their tables and for how the tenant gets in: TenantTx binds it as $1 itself.
class TenantChain {
 public:
  explicit TenantChain(sql::TenantTx& tx) : tx_(tx) {}
  std::string tenant() const { return tx_.tenant().to_string(); }
  Result<sql::Rows> query(const std::string& statement, sql::Values values) {
    return tx_.query(statement, std::move(values));
  }
  Result<std::int64_t> execute(const std::string& statement, sql::Values values) {
    return tx_.execute(statement, std::move(values));
  }
  static std::string table(std::string_view name) { return std::string(name); }

 private:
  sql::TenantTx& tx_;
};

class PlatformChain {
 public:
  explicit PlatformChain(sql::SystemTx& tx) : tx_(tx) {}
  std::string tenant() const { return TenantId().to_string(); }
  Result<sql::Rows> query(const std::string& statement, sql::Values values) {
    values.insert(values.begin(), tenant());
    return tx_.query(statement, values);
  }
  Result<std::int64_t> execute(const std::string& statement, sql::Values values) {
    values.insert(values.begin(), tenant());
    return tx_.execute(statement, values);
  }
  static std::string table(std::string_view name) { return "platform_" + std::string(name); }

 private:
  sql::SystemTx& tx_;
};

std::string row_hash(const std::string& tenant, const AuditRow& row) {
  const json::value signed_part = {{"v", 1},
                                   {"tenant_id", tenant},
                                   {"seq", row.seq},
                                   {"id", row.id.to_string()},
                                   {"at", row.at.value},
                                   {"actor", row.actor},
                                   {"action", row.action},
                                   {"resource", row.resource},
                                   {"before", row.before},
                                   {"after", row.after},
                                   {"ip", row.ip},
                                   {"request_id", row.request_id},
                                   {"outcome", row.outcome},
                                   {"prev_hash", row.prev_hash}};
  return ContentHash::of(canonical_json(signed_part)).hex();
}

constexpr std::string_view kColumns =
    "seq, id, at, actor, action, resource, before_json, after_json, ip, request_id, outcome, prev_hash, hash";

AuditRow row_of(const sql::Row& row) {
  return {row.integer(0), row.id<AuditId>(1), row.time(2), row.text(3),  row.text(4),  row.text(5), row.text(6),
          row.text(7),    row.text(8),        row.text(9), row.text(10), row.text(11), row.text(12)};
}

template <typename Chain>
Status append(Chain chain, const AuditEntry& entry, UtcMicros now, Random& random) {
  // Takes the head's row lock, so that two appends can't link to the same row; RETURNING gives the hash as it still is.
  BH_TRY(const auto heads, chain.query("INSERT INTO " + Chain::table("audit_head") +
                                           " AS h (tenant_id, count, hash) VALUES ($1, 1, $2) "
                                           "ON CONFLICT (tenant_id) DO UPDATE SET count = h.count + 1 "
                                           "RETURNING count, hash",
                                       {kNoHash}));
  if (heads.size() != 1) return fail(ErrorCode::kInternal, {}, "the audit head was not returned");
  AuditRow row;
  row.seq = heads[0].integer(0);
  row.prev_hash = heads[0].text(1);
  row.id = AuditId::v7(now, random);
  row.at = now;
  row.actor = entry.actor;
  row.action = entry.action;
  row.resource = entry.resource;
  row.before = canonical_json(entry.before);
  row.after = canonical_json(entry.after);
  row.ip = entry.ip;
  row.request_id = entry.request_id;
  row.outcome = entry.outcome;
  row.hash = row_hash(chain.tenant(), row);
  BH_TRY_VOID(chain.execute("INSERT INTO " + Chain::table("audit_log") + " (tenant_id, " + std::string(kColumns) +
                                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                            {row.seq, row.id, row.at, row.actor, row.action, row.resource, row.before, row.after,
                             row.ip, row.request_id, row.outcome, row.prev_hash, row.hash}));
  BH_TRY_VOID(
      chain.execute("UPDATE " + Chain::table("audit_head") + " SET hash = $2 WHERE tenant_id = $1", {row.hash}));
  return {};
}

template <typename Chain>
Result<std::vector<AuditRow>> list(Chain chain, std::optional<std::int64_t> before_seq, std::size_t limit) {
  BH_TRY(const auto found, chain.query("SELECT " + std::string(kColumns) + " FROM " + Chain::table("audit_log") +
                                           " WHERE tenant_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
                                       {before_seq.value_or(INT64_MAX), static_cast<std::int64_t>(limit)}));
  std::vector<AuditRow> rows;
  rows.reserve(found.size());
  for (const sql::Row& row : found) rows.push_back(row_of(row));
  return rows;
}

template <typename Chain>
Result<AuditHead> head(Chain chain) {
  BH_TRY(const auto rows,
         chain.query("SELECT count, hash FROM " + Chain::table("audit_head") + " WHERE tenant_id = $1", {}));
  if (rows.empty()) return AuditHead{0, kNoHash};
  return AuditHead{rows[0].integer(0), rows[0].text(1)};
}

AuditVerification broken(const AuditHead& so_far, std::int64_t at, std::string reason) {
  return {false, so_far, at, std::move(reason)};
}

template <typename Chain>
Result<AuditVerification> verify(Chain chain, const std::optional<AuditHead>& expected) {
  BH_TRY(const AuditHead stored, head(chain));
  AuditHead sum{0, kNoHash};
  bool found_expected = !expected || (expected->count == 0 && expected->hash == kNoHash);
  while (true) {
    BH_TRY(const auto rows, chain.query("SELECT " + std::string(kColumns) + " FROM " + Chain::table("audit_log") +
                                            " WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                                        {sum.count, kVerifyPage}));
    for (const sql::Row& raw : rows) {
      const AuditRow row = row_of(raw);
      if (row.seq != sum.count + 1) return broken(sum, sum.count + 1, "missing");
      if (row.prev_hash != sum.hash) return broken(sum, row.seq, "link");
      if (row_hash(chain.tenant(), row) != row.hash) return broken(sum, row.seq, "changed");
      sum = {row.seq, row.hash};
      if (expected && *expected == sum) found_expected = true;
    }
    if (rows.size() < static_cast<std::size_t>(kVerifyPage)) break;
  }
  if (stored.count > sum.count) return broken(sum, sum.count + 1, "missing");
  if (stored != sum) return broken(sum, sum.count, "head");
  if (!found_expected) return broken(sum, expected->count, "rewritten");
  return AuditVerification{true, sum, 0, {}};
}

}  // namespace

AuditEntry audit_entry(const Actor& actor, std::string action, std::string resource, json::value before,
                       json::value after) {
  redact(before);
  redact(after);
  return {actor.credential_id, std::move(action), std::move(resource), std::move(before),
          std::move(after),    actor.ip,          actor.request_id,    "ok"};
}

Status append_audit(sql::TenantTx& tx, const AuditEntry& entry, UtcMicros now, Random& random) {
  return append(TenantChain(tx), entry, now, random);
}

Status append_platform_audit(sql::SystemTx& tx, const AuditEntry& entry, UtcMicros now, Random& random) {
  return append(PlatformChain(tx), entry, now, random);
}

json::object to_json(const AuditRow& row) {
  const auto document = [](const std::string& text) {
    auto value = parse_json(text);
    return value ? std::move(*value) : json::value(nullptr);
  };
  return {{"seq", row.seq},
          {"id", row.id.to_string()},
          {"at", to_rfc3339(row.at)},
          {"actor", row.actor},
          {"action", row.action},
          {"resource", row.resource},
          {"before", document(row.before)},
          {"after", document(row.after)},
          {"ip", row.ip},
          {"request_id", row.request_id},
          {"outcome", row.outcome},
          {"prev_hash", row.prev_hash},
          {"hash", row.hash}};
}

Result<std::vector<AuditRow>> list_audit(sql::TenantTx& tx, std::optional<std::int64_t> before_seq, std::size_t limit) {
  return list(TenantChain(tx), before_seq, limit);
}

Result<std::vector<AuditRow>> list_platform_audit(sql::SystemTx& tx, std::optional<std::int64_t> before_seq,
                                                  std::size_t limit) {
  return list(PlatformChain(tx), before_seq, limit);
}

Result<AuditHead> audit_head(sql::TenantTx& tx) { return head(TenantChain(tx)); }
Result<AuditHead> platform_audit_head(sql::SystemTx& tx) { return head(PlatformChain(tx)); }

Result<AuditVerification> verify_audit(sql::TenantTx& tx, const std::optional<AuditHead>& expected) {
  return verify(TenantChain(tx), expected);
}

Result<AuditVerification> verify_platform_audit(sql::SystemTx& tx, const std::optional<AuditHead>& expected) {
  return verify(PlatformChain(tx), expected);
}

}  // namespace bulkhead::access
