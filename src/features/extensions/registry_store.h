// All SQL of extension_registry, extension_version and extension_bundle. Writes are the owner's (TenantTx); reads that
// may show another organization's public extensions are system reads, and filter by `viewer` themselves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "features/extensions/records.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

// Who looks: an organization sees its own and public extensions, the platform's operators see all.
struct Viewer {
  std::optional<TenantId> tenant;
};

// By id or name. nullopt when there is none, or none that the viewer may see.
Result<std::optional<Extension>> find_extension(sql::SystemTx& tx, const std::string& id_or_name, const Viewer& viewer);
// Whoever owns the name; for publishing.
Result<std::optional<Extension>> find_extension_by_name(sql::SystemTx& tx, const std::string& name);
// Ordered by name, those after `after_name`.
Result<std::vector<Extension>> list_extensions(sql::SystemTx& tx, const Viewer& viewer, const std::string& after_name,
                                               std::size_t limit);
// Another organization's extension whose name lies under `prefix` (or is it), if there is one.
Result<std::optional<std::string>> find_foreign_name(sql::SystemTx& tx, const std::string& prefix,
                                                     const TenantId& owner);

// kAlreadyExists when the name is taken.
Status insert_extension(sql::TenantTx& tx, const Extension& extension);
Status update_extension(sql::TenantTx& tx, const Extension& extension);
Result<std::optional<Extension>> own_extension(sql::TenantTx& tx, const ExtensionId& id);

// Fine when the same bundle is there already.
Status insert_bundle(sql::TenantTx& tx, const BundleRecord& bundle, UtcMicros now);
// kAlreadyExists when the extension has that version.
Status insert_version(sql::TenantTx& tx, const Version& version);
Result<std::optional<Version>> find_version(sql::SystemTx& tx, const ExtensionId& extension,
                                            const std::string& version);
Result<std::optional<Version>> find_version(sql::SystemTx& tx, const VersionId& id);
// Newest first by time of publishing, those published before the one with id `before` (empty: from the start).
Result<std::vector<Version>> list_versions(sql::SystemTx& tx, const ExtensionId& extension, const std::string& before,
                                           std::size_t limit);
// Every version's number and whether it is yanked: to find the latest.
struct VersionNumber {
  std::string version;
  bool yanked = false;
};
Result<std::vector<VersionNumber>> list_version_numbers(sql::SystemTx& tx, const ExtensionId& extension);
Status set_deprecated(sql::TenantTx& tx, const VersionId& id, std::optional<UtcMicros> at, const std::string& reason);
Status set_yanked(sql::TenantTx& tx, const VersionId& id, std::optional<UtcMicros> at, const std::string& reason);

}  // namespace bulkhead::extensions
