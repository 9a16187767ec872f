#include "features/broker/key_value_store.h"

namespace bulkhead::broker {
namespace {

// Sorts after every key that begins with the prefix: keys never hold this noncharacter (U+10FFFF).
constexpr std::string_view kAfterEveryKey = "\xF4\x8F\xBF\xBF";

}  // namespace

Result<StoredItem> get_item(sql::TenantTx& tx, const ItemName& name, UtcMicros now) {
  BH_TRY(const sql::Rows rows,
         tx.query("SELECT value, version FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2 AND "
                  "namespace = $3 AND key = $4 AND (expires_at IS NULL OR expires_at > $5)",
                  {name.install, name.name_space, name.key, now}));
  if (rows.empty()) return fail(ErrorCode::kNotFound, "There is no such key.");
  return StoredItem{rows[0].text(0), rows[0].integer(1)};
}

Result<std::int64_t> put_item(sql::TenantTx& tx, const InstallId& install, const std::string& name_space,
                              const ItemWrite& write, UtcMicros now) {
  if (!write.if_version) {
    // An expired item starts again at version 1, as if it had been removed already.
    BH_TRY(
        const sql::Rows rows,
        tx.query("INSERT INTO extension_kv_store (tenant_id, install_id, namespace, key, value, version, expires_at, "
                 "updated_at) VALUES ($1,$2,$3,$4,$5,1,$6,$7) "
                 "ON CONFLICT (tenant_id, install_id, namespace, key) DO UPDATE SET value = excluded.value, "
                 "version = CASE WHEN extension_kv_store.expires_at <= excluded.updated_at THEN 1 "
                 "ELSE extension_kv_store.version + 1 END, "
                 "expires_at = excluded.expires_at, updated_at = excluded.updated_at RETURNING version",
                 {install, name_space, write.key, write.value_json, write.expires_at, now}));
    return rows.at(0).integer(0);
  }
  BH_TRY_VOID(
      tx.execute("DELETE FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2 AND namespace = $3 "
                 "AND key = $4 AND expires_at <= $5",
                 {install, name_space, write.key, now}));
  sql::Rows rows;
  if (*write.if_version == 0) {
    BH_TRY(rows, tx.query("INSERT INTO extension_kv_store (tenant_id, install_id, namespace, key, value, version, "
                          "expires_at, updated_at) VALUES ($1,$2,$3,$4,$5,1,$6,$7) "
                          "ON CONFLICT (tenant_id, install_id, namespace, key) DO NOTHING RETURNING version",
                          {install, name_space, write.key, write.value_json, write.expires_at, now}));
  } else {
    BH_TRY(rows,
           tx.query("UPDATE extension_kv_store SET value = $5, version = version + 1, expires_at = $6, "
                    "updated_at = $7 WHERE tenant_id = $1 AND install_id = $2 AND namespace = $3 AND key = $4 "
                    "AND version = $8 RETURNING version",
                    {install, name_space, write.key, write.value_json, write.expires_at, now, *write.if_version}));
  }
  if (rows.empty()) return fail(ErrorCode::kConflict, "The key is not at the expected version.");
  return rows[0].integer(0);
}

Status delete_item(sql::TenantTx& tx, const ItemName& name, std::optional<std::int64_t> if_version, UtcMicros now) {
  std::string statement =
      "DELETE FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2 AND namespace = $3 AND key = $4";
  sql::Values values = {name.install, name.name_space, name.key};
  if (if_version) {
    statement += " AND version = $5 AND (expires_at IS NULL OR expires_at > $6)";
    values.emplace_back(*if_version);
    values.emplace_back(now);
  }
  BH_TRY(const std::int64_t removed, tx.execute(statement, std::move(values)));
  if (if_version && removed == 0) return fail(ErrorCode::kConflict, "The key is not at the expected version.");
  return {};
}

Result<ItemPage> list_items(sql::TenantTx& tx, const InstallId& install, const std::string& name_space,
                            const std::string& prefix, const std::string& after, int limit, UtcMicros now) {
  BH_TRY(const sql::Rows rows,
         tx.query("SELECT key, version FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2 AND "
                  "namespace = $3 AND key >= $4 AND key < $5 AND key > $6 AND (expires_at IS NULL OR expires_at > $7) "
                  "ORDER BY key LIMIT $8",
                  {install, name_space, prefix, prefix + std::string(kAfterEveryKey), after, now, limit + 1}));
  ItemPage page;
  page.more = rows.size() > static_cast<std::size_t>(limit);
  for (const sql::Row& row : rows) {
    if (page.items.size() == static_cast<std::size_t>(limit)) break;
    page.items.push_back({row.text(0), row.integer(1)});
  }
  return page;
}

Status remove_items_of(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY_VOID(tx.execute("DELETE FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2", {install}));
  return {};
}

Result<std::int64_t> remove_expired_items(sql::SystemTx& tx, UtcMicros now, int limit) {
  // Deleted by primary key: an expired item may have been written again since it was found.
  BH_TRY(
      const sql::Rows rows,
      tx.query("SELECT tenant_id, install_id, namespace, key FROM extension_kv_store WHERE expires_at <= $1 LIMIT $2",
               {now, limit}));
  std::int64_t removed = 0;
  for (const sql::Row& row : rows) {
    BH_TRY(const std::int64_t count,
           tx.execute("DELETE FROM extension_kv_store WHERE tenant_id = $1 AND install_id = $2 AND namespace = $3 AND "
                      "key = $4 AND expires_at <= $5",
                      {row.text(0), row.text(1), row.text(2), row.text(3), now}));
    removed += count;
  }
  return removed;
}

}  // namespace bulkhead::broker
