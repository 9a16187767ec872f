#include "features/extensions/install_store.h"

#include "features/extensions/string_list.h"

namespace bulkhead::extensions {
namespace {

constexpr std::string_view kColumns =
    "i.id, i.extension_id, i.version_id, i.previous_version_id, i.rollout_version_id, i.rollout_percent, "
    "i.granted_caps, i.granted_egress, i.config, i.limits, i.is_enabled, i.status, i.runner_domain, i.runner_state, "
    "i.runner_message, i.runner_updated_at, i.runner_ref, i.revision, i.created_by, i.created_at, i.updated_at";
constexpr std::size_t kColumnCount = 21;

std::optional<VersionId> optional_version(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return row.id<VersionId>(column);
}

sql::Value null_if_empty(const std::string& text) { return text.empty() ? sql::Value() : sql::Value(text); }

Install install_of(const sql::Row& row) {
  const auto state = parse_runner_state(row.text(13));
  BH_ASSERT(state.has_value());
  return {.id = row.id<InstallId>(0),
          .extension_id = row.id<ExtensionId>(1),
          .version_id = row.id<VersionId>(2),
          .previous_version_id = optional_version(row, 3),
          .rollout_version_id = optional_version(row, 4),
          .rollout_percent = static_cast<int>(row.integer(5)),
          .granted_caps = list_from_text(row.text(6)),
          .granted_egress = list_from_text(row.text(7)),
          .config_json = row.text(8),
          .limits_json = row.text(9),
          .is_enabled = row.boolean(10),
          .status = row.text(11),
          .runner_domain = row.text(12),
          .runner_status = {*state, row.optional_text(14).value_or(""), row.time(15)},
          .runner_ref = row.optional_text(16).value_or(""),
          .revision = row.integer(17),
          .created_by = row.text(18),
          .created_at = row.time(19),
          .updated_at = row.time(20)};
}

std::string select_own(std::string_view rest) {
  return "SELECT " + std::string(kColumns) + " FROM tenant_extension_install i WHERE i.tenant_id = $1 " +
         std::string(rest);
}

Result<std::optional<Install>> first(Result<sql::Rows> rows) {
  if (!rows) return fail(std::move(rows.error()));
  if (rows->empty()) return std::nullopt;
  return install_of(rows->front());
}

// id, version, content_hash, manifest: what running a version takes.
Version runnable_of(const sql::Row& row, std::size_t column, const ExtensionId& extension) {
  Version version;
  version.id = row.id<VersionId>(column);
  version.extension_id = extension;
  version.version = row.text(column + 1);
  version.content_hash = row.hash(column + 2);
  version.manifest_json = row.text(column + 3);
  return version;
}

}  // namespace

Status insert_install(sql::TenantTx& tx, const Install& install) {
  BH_TRY_VOID(tx.execute(
      "INSERT INTO tenant_extension_install (tenant_id, id, extension_id, version_id, previous_version_id, "
      "rollout_version_id, rollout_percent, granted_caps, granted_egress, config, limits, is_enabled, status, "
      "runner_domain, runner_state, runner_message, runner_updated_at, runner_ref, revision, created_by, created_at, "
      "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "
      "$21, $22)",
      {install.id,
       install.extension_id,
       install.version_id,
       install.previous_version_id,
       install.rollout_version_id,
       install.rollout_percent,
       list_to_text(install.granted_caps),
       list_to_text(install.granted_egress),
       install.config_json,
       install.limits_json,
       install.is_enabled,
       install.status,
       install.runner_domain,
       to_string(install.runner_status.state),
       null_if_empty(install.runner_status.message),
       install.runner_status.last_updated,
       null_if_empty(install.runner_ref),
       install.revision,
       install.created_by,
       install.created_at,
       install.updated_at}));
  return {};
}

Status update_install(sql::TenantTx& tx, const Install& install) {
  BH_TRY(const std::int64_t changed,
         tx.execute("UPDATE tenant_extension_install SET version_id = $3, previous_version_id = $4, "
                    "rollout_version_id = $5, rollout_percent = $6, granted_caps = $7, granted_egress = $8, "
                    "config = $9, limits = $10, is_enabled = $11, status = $12, runner_state = $13, "
                    "runner_message = $14, runner_updated_at = $15, revision = $16, updated_at = $17 "
                    "WHERE tenant_id = $1 AND id = $2 AND revision = $16 - 1",
                    {install.id, install.version_id, install.previous_version_id, install.rollout_version_id,
                     install.rollout_percent, list_to_text(install.granted_caps), list_to_text(install.granted_egress),
                     install.config_json, install.limits_json, install.is_enabled, install.status,
                     to_string(install.runner_status.state), null_if_empty(install.runner_status.message),
                     install.runner_status.last_updated, install.revision, install.updated_at}));
  if (changed == 1) return {};
  return fail(ErrorCode::kConflict, "The install was changed by somebody else at the same time.");
}

Status delete_install(sql::TenantTx& tx, const InstallId& id) {
  BH_TRY_VOID(tx.execute("DELETE FROM tenant_extension_install WHERE tenant_id = $1 AND id = $2", {id}));
  return {};
}

Result<std::optional<Install>> find_own_install(sql::TenantTx& tx, const InstallId& id) {
  return first(tx.query(select_own("AND i.id = $2"), {id}));
}

Result<std::optional<Install>> find_own_install_of(sql::TenantTx& tx, const ExtensionId& extension) {
  return first(tx.query(select_own("AND i.extension_id = $2"), {extension}));
}

Result<std::vector<Install>> list_own_installs(sql::TenantTx& tx, const std::string& after, std::size_t limit) {
  BH_TRY(const auto rows,
         tx.query(select_own("AND i.id > $2 ORDER BY i.id LIMIT $3"), {after, static_cast<std::int64_t>(limit)}));
  std::vector<Install> installs;
  installs.reserve(rows.size());
  for (const sql::Row& row : rows) installs.push_back(install_of(row));
  return installs;
}

Result<std::optional<InstallView>> find_install_view(sql::SystemTx& tx, const TenantId& tenant,
                                                     const std::string& extension) {
  const auto id = ExtensionId::parse(extension);
  const std::string statement =
      "SELECT " + std::string(kColumns) +
      ", e.name, v.id, v.version, v.content_hash, v.manifest, r.id, r.version, r.content_hash, r.manifest "
      "FROM tenant_extension_install i JOIN extension_registry e ON e.id = i.extension_id "
      "JOIN extension_version v ON v.id = i.version_id LEFT JOIN extension_version r ON r.id = i.rollout_version_id "
      "WHERE i.tenant_id = $1 AND " +
      (id ? "i.extension_id = $2" : "e.name = $2");
  BH_TRY(const auto rows, tx.query(statement, {tenant, id ? id->to_string() : extension}));
  if (rows.empty()) return std::nullopt;
  const sql::Row& row = rows.front();
  InstallView view{.tenant = tenant,
                   .install = install_of(row),
                   .extension_name = row.text(kColumnCount),
                   .version = {},
                   .rollout = {}};
  view.version = runnable_of(row, kColumnCount + 1, view.install.extension_id);
  if (!row.is_null(kColumnCount + 5)) view.rollout = runnable_of(row, kColumnCount + 5, view.install.extension_id);
  return view;
}

Result<std::optional<InstallOwner>> find_install_owner(sql::SystemTx& tx, const InstallId& id) {
  BH_TRY(const auto rows, tx.query("SELECT tenant_id, extension_id FROM tenant_extension_install WHERE id = $1", {id}));
  if (rows.empty()) return std::nullopt;
  return InstallOwner{rows.front().id<TenantId>(0), rows.front().id<ExtensionId>(1)};
}

Result<std::optional<HostedInstall>> find_install_by_domain(sql::SystemTx& tx, const std::string& domain) {
  BH_TRY(const auto rows, tx.query("SELECT i.tenant_id, i.extension_id, v.content_hash, i.is_enabled "
                                   "FROM tenant_extension_install i JOIN extension_version v ON v.id = i.version_id "
                                   "WHERE i.runner_domain = $1",
                                   {domain}));
  if (rows.empty()) return std::nullopt;
  const sql::Row& row = rows.front();
  return HostedInstall{row.id<TenantId>(0), row.id<ExtensionId>(1), row.hash(2), row.boolean(3)};
}

Result<bool> is_domain_taken(sql::SystemTx& tx, const std::string& domain) {
  BH_TRY(const auto rows, tx.query("SELECT 1 FROM tenant_extension_install WHERE runner_domain = $1", {domain}));
  return !rows.empty();
}

Result<std::vector<UnprovisionedInstall>> list_unprovisioned(sql::SystemTx& tx, UtcMicros stale, std::size_t limit) {
  BH_TRY(const auto rows, tx.query("SELECT id, tenant_id, runner_domain, revision FROM tenant_extension_install "
                                   "WHERE runner_state IN ('pending', 'provisioning') AND "
                                   "(runner_state = 'pending' OR runner_updated_at < $1) "
                                   "ORDER BY runner_updated_at LIMIT $2",
                                   {stale, static_cast<std::int64_t>(limit)}));
  std::vector<UnprovisionedInstall> installs;
  for (const sql::Row& row : rows) {
    installs.push_back({row.id<InstallId>(0), row.id<TenantId>(1), row.text(2), row.integer(3)});
  }
  return installs;
}

Status set_runner_status(sql::SystemTx& tx, const InstallId& id, const RunnerStatus& status, const std::string& ref) {
  BH_TRY_VOID(tx.execute(
      "UPDATE tenant_extension_install SET runner_state = $2, runner_message = $3, "
      "runner_updated_at = $4, runner_ref = $5 WHERE id = $1",
      {id, to_string(status.state), null_if_empty(status.message), status.last_updated, null_if_empty(ref)}));
  return {};
}

}  // namespace bulkhead::extensions
