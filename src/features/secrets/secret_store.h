// All SQL of extension_secret. Holds envelopes, never values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "platform/kms/envelope.h"
#include "platform/sql/database.h"

namespace bulkhead::secrets {

// What anybody may see of a secret.
struct SecretInfo {
  std::string key;
  UtcMicros updated_at;
  std::string updated_by;  // a credential's id
};

struct StoredSecret {
  InstallId install;
  std::string key;
  std::string envelope;
  std::string kid;  // of the envelope
};

// Where a secret's envelope lives: what it is sealed for.
kms::Place place_of(const TenantId& tenant, const InstallId& install, std::string_view key);

// Sets it, whether or not there was one.
Status put_secret(sql::TenantTx& tx, const StoredSecret& secret, const std::string& updated_by, UtcMicros now);
// Whether there was one.
Result<bool> delete_secret(sql::TenantTx& tx, const InstallId& install, const std::string& key);
Status delete_secrets_of(sql::TenantTx& tx, const InstallId& install);
Result<std::optional<std::string>> find_envelope(sql::TenantTx& tx, const InstallId& install, const std::string& key);
// Ordered by the bytes of the key.
Result<std::vector<SecretInfo>> list_secrets(sql::TenantTx& tx, const InstallId& install);
// How many secrets the install has besides `key`.
Result<std::int64_t> count_others(sql::TenantTx& tx, const InstallId& install, const std::string& key);

// One key version in use, with one secret that it must open.
struct KeyUsage {
  std::string kid;
  std::int64_t secrets = 0;
  TenantId tenant;
  StoredSecret sample;
};
Result<std::vector<KeyUsage>> key_usage(sql::SystemTx& tx);

}  // namespace bulkhead::secrets
