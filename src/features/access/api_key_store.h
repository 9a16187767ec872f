// All SQL of the api_key table. Called inside transactions, on database threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/sha256.h"
#include "base/time.h"
#include "platform/sql/database.h"

namespace bulkhead::access {

// A key as stored; its text is not, only the hash, which never leaves the store.
struct ApiKeyRecord {
  ApiKeyId id;
  std::string name;
  std::string hint;  // the first characters, for people to tell keys apart
  std::string role;
  std::optional<std::vector<std::string>> scopes;  // nullopt: all that the role allows
  std::vector<std::string> ip_allowlist;           // empty: any address
  std::string created_by;
  UtcMicros created_at;
  std::optional<UtcMicros> expires_at;
  std::optional<UtcMicros> revoked_at;
  std::optional<UtcMicros> last_used_at;  // to the minute
  std::optional<ApiKeyId> rotated_from;
};
// "active" | "expired" | "revoked"
std::string_view status_of(const ApiKeyRecord& record, UtcMicros now);

// What authentication needs beside the record.
struct KeyOwner {
  ApiKeyRecord record;
  TenantId tenant;
  std::string tenant_slug;
};

Status insert_api_key(sql::TenantTx& tx, const ApiKeyRecord& record, const Sha256Digest& hash);
Result<std::int64_t> count_api_keys(sql::TenantTx& tx);
// kNotFound. Locks the row until the end of the transaction where the engine has row locks.
Result<ApiKeyRecord> lock_api_key(sql::TenantTx& tx, const ApiKeyId& id);
// Oldest first (UUIDv7 order), those after `after`.
Result<std::vector<ApiKeyRecord>> list_api_keys(sql::TenantTx& tx, const std::string& after, std::size_t limit);
Status set_api_key_expiry(sql::TenantTx& tx, const ApiKeyId& id, UtcMicros expires_at);
Status set_api_key_revoked(sql::TenantTx& tx, const ApiKeyId& id, UtcMicros revoked_at);

// nullopt when no key has this hash. Across tenants: this is how the tenant is found.
Result<std::optional<KeyOwner>> find_api_key(sql::SystemTx& tx, const Sha256Digest& hash);
// Never moves the time back.
Status set_api_key_used(sql::SystemTx& tx, const ApiKeyId& id, UtcMicros minute);

}  // namespace bulkhead::access
