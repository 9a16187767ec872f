// Secrets of installs (contracts/extensions.md §2, §3): written by an organization's admins, read by the install's
// guests, shown to nobody. All the rules; no HTTP.
//
// - Only names that the manifest of a version that may run declares can be set.
// - At rest there are envelopes v1 only (platform/kms), each sealed for its row. Every change is one transaction with
//   its audit row (which holds the name, never the value) and a `secret.changed` event, by which all nodes drop what
//   they cached: envelopes for seconds, values never.
// - Uninstalling removes them in the transaction of the uninstall (InstallFollower).
//
// Thread-safe; made before the cores start.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/secret_string.h"
#include "features/access/audit.h"
#include "features/extensions/install_follower.h"
#include "features/extensions/install_service.h"
#include "features/extensions/registry_service.h"
#include "features/secrets/envelope_cache.h"
#include "features/secrets/secret_store.h"
#include "platform/bus/bus.h"
#include "platform/kms/envelopes.h"
#include "platform/observe/metrics.h"

namespace bulkhead::secrets {

inline constexpr std::size_t kMaxKey = 64;
inline constexpr Bytes kMaxValue = 64_KiB;
inline constexpr std::int64_t kMaxSecrets = 100;  // of one install

// 1–64 letters, digits, '_', '.' and '-': as manifests may declare them.
bool is_valid_key(std::string_view key);

class SecretService {
 public:
  // All outlive the service; `random` is thread-safe.
  struct Dependencies {
    sql::Database& database;
    extensions::InstallService& installs;
    extensions::RegistryService& registry;
    kms::Envelopes& envelopes;
    const Clock& clock;
    Random& random;
    metrics::Registry& metrics;
    std::function<void()> after_commit;  // wakes the outbox's relay
  };
  explicit SecretService(Dependencies dependencies, EnvelopeCache::Limits cache = {});

  // kNotFound: no such install here; kUnprocessable: the name is not declared (the message names the nearest that is),
  // the value is empty or not UTF-8, or there are kMaxSecrets already; kPayloadTooLarge; kKeyUnavailable.
  Task<Status> put(access::Actor actor, TenantScope scope, InstallId install, std::string key, SecretString value);
  // Fine when there was none. kNotFound: no such install here.
  Task<Status> remove(access::Actor actor, TenantScope scope, InstallId install, std::string key);
  // kNotFound: no such install here.
  Task<Result<std::vector<SecretInfo>>> list(TenantScope scope, InstallId install);

  // The value, for the install's own executions. kNotFound; kEnvelopeInvalid and kKeyUnavailable are ours to mend.
  Task<Result<SecretString>> read(TenantScope scope, InstallId install, std::string key);

  // At start: every key version that secrets are encrypted with opens one of them. kKeyUnavailable says which does not,
  // how many secrets depend on it, and what to do; `keyring` names where the keys come from.
  Task<Status> check_keys(std::string keyring);
  // Drops what other nodes changed.
  void listen(bus::Bus& bus, Core& core);
  // Wipes data keys whose time is over; runs until the core stops.
  Task<> keep_clean();

 private:
  Task<Result<std::vector<std::string>>> declared_names(TenantScope scope, InstallId install);
  Task<Status> check_declared(TenantScope scope, InstallId install, const std::string& key);
  Task<Result<EnvelopeCache::Stored>> stored(TenantScope scope, InstallId install, std::string key);

  Dependencies dependencies_;
  EnvelopeCache cache_;
  metrics::Counter& reads_;
  metrics::Counter& loads_;
  std::unique_ptr<bus::Subscription> subscription_;
};

// Removes an uninstalled install's secrets with it.
class SecretFollower final : public extensions::InstallFollower {
 public:
  Status check([[maybe_unused]] const bundles::Manifest& manifest) const override { return {}; }
  Status follow([[maybe_unused]] sql::TenantTx& tx, [[maybe_unused]] const extensions::Install& install,
                [[maybe_unused]] const bundles::Manifest& manifest) override {
    return {};
  }
  Status forget(sql::TenantTx& tx, const InstallId& install) override { return delete_secrets_of(tx, install); }
};

}  // namespace bulkhead::secrets
