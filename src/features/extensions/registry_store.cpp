#include "features/extensions/registry_store.h"

namespace bulkhead::extensions {
namespace {

constexpr std::string_view kExtensionColumns =
    "id, tenant_id, name, publisher, visibility, created_by, created_at, updated_at";
constexpr std::string_view kVersionColumns =
    "id, extension_id, version, content_hash, manifest, signer_key_id, signer_trust_id, signer_subject, published_by, "
    "published_at, deprecated_at, deprecated_reason, yanked_at, yanked_reason";

std::string select(std::string_view columns, std::string_view rest) {
  std::string statement = "SELECT ";
  statement += columns;
  statement += ' ';
  statement += rest;
  return statement;
}

std::optional<UtcMicros> optional_time(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return row.time(column);
}

Extension extension_of(const sql::Row& row) {
  const auto visibility = parse_visibility(row.text(4));
  BH_ASSERT(visibility.has_value());
  return {.id = row.id<ExtensionId>(0),
          .owner = row.id<TenantId>(1),
          .name = row.text(2),
          .publisher = row.text(3),
          .visibility = *visibility,
          .created_by = row.text(5),
          .created_at = row.time(6),
          .updated_at = row.time(7),
          .latest_version = {}};
}

Version version_of(const sql::Row& row) {
  return {.id = row.id<VersionId>(0),
          .extension_id = row.id<ExtensionId>(1),
          .version = row.text(2),
          .content_hash = row.hash(3),
          .manifest_json = row.text(4),
          .signer_key_id = row.text(5),
          .signer_trust_id = row.text(6),
          .signer_subject = row.text(7),
          .published_by = row.text(8),
          .published_at = row.time(9),
          .deprecated_at = optional_time(row, 10),
          .deprecated_reason = row.optional_text(11).value_or(""),
          .yanked_at = optional_time(row, 12),
          .yanked_reason = row.optional_text(13).value_or("")};
}

template <typename Record>
Result<std::optional<Record>> first(Result<sql::Rows> rows, Record (*make)(const sql::Row&)) {
  if (!rows) return fail(std::move(rows.error()));
  if (rows->empty()) return std::nullopt;
  return make(rows->front());
}

// The operator's viewer has no tenant: an empty text, which is no organization's id.
std::string viewer_id(const Viewer& viewer) { return viewer.tenant ? viewer.tenant->to_string() : ""; }

}  // namespace

Result<std::optional<Extension>> find_extension(sql::SystemTx& tx, const std::string& id_or_name,
                                                const Viewer& viewer) {
  const auto id = ExtensionId::parse(id_or_name);
  return first(tx.query(select(kExtensionColumns, id ? "FROM extension_registry WHERE id = $1 AND "
                                                       "(visibility = 'public' OR tenant_id = $2 OR $2 = '')"
                                                     : "FROM extension_registry WHERE name = $1 AND "
                                                       "(visibility = 'public' OR tenant_id = $2 OR $2 = '')"),
                        {id ? id->to_string() : id_or_name, viewer_id(viewer)}),
               &extension_of);
}

Result<std::optional<Extension>> find_extension_by_name(sql::SystemTx& tx, const std::string& name) {
  return first(tx.query(select(kExtensionColumns, "FROM extension_registry WHERE name = $1"), {name}), &extension_of);
}

Result<std::vector<Extension>> list_extensions(sql::SystemTx& tx, const Viewer& viewer, const std::string& after_name,
                                               std::size_t limit) {
  BH_TRY(const auto rows,
         tx.query(select(kExtensionColumns,
                         "FROM extension_registry WHERE name > $1 AND "
                         "(visibility = 'public' OR tenant_id = $2 OR $2 = '') ORDER BY name LIMIT $3"),
                  {after_name, viewer_id(viewer), static_cast<std::int64_t>(limit)}));
  std::vector<Extension> extensions;
  extensions.reserve(rows.size());
  for (const sql::Row& row : rows) extensions.push_back(extension_of(row));
  return extensions;
}

Result<std::optional<std::string>> find_foreign_name(sql::SystemTx& tx, const std::string& prefix,
                                                     const TenantId& owner) {
  // "com.example." ≤ name < "com.example/": '/' follows '.' in ASCII, and names hold neither.
  BH_TRY(const auto rows, tx.query("SELECT name FROM extension_registry WHERE tenant_id <> $1 AND "
                                   "(name = $2 OR (name >= $3 AND name < $4)) LIMIT 1",
                                   {owner, prefix, prefix + ".", prefix + "/"}));
  if (rows.empty()) return std::nullopt;
  return rows.front().text(0);
}

Status insert_extension(sql::TenantTx& tx, const Extension& extension) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO extension_registry (tenant_id, id, name, publisher, visibility, created_by, "
                 "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                 {extension.id, extension.name, extension.publisher, to_string(extension.visibility),
                  extension.created_by, extension.created_at, extension.updated_at}));
  return {};
}

