// QuarantineService: which installs are quarantined, on this node and in the store, and who releases them.
//
// The store is the truth and survives restarts; every node holds a copy in memory, for the check before each call, and
// follows the others by `install.quarantined` and `install.released` (outbox → bus). An install that this node has
// judged is held at once, before the row is written; where the store is away the row follows when it is back.
// Thread-safe; holding and asking never wait.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "features/access/audit.h"
#include "features/extensions/install_follower.h"
#include "features/quarantine/quarantine_store.h"
#include "platform/async/cores.h"
#include "platform/bus/bus.h"
#include "platform/observe/metrics.h"

namespace bulkhead::quarantine {

class QuarantineService final : public extensions::InstallFollower {
 public:
  struct Dependencies {
    sql::Database& database;
    const Clock& clock;
    Random& random;  // thread-safe
    std::function<void()> wake_relay;
    std::function<void(Task<>)> run;  // detached, on some core
  };
  QuarantineService(Dependencies dependencies, metrics::Registry& registry);

  // What the store says, before the first call. Then `listen` has been called.
  Task<Status> load();
  void listen(bus::Bus& bus, Core& core);

  // While it is quarantined. Called before every call.
  std::optional<Quarantine> find(const InstallId& install) const;
  // From now on; written, audited and told to the other nodes in the background.
  void hold(Quarantine quarantine);

  // The newest first, at most 1,000; of one organization or, for the platform's operators, of all.
  Task<Result<std::vector<Quarantine>>> list(std::optional<TenantScope> scope);
  // kNotFound when it is not quarantined.
  Task<Result<Quarantine>> release(access::Actor actor, TenantScope scope, InstallId install);
  // Called on release, here or on another node, on any thread.
  void on_release(std::function<void(const InstallId&)> released) { released_ = std::move(released); }

  Status check(const bundles::Manifest&) const override { return {}; }
  Status follow(sql::TenantTx&, const extensions::Install&, const bundles::Manifest&) override { return {}; }
  Status forget(sql::TenantTx& tx, const InstallId& install) override;

 private:
  Task<> write(Quarantine quarantine);
  Task<Status> write_once(Quarantine quarantine);
  Task<> refresh(InstallId install);
  Task<> reload();
  void on_message(const bus::Message& message);
  void put(Quarantine quarantine);
  void drop(const InstallId& install);
  bool is_held(const InstallId& install) const;

  Dependencies dependencies_;
  metrics::Registry& registry_;
  std::function<void(const InstallId&)> released_;
  mutable std::mutex mutex_;
  std::unordered_map<InstallId, Quarantine> held_;  // guarded by mutex_
  std::atomic<std::size_t> count_ = 0;              // of held_: an empty one costs the calls nothing
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

}  // namespace bulkhead::quarantine
