// StoredDataFollower: what an install stored goes in the transaction that removes the install. Calls that are under way
// then may still write: Broker::forget_install removes that once they have ended.
#pragma once

#include "features/broker/key_value_store.h"
#include "features/extensions/install_follower.h"

namespace bulkhead::broker {

class StoredDataFollower final : public extensions::InstallFollower {
 public:
  Status check(const bundles::Manifest&) const override { return {}; }
  Status follow(sql::TenantTx&, const extensions::Install&, const bundles::Manifest&) override { return {}; }
  Status forget(sql::TenantTx& tx, const InstallId& install) override { return remove_items_of(tx, install); }
};

}  // namespace bulkhead::broker
