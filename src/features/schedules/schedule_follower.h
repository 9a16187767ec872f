// ScheduleFollower: keeps an install's schedules as its version's manifest names them. One that the new manifest still
// has keeps whether it is enabled, its missed-run policy and, unless its times changed, its next firing. Those that the
// guest registered stay, but the manifest's win where the ids are the same. Disabling the install stops all of them;
// enabled again, they go on with the next time.
#pragma once

#include "features/extensions/install_follower.h"
#include "features/schedules/schedule_store.h"

namespace bulkhead::schedules {

class ScheduleFollower final : public extensions::InstallFollower {
 public:
  explicit ScheduleFollower(Random& random) : random_(random) {}  // thread-safe
  Status check(const bundles::Manifest& manifest) const override;
  Status follow(sql::TenantTx& tx, const extensions::Install& install, const bundles::Manifest& manifest) override;
  Status forget(sql::TenantTx& tx, const InstallId& install) override;

 private:
  Random& random_;
};

}  // namespace bulkhead::schedules
