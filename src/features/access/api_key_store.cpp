#include "features/access/api_key_store.h"

#include "base/bytes.h"
#include "base/json.h"

namespace bulkhead::access {
namespace {

constexpr std::string_view kColumns =
    "k.id, k.name, k.hint, k.role, k.scopes, k.ip_allowlist, k.created_by, k.created_at, k.expires_at, k.revoked_at, "
    "k.last_used_at, k.rotated_from";
constexpr std::size_t kColumnCount = 12;

std::string hex(const Sha256Digest& digest) {
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string to_text(const std::vector<std::string>& texts) {
  return json::serialize(json::array(texts.begin(), texts.end()));
}

// The column was written by `to_text`; anything else is damage and must not widen what the key may do.
std::vector<std::string> to_texts(const std::string& text) {
  std::vector<std::string> texts;
  const auto parsed = parse_json(text);
  BH_ASSERT(parsed.has_value() && parsed->is_array());
  for (const json::value& item : parsed->get_array()) texts.emplace_back(item.as_string());
  return texts;
}

std::optional<UtcMicros> optional_time(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return row.time(column);
}

ApiKeyRecord record_of(const sql::Row& row) {
  ApiKeyRecord record;
  record.id = row.id<ApiKeyId>(0);
  record.name = row.text(1);
  record.hint = row.text(2);
  record.role = row.text(3);
  if (!row.is_null(4)) record.scopes = to_texts(row.text(4));
  record.ip_allowlist = to_texts(row.text(5));
  record.created_by = row.text(6);
  record.created_at = row.time(7);
  record.expires_at = optional_time(row, 8);
  record.revoked_at = optional_time(row, 9);
  record.last_used_at = optional_time(row, 10);
  if (!row.is_null(11)) record.rotated_from = row.id<ApiKeyId>(11);
  return record;
}

}  // namespace

std::string_view status_of(const ApiKeyRecord& record, UtcMicros now) {
  if (record.revoked_at) return "revoked";
  if (record.expires_at && *record.expires_at <= now) return "expired";
  return "active";
}

Status insert_api_key(sql::TenantTx& tx, const ApiKeyRecord& record, const Sha256Digest& hash) {
  const sql::Value scopes = record.scopes ? sql::Value(to_text(*record.scopes)) : sql::Value();
  BH_TRY_VOID(tx.execute(
      "INSERT INTO api_key (tenant_id, id, name, hint, hash, role, scopes, ip_allowlist, created_by, created_at, "
      "expires_at, rotated_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
      {record.id, record.name, record.hint, hex(hash), record.role, scopes, to_text(record.ip_allowlist),
       record.created_by, record.created_at, record.expires_at, record.rotated_from}));
  return {};
}

Result<std::int64_t> count_api_keys(sql::TenantTx& tx) {
  BH_TRY(const sql::Row row, tx.query_one("SELECT COUNT(*) FROM api_key WHERE tenant_id = $1"));
  return row.integer(0);
}

Result<ApiKeyRecord> lock_api_key(sql::TenantTx& tx, const ApiKeyId& id) {
  BH_TRY(const auto rows,
         tx.query("SELECT " + std::string(kColumns) + " FROM api_key k WHERE k.tenant_id = $1 AND k.id = $2" +
                      (tx.engine() == sql::Engine::kPostgres ? " FOR UPDATE" : ""),
                  {id}));
  if (rows.empty()) return fail(ErrorCode::kNotFound, "There is no such API key in this organization.");
  return record_of(rows[0]);
}

Result<std::vector<ApiKeyRecord>> list_api_keys(sql::TenantTx& tx, const std::string& after, std::size_t limit) {
  BH_TRY(const auto rows, tx.query("SELECT " + std::string(kColumns) +
                                       " FROM api_key k WHERE k.tenant_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3",
                                   {after, static_cast<std::int64_t>(limit)}));
  std::vector<ApiKeyRecord> records;
  records.reserve(rows.size());
  for (const sql::Row& row : rows) records.push_back(record_of(row));
  return records;
}

Status set_api_key_expiry(sql::TenantTx& tx, const ApiKeyId& id, UtcMicros expires_at) {
  BH_TRY_VOID(tx.execute("UPDATE api_key SET expires_at = $3 WHERE tenant_id = $1 AND id = $2", {id, expires_at}));
  return {};
}

Status set_api_key_revoked(sql::TenantTx& tx, const ApiKeyId& id, UtcMicros revoked_at) {
  BH_TRY_VOID(tx.execute("UPDATE api_key SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2", {id, revoked_at}));
  return {};
}

Result<std::optional<KeyOwner>> find_api_key(sql::SystemTx& tx, const Sha256Digest& hash) {
  BH_TRY(const auto rows,
         tx.query("SELECT " + std::string(kColumns) +
                      ", k.tenant_id, o.slug FROM api_key k JOIN organization o ON o.tenant_id = k.tenant_id "
                      "WHERE k.hash = $1",
                  {hex(hash)}));
  if (rows.empty()) return std::nullopt;
  return KeyOwner{record_of(rows[0]), rows[0].id<TenantId>(kColumnCount), rows[0].text(kColumnCount + 1)};
}

Status set_api_key_used(sql::SystemTx& tx, const ApiKeyId& id, UtcMicros minute) {
  BH_TRY_VOID(
      tx.execute("UPDATE api_key SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
                 {id, minute}));
  return {};
}

}  // namespace bulkhead::access
