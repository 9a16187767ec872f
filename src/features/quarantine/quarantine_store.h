// All SQL of this room: one row for each install that is quarantined now. Runs inside the caller's transaction.
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "features/quarantine/record.h"
#include "platform/sql/database.h"

namespace bulkhead::quarantine {

// False when it is quarantined already: the first reason stays, unless its time is over.
Result<bool> insert_quarantine(sql::TenantTx& tx, const Quarantine& quarantine);
// What was there; nothing when it was not quarantined.
Result<std::optional<Quarantine>> delete_quarantine(sql::TenantTx& tx, const InstallId& install);
// Of one organization, or of all; the newest first, at most `limit`.
Result<std::vector<Quarantine>> list_quarantines(sql::TenantTx& tx, std::int64_t limit);
Result<std::vector<Quarantine>> list_quarantines(sql::SystemTx& tx, std::int64_t limit);
Result<std::optional<Quarantine>> find_quarantine(sql::SystemTx& tx, const InstallId& install);

}  // namespace bulkhead::quarantine
