// All SQL of tenant_extension_install.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "features/extensions/records.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

// kAlreadyExists: the extension is installed already, or the domain is taken.
Status insert_install(sql::TenantTx& tx, const Install& install);
// Writes every column that can change, where the row still has revision `install.revision - 1`; kConflict otherwise.
Status update_install(sql::TenantTx& tx, const Install& install);
Status delete_install(sql::TenantTx& tx, const InstallId& id);
Result<std::optional<Install>> find_own_install(sql::TenantTx& tx, const InstallId& id);
Result<std::optional<Install>> find_own_install_of(sql::TenantTx& tx, const ExtensionId& extension);
// Ordered by id, those after `after`.
Result<std::vector<Install>> list_own_installs(sql::TenantTx& tx, const std::string& after, std::size_t limit);

// An install with the names and versions that it points to; for the directory and for answers.
struct InstallView {
  TenantId tenant;
  Install install;
  std::string extension_name;
  Version version;
  std::optional<Version> rollout;
};
// By extension id or name.
Result<std::optional<InstallView>> find_install_view(sql::SystemTx& tx, const TenantId& tenant,
                                                     const std::string& extension);
struct InstallOwner {
  TenantId tenant;
  ExtensionId extension;
};
Result<std::optional<InstallOwner>> find_install_owner(sql::SystemTx& tx, const InstallId& id);

struct HostedInstall {
  TenantId tenant;
  ExtensionId extension;
  ContentHash content_hash;
  bool is_enabled = false;
};
Result<std::optional<HostedInstall>> find_install_by_domain(sql::SystemTx& tx, const std::string& domain);
Result<bool> is_domain_taken(sql::SystemTx& tx, const std::string& domain);

struct UnprovisionedInstall {
  InstallId id;
  TenantId tenant;
  std::string domain;
  std::int64_t revision = 0;
};
// Oldest first: pending ones, and ones whose provisioning began before `stale`.
Result<std::vector<UnprovisionedInstall>> list_unprovisioned(sql::SystemTx& tx, UtcMicros stale, std::size_t limit);
// Does not touch the revision: provisioning is no change that an editor must see first.
Status set_runner_status(sql::SystemTx& tx, const InstallId& id, const RunnerStatus& status, const std::string& ref);

}  // namespace bulkhead::extensions
