#include "features/secrets/secret_store.h"

#include <algorithm>

namespace bulkhead::secrets {

kms::Place place_of(const TenantId& tenant, const InstallId& install, std::string_view key) {
  // A key holds no '/', so no two rows have the same name.
  return {.table = "extension_secret",
          .column = "value_enc",
          .row = install.to_string() + "/" + std::string(key),
          .tenant = tenant};
}

Status put_secret(sql::TenantTx& tx, const StoredSecret& secret, const std::string& updated_by, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO extension_secret (tenant_id, install_id, key, value_enc, kid, created_at, updated_at, "
                 "updated_by) VALUES ($1,$2,$3,$4,$5,$6,$6,$7) "
                 "ON CONFLICT (tenant_id, install_id, key) DO UPDATE SET value_enc = excluded.value_enc, "
                 "kid = excluded.kid, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
                 {secret.install, secret.key, secret.envelope, secret.kid, now, updated_by}));
  return {};
}

Result<bool> delete_secret(sql::TenantTx& tx, const InstallId& install, const std::string& key) {
  BH_TRY(
      const std::int64_t removed,
      tx.execute("DELETE FROM extension_secret WHERE tenant_id = $1 AND install_id = $2 AND key = $3", {install, key}));
  return removed > 0;
}

Status delete_secrets_of(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY_VOID(tx.execute("DELETE FROM extension_secret WHERE tenant_id = $1 AND install_id = $2", {install}));
  return {};
}

Result<std::optional<std::string>> find_envelope(sql::TenantTx& tx, const InstallId& install, const std::string& key) {
  BH_TRY(const sql::Rows rows,
         tx.query("SELECT value_enc FROM extension_secret WHERE tenant_id = $1 AND install_id = $2 AND key = $3",
                  {install, key}));
  if (rows.empty()) return std::nullopt;
  return rows[0].text(0);
}

Result<std::vector<SecretInfo>> list_secrets(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY(const sql::Rows rows,
         tx.query("SELECT key, updated_at, updated_by FROM extension_secret WHERE tenant_id = $1 AND install_id = $2",
                  {install}));
  std::vector<SecretInfo> found;
  for (const sql::Row& row : rows) found.push_back({row.text(0), row.time(1), row.text(2)});
  std::ranges::sort(found, {}, &SecretInfo::key);  // the engines' collations differ
  return found;
}

Result<std::int64_t> count_others(sql::TenantTx& tx, const InstallId& install, const std::string& key) {
  BH_TRY(const sql::Row row,
         tx.query_one("SELECT COUNT(*) FROM extension_secret WHERE tenant_id = $1 AND install_id = $2 AND key <> $3",
                      {install, key}));
  return row.integer(0);
}

Result<std::vector<KeyUsage>> key_usage(sql::SystemTx& tx) {
  BH_TRY(const sql::Rows kids, tx.query("SELECT kid, COUNT(*) FROM extension_secret GROUP BY kid ORDER BY kid"));
  std::vector<KeyUsage> usage;
  for (const sql::Row& kid : kids) {
    BH_TRY(const sql::Row row, tx.query_one("SELECT tenant_id, install_id, key, value_enc, kid FROM extension_secret "
                                            "WHERE kid = $1 LIMIT 1",
                                            {kid.text(0)}));
    usage.push_back(
        {.kid = kid.text(0),
         .secrets = kid.integer(1),
         .tenant = row.id<TenantId>(0),
         .sample = {.install = row.id<InstallId>(1), .key = row.text(2), .envelope = row.text(3), .kid = row.text(4)}});
  }
  return usage;
}

}  // namespace bulkhead::secrets
