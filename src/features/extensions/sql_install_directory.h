// SqlInstallDirectory: the InstallDirectory on this room's tables.
//
// Shards by organization, each behind a mutex that is held for one hash look-up: a hit takes about 100 ns and never
// waits for the store. A miss loads once, however many requests on however many cores wait for it. What is found holds
// 60 s, what is not found 5 s; `evict` (local writes, and `install.changed` events of other nodes) drops an
// organization's entries at once, and a load that began before an eviction is not kept but done again. Versions are
// shared between the installs that run them. Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "features/extensions/flight.h"
#include "features/extensions/install_store.h"
#include "features/extensions/installed.h"
#include "platform/bus/bus.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

class SqlInstallDirectory final : public InstallDirectory {
 public:
  struct Options {
    Millis keep{60'000};
    Millis keep_absent{5'000};
    std::size_t names_per_tenant = 4'096;
    std::size_t tenants_per_shard = 1'024;
  };
  // All outlive the directory.
  SqlInstallDirectory(sql::Database& database, const Clock& clock, metrics::Registry& registry)
      : SqlInstallDirectory(database, clock, registry, Options{}) {}
  SqlInstallDirectory(sql::Database& database, const Clock& clock, metrics::Registry& registry, Options options);

  // Hears of other nodes' changes from now on, on `core`. Before the cores start.
  void listen(bus::Bus& bus, Core& core);

  Task<Result<InstalledPtr>> find(TenantId tenant, std::string extension) override;
  Task<Result<InstalledPtr>> find_install(InstallId install) override;
  std::optional<InstalledPtr> find_now(const TenantId& tenant, const std::string& extension) override;
  void evict(TenantId tenant) override;
  void evict_all();

 private:
  using Outcome = Result<InstalledPtr>;
  struct Kept {
    InstalledPtr installed;  // null: not there
    SteadyTime until;
  };
  struct Tenant {
    std::unordered_map<std::string, Kept> by_name;  // id or name, as it was asked for
    std::unordered_map<std::string, std::shared_ptr<Flight<Outcome>>> flights;
  };
  struct Shard {
    std::mutex mutex;
    std::uint64_t evictions = 0;
    std::unordered_map<TenantId, Tenant> tenants;
  };
  // What the versions' manifests ask for decides what a grant is worth.
  struct ParsedVersion {
    RunnableVersion runnable;
    std::vector<std::string> capabilities;
    std::vector<std::string> egress;
    std::vector<std::string> secrets;
  };
  using ParsedPtr = std::shared_ptr<const ParsedVersion>;
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(const TenantId& tenant) { return shards_[std::hash<TenantId>{}(tenant) % kShards]; }

  Task<Outcome> load_once(TenantId tenant, std::string extension);
  Task<Outcome> load(TenantId tenant, std::string extension);
  // True: the flight is over, with what it found kept if that is current or not worth another try.
  bool finish(const TenantId& tenant, const std::string& extension, const Outcome& outcome, std::uint64_t evictions,
              int tries);
  void make_room(Shard& shard, Tenant& tenant);
  Result<InstalledPtr> installed_of(const InstallView& view);
  Result<ParsedPtr> parsed(const Version& version);
  void forget_unused_versions();

  sql::Database& database_;
  const Clock& clock_;
  Options options_;
  metrics::Counter& hits_;
  metrics::Counter& loads_;
  std::array<Shard, kShards> shards_;

  std::mutex versions_mutex_;
  std::unordered_map<VersionId, std::weak_ptr<const ParsedVersion>> versions_;
  std::mutex owners_mutex_;
  std::unordered_map<InstallId, InstallOwner> owners_;  // never changes while the install exists

  std::unique_ptr<bus::Subscription> subscription_;
};

}  // namespace bulkhead::extensions
