// Installs: an extension's version granted to an organization (contracts/extensions.md §2). All the rules; no HTTP.
//
// Granting is explicit: what is installed has exactly the capabilities and hosts that its admin listed, and those must
// be asked for by the manifest (a later version that asks for less gets less). Signature and hash of the bundle are
// verified again before a version is put in place. Every change is one transaction with its audit row and an
// `install.changed` event; the directory forgets the organization's installs before the answer, so a switch, rollout or
// rollback holds from the next request on. Calls in flight end on the version they began with.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "features/access/audit.h"
#include "features/extensions/install_follower.h"
#include "features/extensions/install_rules.h"
#include "features/extensions/install_store.h"
#include "features/extensions/installed.h"
#include "features/extensions/provisioning.h"
#include "features/extensions/registry_service.h"
#include "features/extensions/stored_bundles.h"

namespace bulkhead::extensions {

struct NewInstall {
  std::string extension;                  // id or name
  std::string version;                    // empty: the latest
  std::vector<std::string> granted_caps;  // "storage.kv", "cap:storage.kv"; "egress:HOST" counts as a host
  std::vector<std::string> granted_egress;
  std::optional<json::value> config;
  std::optional<json::value> limits;
};

struct Rollout {
  std::string version;
  int percent = 0;
};
struct InstallChange {
  std::optional<std::string> version;
  std::optional<std::vector<std::string>> granted_caps;
  std::optional<std::vector<std::string>> granted_egress;
  std::optional<json::value> config;
  std::optional<json::value> limits;
  bool ends_rollout = false;
  std::optional<Rollout> rollout;  // percent 0 ends it
};

// An install with the names it points to.
struct InstallDetails {
  Install install;
  std::string extension_name;
  std::string version;
  ContentHash content_hash;
  std::string rollout_version;   // empty: none
  std::string previous_version;  // empty: none
};

class InstallService {
 public:
  struct Dependencies {
    sql::Database& database;
    RegistryService& registry;
    StoredBundles& bundles;
    InstallDirectory& directory;
    const Clock& clock;
    Random& random;  // thread-safe
    std::string domain_root;
    Provisioning& provisioning;
    std::function<void()> after_commit;  // wakes the outbox's relay
    std::vector<InstallFollower*> followers = {};
  };
  explicit InstallService(Dependencies dependencies);

  // kNotFound, kVersionYanked, kCapabilityUnknown, kConfigInvalid, kUnprocessable, kAlreadyExists; bundle errors as
  // StoredBundles::open gives them.
  Task<Result<InstallDetails>> create(access::Actor actor, TenantScope scope, NewInstall wanted);
  Task<Result<InstallDetails>> find(TenantScope scope, InstallId id);
  Task<Result<std::vector<InstallDetails>>> list(TenantScope scope, std::string after, std::size_t limit);
  // kPreconditionFailed when `expected_revision` is not the present one; kConflict when another change came between.
  Task<Result<InstallDetails>> change(access::Actor actor, TenantScope scope, InstallId id, InstallChange change,
                                      std::optional<std::int64_t> expected_revision);
  Task<Status> remove(access::Actor actor, TenantScope scope, InstallId id);
  // By what is installed; kNotFound.
  Task<Status> remove_extension(access::Actor actor, TenantScope scope, std::string extension);

  enum class Act : std::uint8_t { kEnable, kDisable, kRollback, kReprovision };
  // kRollback: ends a rollout, else goes back to the version before (kConflict when there is none). Nothing is judged
  // anew, so that it can't fail when it is needed most: what that version does not ask for it does not get.
  Task<Result<InstallDetails>> act(access::Actor actor, TenantScope scope, InstallId id, Act act);

  // For runners and the UI host. nullopt: unknown or disabled.
  Task<Result<std::optional<HostedInstall>>> lookup_by_host(std::string host);
  // kNotFound: the organization has no such install. False: disabled, or the hash is of no version that runs there.
  Task<Result<bool>> validate(TenantId tenant, std::string extension, ContentHash hash);

 private:
  Task<Result<Install>> load(TenantScope scope, InstallId id);
  Task<Result<bundles::Manifest>> verified_manifest(const Version& version);
  // Signature, hash, and what the followers say of its manifest.
  Task<Status> verify(const Version& version);
  Status check_followers(const bundles::Manifest& manifest) const;
  Task<Result<bundles::Manifest>> manifest_of(VersionId id);
  Task<Status> put_version(TenantScope scope, Install& install, const std::string& version);
  Task<Status> put_rollout(TenantScope scope, Install& install, const Rollout& rollout);
  Task<Status> check_settings(const Install& install, const Grants& named);
  Task<Result<Install>> insert(const access::Actor& actor, TenantScope scope, Install install, std::string domain,
                               const bundles::Manifest& manifest);
  Task<Result<Install>> save(const access::Actor& actor, TenantScope scope, const Install& before, Install after,
                             std::string action);
  Task<Result<InstallDetails>> details(Install install);
  Task<Result<std::vector<InstallDetails>>> all_details(std::vector<Install> installs);
  void changed(const TenantId& tenant);
  Task<Result<Install>> provisioned(TenantScope scope, Install install);
  Dependencies dependencies_;
};

}  // namespace bulkhead::extensions
