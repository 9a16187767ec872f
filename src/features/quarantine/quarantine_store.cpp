#include "features/quarantine/quarantine_store.h"

namespace bulkhead::quarantine {
namespace {

constexpr const char* kColumns = "tenant_id, install_id, extension_id, reason, message, since, until";

Quarantine from_row(const sql::Row& row) {
  Quarantine quarantine;
  quarantine.tenant = row.id<TenantId>(0);
  quarantine.install = row.id<InstallId>(1);
  quarantine.extension = row.id<ExtensionId>(2);
  quarantine.reason = parse_reason(row.text(3)).value_or(Reason::kPolicyViolations);
  quarantine.message = row.text(4);
  quarantine.since = row.time(5);
  if (const auto until = row.optional_integer(6)) quarantine.until = UtcMicros{*until};
  return quarantine;
}

std::vector<Quarantine> from_rows(const sql::Rows& rows) {
  std::vector<Quarantine> found;
  for (const auto& row : rows) found.push_back(from_row(row));
  return found;
}

}  // namespace

Result<bool> insert_quarantine(sql::TenantTx& tx, const Quarantine& quarantine) {
  std::optional<std::int64_t> until;
  if (quarantine.until) until = quarantine.until->value;
  BH_TRY(const std::int64_t inserted,
         tx.execute(std::string("INSERT INTO extension_quarantine (") + kColumns +
                        ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, install_id) DO UPDATE SET "
                        "extension_id = excluded.extension_id, reason = excluded.reason, message = excluded.message, "
                        "since = excluded.since, until = excluded.until WHERE extension_quarantine.until IS NOT NULL "
                        "AND extension_quarantine.until <= excluded.since",
                    {quarantine.install, quarantine.extension, to_string(quarantine.reason), quarantine.message,
                     quarantine.since, until}));
  return inserted > 0;
}

Result<std::optional<Quarantine>> delete_quarantine(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY(const auto rows,
         tx.query(std::string("DELETE FROM extension_quarantine WHERE tenant_id = $1 AND install_id = $2 RETURNING ") +
                      kColumns,
                  {install}));
  if (rows.empty()) return std::nullopt;
  return from_row(rows.front());
}

Result<std::vector<Quarantine>> list_quarantines(sql::TenantTx& tx, std::int64_t limit) {
  BH_TRY(const auto rows, tx.query(std::string("SELECT ") + kColumns +
                                       " FROM extension_quarantine WHERE tenant_id = $1"
                                       " ORDER BY since DESC, install_id LIMIT $2",
                                   {limit}));
  return from_rows(rows);
}

Result<std::vector<Quarantine>> list_quarantines(sql::SystemTx& tx, std::int64_t limit) {
  BH_TRY(const auto rows, tx.query(std::string("SELECT ") + kColumns +
                                       " FROM extension_quarantine ORDER BY since DESC, install_id LIMIT $1",
                                   {limit}));
  return from_rows(rows);
}

Result<std::optional<Quarantine>> find_quarantine(sql::SystemTx& tx, const InstallId& install) {
  BH_TRY(const auto rows,
         tx.query(std::string("SELECT ") + kColumns + " FROM extension_quarantine WHERE install_id = $1", {install}));
  if (rows.empty()) return std::nullopt;
  return from_row(rows.front());
}

}  // namespace bulkhead::quarantine
