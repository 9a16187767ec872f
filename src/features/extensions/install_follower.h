// InstallFollower: another room that keeps rows per install (event subscriptions, schedules) and must never disagree
// with it. Called by InstallService in the transaction of each change, so there is no moment in between.
//
// A port: implemented by those rooms, handed over by the composition root. `follow` and `forget` run on database
// threads and must be pure but for `tx`.
#pragma once

#include "base/error.h"
#include "features/bundles/manifest.h"
#include "features/extensions/records.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

class InstallFollower {
 public:
  virtual ~InstallFollower() = default;
  // Before an admin puts a version in place; an error (kUnprocessable) refuses it. A rollback does not ask.
  virtual Status check(const bundles::Manifest& manifest) const = 0;
  // The install is new or was changed: another version, enabled, disabled. `manifest` is that of the version in place.
  virtual Status follow(sql::TenantTx& tx, const Install& install, const bundles::Manifest& manifest) = 0;
  // It was removed.
  virtual Status forget(sql::TenantTx& tx, const InstallId& install) = 0;
};

}  // namespace bulkhead::extensions
