// All SQL of trust_entry: the platform's entries (no tenant) and organizations' own ones.
#pragma once

#include <optional>
#include <vector>

#include "features/bundles/signing.h"
#include "features/extensions/records.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

Status insert_trust(sql::SystemTx& tx, const TrustRecord& record);
Status insert_trust(sql::TenantTx& tx, const TrustRecord& record);
// Of the platform, or of the transaction's tenant. Ordered by id, revoked ones included.
Result<std::vector<TrustRecord>> list_trust(sql::SystemTx& tx);
Result<std::vector<TrustRecord>> list_trust(sql::TenantTx& tx);
// kNotFound; fine when it is revoked already.
Status set_trust_revoked(sql::SystemTx& tx, const TrustEntryId& id, UtcMicros now);
Status set_trust_revoked(sql::TenantTx& tx, const TrustEntryId& id, UtcMicros now);

// Differs from before once any entry was added or revoked.
Result<std::string> trust_state(sql::SystemTx& tx);

// What counts for the extensions of `owner`: the platform's entries and its own, revoked ones included. Ordered by id.
Result<std::vector<TrustRecord>> list_trust_for(sql::SystemTx& tx, const std::optional<TenantId>& owner);

}  // namespace bulkhead::extensions