Status update_extension(sql::TenantTx& tx, const Extension& extension) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_registry SET publisher = $3, visibility = $4, updated_at = $5 "
                 "WHERE tenant_id = $1 AND id = $2",
                 {extension.id, extension.publisher, to_string(extension.visibility), extension.updated_at}));
  return {};
}

Result<std::optional<Extension>> own_extension(sql::TenantTx& tx, const ExtensionId& id) {
  return first(tx.query(select(kExtensionColumns, "FROM extension_registry WHERE tenant_id = $1 AND id = $2"), {id}),
               &extension_of);
}

Status insert_bundle(sql::TenantTx& tx, const BundleRecord& bundle, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO extension_bundle (tenant_id, content_hash, size, unpacked_size, entries, "
                 "signature_form, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
                 "ON CONFLICT (content_hash) DO NOTHING",
                 {bundle.content_hash, bundle.size.value, bundle.unpacked_size.value, bundle.entries,
                  bundle.signature_form, now}));
  return {};
}

Status insert_version(sql::TenantTx& tx, const Version& version) {
  BH_TRY_VOID(tx.execute(
      "INSERT INTO extension_version (tenant_id, id, extension_id, version, content_hash, manifest, signer_key_id, "
      "signer_trust_id, signer_subject, published_by, published_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
      "$11)",
      {version.id, version.extension_id, version.version, version.content_hash, version.manifest_json,
       version.signer_key_id, version.signer_trust_id, version.signer_subject, version.published_by,
       version.published_at}));
  return {};
}

Result<std::optional<Version>> find_version(sql::SystemTx& tx, const ExtensionId& extension,
                                            const std::string& version) {
  return first(tx.query(select(kVersionColumns, "FROM extension_version WHERE extension_id = $1 AND version = $2"),
                        {extension, version}),
               &version_of);
}

Result<std::optional<Version>> find_version(sql::SystemTx& tx, const VersionId& id) {
  return first(tx.query(select(kVersionColumns, "FROM extension_version WHERE id = $1"), {id}), &version_of);
}

Result<std::vector<Version>> list_versions(sql::SystemTx& tx, const ExtensionId& extension, const std::string& before,
                                           std::size_t limit) {
  // Ids are UUIDv7: they sort by time.
  BH_TRY(const auto rows, tx.query(select(kVersionColumns,
                                          "FROM extension_version WHERE extension_id = $1 AND ($2 = '' OR id < $2) "
                                          "ORDER BY id DESC LIMIT $3"),
                                   {extension, before, static_cast<std::int64_t>(limit)}));
  std::vector<Version> versions;
  versions.reserve(rows.size());
  for (const sql::Row& row : rows) versions.push_back(version_of(row));
  return versions;
}

Result<std::vector<VersionNumber>> list_version_numbers(sql::SystemTx& tx, const ExtensionId& extension) {
  BH_TRY(const auto rows,
         tx.query("SELECT version, yanked_at FROM extension_version WHERE extension_id = $1", {extension}));
  std::vector<VersionNumber> numbers;
  numbers.reserve(rows.size());
  for (const sql::Row& row : rows) numbers.push_back({row.text(0), !row.is_null(1)});
  return numbers;
}

Status set_deprecated(sql::TenantTx& tx, const VersionId& id, std::optional<UtcMicros> at, const std::string& reason) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_version SET deprecated_at = $3, deprecated_reason = $4 "
                 "WHERE tenant_id = $1 AND id = $2",
                 {id, at, reason}));
  return {};
}

Status set_yanked(sql::TenantTx& tx, const VersionId& id, std::optional<UtcMicros> at, const std::string& reason) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_version SET yanked_at = $3, yanked_reason = $4 "
                 "WHERE tenant_id = $1 AND id = $2",
                 {id, at, reason}));
  return {};
}

}  // namespace bulkhead::extensions
