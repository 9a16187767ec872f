// SubscriptionFollower: keeps an install's subscriptions as its version's manifest names them.
//
// A subscription that the new manifest still has (same topic, handler, and place among equals) keeps its id, whether it
// is enabled, and an admin's filter; what the manifest no longer has is gone, with what waited for it. Disabling the
// install stops matching and delivery; what was matched before waits. Organizations that subscribe to `install.changed`
// get an event of each change, from the platform and in the same transaction.
#pragma once

#include "features/events/event_store.h"
#include "features/extensions/install_follower.h"

namespace bulkhead::events {

class SubscriptionFollower final : public extensions::InstallFollower {
 public:
  explicit SubscriptionFollower(Random& random) : random_(random) {}  // thread-safe
  Status check(const bundles::Manifest& manifest) const override;
  Status follow(sql::TenantTx& tx, const extensions::Install& install, const bundles::Manifest& manifest) override;
  Status forget(sql::TenantTx& tx, const InstallId& install) override;

 private:
  Random& random_;
};

}  // namespace bulkhead::events
