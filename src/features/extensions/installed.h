// The gateway's and the dispatcher's view of an install: an immutable snapshot, shared between cores, replaced when the
// install, its version or its rollout changes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/tenant_scope.h"
#include "platform/async/task.h"
#include "protocol/execute.h"

namespace bulkhead::extensions {

struct Endpoint {
  std::string method;
  std::string path;                   // as in the manifest
  std::vector<std::string> segments;  // "agreements", ":id"
  std::string handler;
  std::string permission;         // "extension:read" / "extension:write" / the endpoint's own
  std::optional<Millis> timeout;  // already within the hard maximum
};

// One runnable version as installed.
struct RunnableVersion {
  VersionId version_id;
  std::string version;
  ContentHash content_hash;
  std::vector<Endpoint> endpoints;
};

struct InstalledExtension {
  InstallId install_id;
  TenantId tenant_id;
  ExtensionId extension_id;
  std::string extension_name;
  std::vector<std::string> granted_capabilities;  // "storage.kv", …
  std::vector<std::string> granted_egress;        // manifest ∩ grant
  std::vector<std::string> secrets;               // names that the manifest of a version that may run declares
  std::string config_json;
  protocol::Limits limits;  // plan ∩ install
  std::shared_ptr<const RunnableVersion> current;
  std::shared_ptr<const RunnableVersion> rollout;  // null = no rollout
  int rollout_percent = 0;

  bool may(std::string_view capability) const;
  // Sticky per caller: the same `caller_key` always gets the same side at the same percentage.
  const RunnableVersion& version_for(std::string_view caller_key) const;
};
using InstalledPtr = std::shared_ptr<const InstalledExtension>;

// Cached look-ups. Thread-safe; a hit costs no store round trip and no lock that another core can hold for long.
class InstallDirectory {
 public:
  virtual ~InstallDirectory() = default;
  // By extension id or name. null when not installed or disabled. kStoreUnavailable when it can't be found out.
  virtual Task<Result<InstalledPtr>> find(TenantId tenant, std::string extension) = 0;
  virtual Task<Result<InstalledPtr>> find_install(InstallId install) = 0;
  // `find` without waiting, as far as memory goes: nothing where the store has to be asked.
  virtual std::optional<InstalledPtr> find_now(const TenantId& tenant, const std::string& extension) = 0;
  // Drops what is known of an extension's installs in a tenant (called by the service after each write, on all nodes).
  virtual void evict(TenantId tenant) = 0;
};

}  // namespace bulkhead::extensions
