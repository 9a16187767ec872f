#include "features/extensions/trust_store.h"

#include "features/extensions/string_list.h"

namespace bulkhead::extensions {
namespace {

constexpr std::string_view kColumns =
    "id, tenant_id, label, kind, pem, key_id, prefixes, created_by, created_at, revoked_at";

TrustRecord record_of(const sql::Row& row) {
  TrustRecord record{.id = row.id<TrustEntryId>(0),
                     .tenant = {},
                     .label = row.text(2),
                     .kind = row.text(3),
                     .pem = row.text(4),
                     .key_id = row.text(5),
                     .prefixes = list_from_text(row.text(6)),
                     .created_by = row.text(7),
                     .created_at = row.time(8),
                     .revoked_at = {}};
  if (!row.is_null(1)) record.tenant = row.id<TenantId>(1);
  if (!row.is_null(9)) record.revoked_at = row.time(9);
  return record;
}

Result<std::vector<TrustRecord>> records_of(Result<sql::Rows> rows) {
  if (!rows) return fail(std::move(rows.error()));
  std::vector<TrustRecord> records;
  records.reserve(rows->size());
  for (const sql::Row& row : *rows) records.push_back(record_of(row));
  return records;
}

std::string select(std::string_view rest) {
  return "SELECT " + std::string(kColumns) + " FROM trust_entry " + std::string(rest);
}

sql::Values insert_values(const TrustRecord& record) {
  return {record.id,         record.label,     record.kind, record.pem, record.key_id, list_to_text(record.prefixes),
          record.created_by, record.created_at};
}

Status revoked(Result<std::int64_t> changed) {
  if (!changed) return fail(std::move(changed.error()));
  if (*changed == 0) return fail(ErrorCode::kNotFound, "There is no such trust entry.");
  return {};
}

}  // namespace

Status insert_trust(sql::SystemTx& tx, const TrustRecord& record) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO trust_entry (tenant_id, id, label, kind, pem, key_id, prefixes, created_by, "
                 "created_at) VALUES (NULL, $1, $2, $3, $4, $5, $6, $7, $8)",
                 insert_values(record)));
  return {};
}

Status insert_trust(sql::TenantTx& tx, const TrustRecord& record) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO trust_entry (tenant_id, id, label, kind, pem, key_id, prefixes, created_by, "
                 "created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                 insert_values(record)));
  return {};
}

Result<std::vector<TrustRecord>> list_trust(sql::SystemTx& tx) {
  return records_of(tx.query(select("WHERE tenant_id IS NULL ORDER BY id")));
}

Result<std::vector<TrustRecord>> list_trust(sql::TenantTx& tx) {
  return records_of(tx.query(select("WHERE tenant_id = $1 ORDER BY id")));
}

Status set_trust_revoked(sql::SystemTx& tx, const TrustEntryId& id, UtcMicros now) {
  return revoked(
      tx.execute("UPDATE trust_entry SET revoked_at = COALESCE(revoked_at, $2) "
                 "WHERE tenant_id IS NULL AND id = $1",
                 {id, now}));
}

Status set_trust_revoked(sql::TenantTx& tx, const TrustEntryId& id, UtcMicros now) {
  return revoked(
      tx.execute("UPDATE trust_entry SET revoked_at = COALESCE(revoked_at, $3) "
                 "WHERE tenant_id = $1 AND id = $2",
                 {id, now}));
}

Result<std::string> trust_state(sql::SystemTx& tx) {
  BH_TRY(const sql::Row row,
         tx.query_one("SELECT COUNT(*), COUNT(revoked_at), COALESCE(MAX(id), '') FROM trust_entry"));
  return std::to_string(row.integer(0)) + "/" + std::to_string(row.integer(1)) + "/" + row.text(2);
}

Result<std::vector<TrustRecord>> list_trust_for(sql::SystemTx& tx, const std::optional<TenantId>& owner) {
  return records_of(
      tx.query(select("WHERE tenant_id IS NULL OR tenant_id = $1 ORDER BY id"), {owner ? owner->to_string() : ""}));
}

}  // namespace bulkhead::extensions
